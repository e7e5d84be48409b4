/* Routes: every hop continues the one before, lengths are torus distances (computed by
 * search here, by coordinates there), the widest of the shortest is taken, NICs and cores
 * forward nothing. Planted: a narrow way that is found first. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "topo/path.h"
#include "topo/preset.h"

static const struct topo_costs costs = {1, 0.1, 3, 100, 50, 1000};

static struct topo_model *model_of(const struct topo_box *box, int32_t n)
{
    const struct topo_net net = {15, 0, 1};
    const struct topo_box *boxes[4] = {box, box, box, box};
    struct topo_model *m;
    if (topo_model_create("m", boxes, n, &net, &m) != trncclSuccess)
        fail_msg("%s", error_text());
    topo_box_put(box);
    return m;
}

static struct topo_model *preset_model(const char *name, int32_t n)
{
    const struct topo_preset *preset = topo_preset_find(name);
    struct topo_params params = preset->params;
    if (preset->wiring == PRESET_HOST) {
        params.cores = 6;
        params.numa = 3;
    } else {
        params.lnc = preset->cores_per_chip / 2; /* two ranks on each chip */
    }
    const struct topo_box *box;
    if (topo_preset_build(preset, &params, &box) != trncclSuccess)
        fail_msg("%s", error_text());
    return model_of(box, n);
}

static struct topo_paths *paths_of(const struct topo_model *m)
{
    struct topo_paths *paths;
    assert_int_equal(topo_paths_create(m, &paths), trncclSuccess);
    return paths;
}

/* Links on a shortest way over chips, switches and memories, -1: none. */
static int32_t searched_distance(const struct topo_box *box, int32_t from, int32_t to)
{
    int32_t *distance = malloc((size_t)box->nvertices * sizeof *distance);
    int32_t *queue = malloc((size_t)box->nvertices * sizeof *queue);
    int32_t head = 0, tail = 0;
    for (int32_t v = 0; v < box->nvertices; v++)
        distance[v] = -1;
    distance[from] = 0;
    queue[tail++] = from;
    while (head < tail) {
        int32_t v = queue[head++];
        int kind = box->vertices[v].kind;
        if (v != from && kind != TOPO_CHIP && kind != TOPO_SWITCH && kind != TOPO_MEMORY)
            continue;
        for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++) {
            int32_t u = box->links[l].to;
            if (distance[u] < 0) {
                distance[u] = distance[v] + 1;
                queue[tail++] = u;
            }
        }
    }
    int32_t result = distance[to];
    free(distance);
    free(queue);
    return result;
}

static void assert_walks(const struct topo_box *box, const int32_t *links, int32_t n,
                         int32_t from, int32_t to)
{
    for (int32_t i = 0; i < n; i++) {
        assert_in_range(links[i], 0, box->nlinks - 1);
        assert_int_equal(box->links[links[i]].from, from);
        from = box->links[links[i]].to;
    }
    assert_int_equal(from, to);
}

static void route_of_every_pair_is_a_shortest_walk(void **state)
{
    (void)state;
    const char *const names[] = {"trn1",          "trn2u",     "inf2.24xlarge",
                                 "inf2.48xlarge", "trn3-gen1", "host"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct topo_model *m = preset_model(names[i], 1);
        const struct topo_box *box = m->boxes[0];
        struct topo_paths *paths = paths_of(m);
        int32_t links[64], longest = 0, stride = m->nranks > 64 ? 7 : 1;
        assert_in_range(topo_paths_max_hops(paths), 2, 64);
        for (int32_t a = 0; a < m->nranks; a += stride)
            for (int32_t b = 0; b < m->nranks; b++) {
                int32_t n = topo_path_seats(paths, 0, a, b, links);
                int32_t core_a = box->seats[a].core, core_b = box->seats[b].core;
                assert_int_equal(n, searched_distance(box, core_a, core_b));
                assert_walks(box, links, n, core_a, core_b);
                longest = n > longest ? n : longest;
            }
        assert_in_range(longest, 2, topo_paths_max_hops(paths));
        topo_paths_destroy(paths);
        topo_model_destroy(m);
    }
}

