/* Damage: what goes, what stays, who serves whom afterwards; and random damage, after
 * which every box must stand, route and hash as another. Planted: damage of nothing,
 * which must not change the hash. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/topo_mutate.h"
#include "topo/damage.h"
#include "topo/path.h"
#include "topo/preset.h"
#include "topo/spec.h"

enum { NRANDOM = 400 };

static struct topo_model *parsed(const char *text)
{
    struct topo_model *m;
    if (topo_spec_parse(text, &m) != trncclSuccess)
        fail_msg("%s", error_text());
    return m;
}

static void chip_that_is_dead_takes_its_parts_along(void **state)
{
    (void)state;
    struct topo_model *m = parsed("trn2 dead_chip=5");
    const struct topo_box *box = m->boxes[0];
    assert_int_equal(box->nchips, 15);
    assert_int_equal(box->nnics, 15);
    assert_int_equal(box->nseats, 60);
    assert_int_equal(box->ndims, 0);
    assert_int_equal(box->seats_per_chip, 4);
    assert_string_equal(box->vertices[box->chips[5]].name, "chip 6"); /* names stay */
    assert_string_equal(box->vertices[box->seats[20].core].name, "core 24");
    topo_model_destroy(m);
}

static void nic_of_two_chips_survives_one_of_them(void **state)
{
    (void)state;
    struct topo_model *m = parsed("trn1 dead_chip=0");
    const struct topo_box *box = m->boxes[0];
    assert_int_equal(box->nnics, 8);
    assert_int_equal(box->seats[0].nic, box->nics[0]);
    assert_int_equal(box->vertices[box->nics[0]].chip, box->chips[0]);
    topo_model_destroy(m);
}

static void seats_without_nic_are_spread_over_neighbours(void **state)
{
    (void)state;
    struct topo_model *m = parsed("trn2 no_nic=5");
    const struct topo_box *box = m->boxes[0];
    assert_int_equal(box->ndims, 2); /* chips are whole */
    int32_t served[16] = {0};
    for (int32_t s = 0; s < box->nseats; s++)
        served[box->vertices[box->vertices[box->seats[s].nic].chip].index]++;
    for (int32_t c = 0; c < 16; c++) { /* neighbours of 5: 1, 4, 6, 9 */
        bool neighbour = c == 1 || c == 4 || c == 6 || c == 9;
        assert_int_equal(served[c], c == 5 ? 0 : neighbour ? 5 : 4);
    }
    topo_model_destroy(m);
}

static void link_that_is_slow_or_dead_ends_the_torus(void **state)
{
    (void)state;
    struct topo_model *whole = parsed("trn2"), *slow = parsed("trn2 slow_link=4-5:0.5");
    struct topo_model *dead = parsed("trn2 dead_link=4-5");
    assert_int_equal(slow->boxes[0]->ndims, 0);
    assert_int_equal(slow->boxes[0]->nlinks, whole->boxes[0]->nlinks);
    assert_int_equal(dead->boxes[0]->nlinks, whole->boxes[0]->nlinks - 2);
    int nslow = 0;
    for (int32_t l = 0; l < slow->boxes[0]->nlinks; l++)
        nslow += slow->boxes[0]->links[l].bw_gbps == 64;
    assert_int_equal(nslow, 2);
    topo_model_destroy(whole);
    topo_model_destroy(slow);
    topo_model_destroy(dead);
}

static void damage_of_nothing_keeps_the_hash(void **state)
{
    (void)state;
    struct topo_model *whole = parsed("trn2"), *same = parsed("trn2 ranks=0-63");
    struct topo_model *other = parsed("trn2 ranks=0-62");
    assert_true(topo_box_equal(whole->boxes[0], same->boxes[0]));
    assert_true(topo_model_hash(whole) == topo_model_hash(same));
    assert_true(topo_model_hash(whole) != topo_model_hash(other));
    topo_model_destroy(whole);
    topo_model_destroy(same);
    topo_model_destroy(other);
}