static void route_on_a_torus_goes_by_dimension_ties_to_plus(void **state)
{
    (void)state;
    struct topo_model *m = preset_model("trn2u", 1);
    const struct topo_box *box = m->boxes[0];
    struct topo_paths *paths = paths_of(m);
    int32_t links[16];
    for (int32_t b = 0; b < 64; b++) {
        int32_t n = topo_path_seats(paths, 0, 0, 2 * b, links), last = 0;
        for (int32_t i = 1; i + 1 < n; i++) {
            const struct topo_link *link = &box->links[links[i]];
            assert_true(link->dim >= last);
            last = link->dim;
            int32_t x = (b >> (2 * link->dim)) % 4;
            assert_int_equal(link->step, x == 3 ? -1 : 1); /* x = 2 is a tie */
        }
    }
    topo_paths_destroy(paths);
    topo_model_destroy(m);
}

static void route_on_two_chips_uses_the_one_link(void **state)
{
    (void)state;
    struct topo_builder *b;
    assert_int_equal(topo_builder_create("pair", &b), trncclSuccess);
    topo_set_costs(b, &costs);
    int32_t chips[2], two = 2;
    for (int i = 0; i < 2; i++) {
        chips[i] = topo_add_vertex(b, TOPO_CHIP, 0, 0, -1);
        int32_t core = topo_add_vertex(b, TOPO_CORE, 0, 0, chips[i]);
        topo_add_link(b, core, chips[i], TOPO_LINK_DIE, -1, 0, 300, 0);
        topo_add_seat(b, core, -1);
    }
    topo_add_link(b, chips[0], chips[1], TOPO_LINK_NEURON, 0, 1, 100, 0);
    topo_set_torus(b, 1, &two);
    const struct topo_box *box;
    assert_int_equal(topo_box_finish(b, &box), trncclSuccess);
    topo_builder_destroy(b);
    struct topo_model *m = model_of(box, 2);
    struct topo_paths *paths = paths_of(m);
    int32_t links[8];
    for (int32_t from = 0; from < 2; from++) {
        assert_int_equal(topo_path_seats(paths, 1, from, 1 - from, links), 3);
        assert_walks(box, links, 3, box->seats[from].core, box->seats[1 - from].core);
    }
    struct topo_hop hops[8];
    assert_int_equal(topo_path_find(paths, 0, 2, hops), -1); /* no NICs */
    assert_int_equal(topo_path_nic(paths, 0, 0, true, links), -1);
    topo_paths_destroy(paths);
    topo_model_destroy(m);
}

/* Two ways of two links from chip 0 to chip 3, over chip 1 and over chip 2, and a short
 * cut over a NIC that both have in common. */
static struct topo_model *diamond(double over_1, double over_2)
{
    struct topo_builder *b;
    assert_int_equal(topo_builder_create("diamond", &b), trncclSuccess);
    topo_set_costs(b, &costs);
    int32_t chips[4];
    for (int i = 0; i < 4; i++)
        chips[i] = topo_add_vertex(b, TOPO_CHIP, 0, 0, -1);
    int32_t nic = topo_add_vertex(b, TOPO_NIC, 0, 0, chips[0]);
    topo_add_link(b, chips[0], nic, TOPO_LINK_PCI, -1, 0, 900, 0);
    topo_add_link(b, nic, chips[3], TOPO_LINK_PCI, -1, 0, 900, 0);
    for (int i = 0; i < 4; i++) {
        int32_t core = topo_add_vertex(b, TOPO_CORE, 0, 0, chips[i]);
        topo_add_link(b, core, chips[i], TOPO_LINK_DIE, -1, 0, 300, 0);
        topo_add_seat(b, core, nic);
    }
    topo_add_link(b, chips[0], chips[1], TOPO_LINK_NEURON, -1, 0, 500, 0);
    topo_add_link(b, chips[1], chips[3], TOPO_LINK_NEURON, -1, 0, over_1, 0);
    topo_add_link(b, chips[0], chips[2], TOPO_LINK_NEURON, -1, 0, 400, 0);
    topo_add_link(b, chips[2], chips[3], TOPO_LINK_NEURON, -1, 0, over_2, 0);
    const struct topo_box *box;
    if (topo_box_finish(b, &box) != trncclSuccess)
        fail_msg("%s", error_text());
    topo_builder_destroy(b);
    return model_of(box, 2);
}

static int32_t middle_of(double over_1, double over_2, int32_t from, int32_t to)
{
    struct topo_model *m = diamond(over_1, over_2);
    struct topo_paths *paths = paths_of(m);
    int32_t links[8];
    assert_int_equal(topo_path_seats(paths, 0, from, to, links), 4);
    int32_t middle = m->boxes[0]->vertices[m->boxes[0]->links[links[1]].to].index;
    topo_paths_destroy(paths);
    topo_model_destroy(m);
    return middle;
}

static void route_with_two_ways_takes_the_widest(void **state)
{
    (void)state;
    assert_int_equal(middle_of(100, 200, 0, 3),
                     2); /* its first link is the narrower one */
    assert_int_equal(middle_of(200, 100, 0, 3), 1);
    assert_int_equal(middle_of(100, 200, 3, 0), 2);
    assert_int_equal(middle_of(450, 450, 0, 3), 1); /* 450 over 1, 400 over 2 */
    assert_int_equal(middle_of(100, 100, 0, 3), 1); /* equal: always the first */
}

static void route_to_a_far_nic_goes_over_chips(void **state)
{
    (void)state;
    struct topo_model *m = diamond(100, 200);
    const struct topo_box *box = m->boxes[0];
    struct topo_paths *paths = paths_of(m);
    int32_t links[8], nic = box->nics[0];
    for (int32_t seat = 0; seat < 4; seat++) {
        int32_t n = topo_path_nic(paths, 1, seat, true, links);
        assert_int_equal(n, seat == 0 || seat == 3 ? 2 : 3);
        assert_walks(box, links, n, box->seats[seat].core, nic);
        n = topo_path_nic(paths, 1, seat, false, links);
        assert_walks(box, links, n, nic, box->seats[seat].core);
    }
    topo_paths_destroy(paths);
    topo_model_destroy(m);
}

static void route_between_boxes_passes_both_nics(void **state)
{
    (void)state;
    const char *const names[] = {"trn1", "trn2u", "trn3-gen2", "host"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct topo_model *m = preset_model(names[i], 3);
        const struct topo_box *box = m->boxes[0];
        struct topo_paths *paths = paths_of(m);
        struct topo_hop *hops = calloc((size_t)topo_paths_max_hops(paths), sizeof *hops);
        for (int32_t seat = 0; seat < box->nseats; seat++) {
            int32_t to = m->first_rank[2] + (seat * 5 + 1) % box->nseats;
            int32_t n = topo_path_find(paths, m->first_rank[1] + seat, to, hops);
            assert_in_range(n, 6, topo_paths_max_hops(paths));
            int32_t at = box->seats[seat].core, in_box = 1;
            for (int32_t k = 0; k < n; k++) {
                assert_int_equal(hops[k].box, in_box);
                if (hops[k].link >= 0) {
                    assert_int_equal(box->links[hops[k].link].from, at);
                    at = box->links[hops[k].link].to;
                    continue;
                }
                assert_int_equal(hops[k].nic, at);
                assert_int_equal(hops[k].outward, 1);
                k++; /* into the other box */
                at = box->seats[to - m->first_rank[2]].nic;
                in_box = 2;
                assert_int_equal(hops[k].nic, at);
                assert_int_equal(hops[k].outward, 0);
                assert_int_equal(hops[k].box, 2);
            }
            assert_int_equal(at, box->seats[to - m->first_rank[2]].core);
            assert_int_equal(topo_path_find(paths, to, to, hops), 0);
        }
        free(hops);
        topo_paths_destroy(paths);
        topo_model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_of_every_pair_is_a_shortest_walk),
        cmocka_unit_test(route_on_a_torus_goes_by_dimension_ties_to_plus),
        cmocka_unit_test(route_on_two_chips_uses_the_one_link),
        cmocka_unit_test(route_with_two_ways_takes_the_widest),
        cmocka_unit_test(route_to_a_far_nic_goes_over_chips),
        cmocka_unit_test(route_between_boxes_passes_both_nics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