static void damage_random(uint64_t *random, const struct topo_box *box,
                          struct topo_damage *d)
{
    int n = 1 + (int)mutate_random(random, 3);
    for (int i = 0; i < n; i++) {
        int32_t chip = (int32_t)mutate_random(random, (uint32_t)box->nchips);
        const struct topo_link *link =
            &box->links[mutate_random(random, (uint32_t)box->nlinks)];
        const struct topo_vertex *a = &box->vertices[link->from];
        const struct topo_vertex *b = &box->vertices[link->to];
        switch (mutate_random(random, 4)) {
        case 0:
            assert_int_equal(topo_damage_chips(d, chip, chip), trncclSuccess);
            break;
        case 1:
            if (link->kind == TOPO_LINK_NEURON)
                assert_int_equal(
                    topo_damage_link(d, (struct topo_end){a->kind, a->index},
                                     (struct topo_end){b->kind, b->index},
                                     mutate_random(random, 2) == 0 ? 0 : 0.5),
                    trncclSuccess);
            break;
        case 2:
            if (box->nnics > 0) {
                int32_t nic = (int32_t)mutate_random(random, (uint32_t)box->nnics);
                assert_int_equal(topo_damage_nics(d, nic, nic), trncclSuccess);
            }
            break;
        default:
            assert_int_equal(topo_damage_keep(d, chip + 1, box->nseats - 1),
                             trncclSuccess);
        }
    }
}

static void assert_all_routes(const struct topo_box *box)
{
    struct topo_model *m;
    struct topo_paths *paths;
    const struct topo_net net = {1, 0, 1};
    assert_int_equal(topo_model_create("m", &box, 1, &net, &m), trncclSuccess);
    assert_int_equal(topo_paths_create(m, &paths), trncclSuccess);
    int32_t *links = calloc((size_t)topo_paths_max_hops(paths), sizeof *links);
    for (int32_t a = 0; a < m->nranks; a += 1 + m->nranks / 16)
        for (int32_t b = 0; b < m->nranks; b += 1 + m->nranks / 32) {
            int32_t n = topo_path_seats(paths, 0, a, b, links);
            int32_t at = box->seats[a].core;
            assert_true(n >= 0);
            for (int32_t i = 0; i < n; i++) {
                assert_int_equal(box->links[links[i]].from, at);
                at = box->links[links[i]].to;
            }
            assert_int_equal(at, box->seats[b].core);
        }
    free(links);
    topo_paths_destroy(paths);
    topo_model_destroy(m);
}

static uint64_t hash_of(const struct topo_box *box)
{
    struct topo_model *m;
    const struct topo_net net = {1, 0, 1};
    assert_int_equal(topo_model_create("m", &box, 1, &net, &m), trncclSuccess);
    uint64_t hash = topo_model_hash(m);
    topo_model_destroy(m);
    return hash;
}

static void damage_at_random_leaves_boxes_that_stand_and_route(void **state)
{
    (void)state;
    static const char *const names[] = {"trn2", "trn1", "trn2u", "inf2", "trn3-gen1"};
    uint64_t random = mutate_seed();
    int napplied = 0;
    for (int i = 0; i < NRANDOM; i++) {
        struct topo_model *m = parsed(names[i % 5]);
        const struct topo_box *whole = m->boxes[0], *box = NULL, *again = NULL;
        struct topo_damage d = {0};
        damage_random(&random, whole, &d);
        if (!topo_damage_none(&d) &&
            topo_damage_apply(whole, &d, &box) == trncclSuccess) {
            assert_true(box_stands(box));
            assert_true(hash_of(box) != hash_of(whole));
            assert_false(topo_box_equal(box, whole));
            assert_int_equal(topo_damage_apply(whole, &d, &again), trncclSuccess);
            assert_true(topo_box_equal(box, again));
            const struct topo_box *both[] = {box, again};
            struct topo_model *two;
            assert_int_equal(topo_model_create("two", both, 2, &m->net, &two),
                             trncclSuccess);
            assert_ptr_equal(two->boxes[0], two->boxes[1]);
            topo_model_destroy(two);
            assert_all_routes(box);
            topo_box_put(box);
            topo_box_put(again);
            napplied++;
        }
        topo_damage_fini(&d);
        topo_model_destroy(m);
    }
    printf("%d of %d applied\n", napplied, NRANDOM);
    assert_true(napplied > NRANDOM / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chip_that_is_dead_takes_its_parts_along),
        cmocka_unit_test(nic_of_two_chips_survives_one_of_them),
        cmocka_unit_test(seats_without_nic_are_spread_over_neighbours),
        cmocka_unit_test(link_that_is_slow_or_dead_ends_the_torus),
        cmocka_unit_test(damage_of_nothing_keeps_the_hash),
        cmocka_unit_test(damage_at_random_leaves_boxes_that_stand_and_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
