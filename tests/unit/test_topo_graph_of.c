#include <math.h>
#include <string.h>

#include "tests/support/digraphs.h"

#include "topo/flow_bound.h"
#include "topo/graph_of.h"

/* A box by hand: `side` x `side` chips on a torus, `cores` to each, a NIC to each.
 * Vertices are the cores, chips and NICs of chip 0, then those of chip 1, ...: not in the
 * order of the graph. */
enum { MAX_VERTICES = 16 * 6, MAX_LINKS = 16 * 20 };

struct hand {
    struct topo_box box;
    struct topo_vertex vertices[MAX_VERTICES];
    struct topo_link links[MAX_LINKS];
    int32_t first_link[MAX_VERTICES + 1], chips[16], nics[16];
    struct topo_seat seats[64];
    int32_t per_chip;
};

static void add_link(struct hand *h, int32_t from, int32_t to, uint8_t kind, double bw)
{
    h->links[h->box.nlinks++] =
        (struct topo_link){.from = from, .to = to, .kind = kind, .bw_gbps = bw};
}

static void add_links_of(struct hand *h, int32_t side, int32_t v, double link)
{
    int32_t chip = v / h->per_chip, part = v % h->per_chip, cores = h->per_chip - 2;
    int32_t base = chip * h->per_chip, x = chip % side, y = chip / side;
    if (part != cores) {
        add_link(h, v, base + cores, part < cores ? TOPO_LINK_DIE : TOPO_LINK_PCI, 500);
        return;
    }
    for (int32_t i = 0; i < cores; i++)
        add_link(h, v, base + i, TOPO_LINK_DIE, 500);
    add_link(h, v, base + cores + 1, TOPO_LINK_PCI, 500);
    const int32_t steps[4][2] = {{1, 0}, {side - 1, 0}, {0, 1}, {0, side - 1}};
    for (int i = 0; i < 4; i++) {
        int32_t to = (x + steps[i][0]) % side + (y + steps[i][1]) % side * side;
        add_link(h, v, to * h->per_chip + cores, TOPO_LINK_NEURON, link);
    }
}

static struct hand *hand_box(int32_t side, int32_t cores, double link, double nic)
{
    struct hand *h = calloc(1, sizeof *h);
    assert_non_null(h);
    h->per_chip = cores + 2;
    struct topo_box *box = &h->box;
    snprintf(box->name, sizeof box->name, "by hand");
    box->nchips = box->nnics = side * side;
    box->nvertices = box->nchips * h->per_chip;
    for (int32_t v = 0; v < box->nvertices; v++) {
        int32_t chip = v / h->per_chip, part = v % h->per_chip;
        h->first_link[v] = box->nlinks;
        add_links_of(h, side, v, link);
        h->vertices[v].kind = part < cores    ? TOPO_CORE
                              : part == cores ? TOPO_CHIP
                                              : TOPO_NIC;
        if (part < cores)
            h->seats[box->nseats++] = (struct topo_seat){
                .core = v, .chip = chip * h->per_chip + cores, .nic = -1};
        else if (part == cores)
            h->chips[chip] = v;
        else
            h->nics[chip] = v;
        h->vertices[v].bw_gbps = part == cores + 1 ? nic : 0;
    }
    h->first_link[box->nvertices] = box->nlinks;
    box->vertices = h->vertices;
    box->links = h->links;
    box->first_link = h->first_link;
    box->seats = h->seats;
    box->chips = h->chips;
    box->nics = h->nics;
    return h;
}

/* Time per byte of the whole vector in ns. */
static double bound_ns(const struct graph_of *g)
{
    struct flow_bound bound;
    assert_int_equal(digraph_check(g->graph), trncclSuccess);
    assert_int_equal(flow_allgather_bound(g->graph, g->weights, &bound, NULL),
                     trncclSuccess);
    return flow_ratio_value(bound.time) / g->unit_gbps;
}

static void assert_near(double a, double b)
{
    if (!(a > b * (1 - 1e-12) && a < b * (1 + 1e-12)))
        print_message("%.15g is not %.15g\n", a, b);
    assert_true(a > b * (1 - 1e-12) && a < b * (1 + 1e-12));
}

static void box_alone_is_its_torus_of_chips(void **state)
{
    (void)state;
    struct hand *h = hand_box(4, 4, 128, 25);
    struct graph_of *g;
    assert_int_equal(graph_of_box(&h->box, &g), trncclSuccess);
    assert_int_equal(g->graph->nvertices, 16);
    assert_int_equal(g->graph->nedges, 64);
    assert_int_equal(digraph_terminals(g->graph), 16);
    assert_near(g->unit_gbps, 128);
    for (int32_t v = 0; v < 16; v++) {
        assert_int_equal(g->box_vertex[v], h->chips[v]);
        assert_int_equal(g->weights[v], 4);
    }
    /* 60 of 64 blocks enter a chip over four links of 128 GB/s */
    assert_near(bound_ns(g), 60.0 / 64 / 512);
    graph_of_destroy(g);
    free(h);
}

static void box_in_a_cluster_is_bound_by_chips_or_nics(void **state)
{
    (void)state;
    struct hand *h = hand_box(4, 2, 128, 25);
    struct graph_of *g;
    assert_int_equal(graph_of_box_in_cluster(&h->box, 32, 1, &g), trncclSuccess);
    assert_int_equal(g->graph->nvertices, 33);
    assert_int_equal(g->box_vertex[32], -1);
    assert_int_equal(g->weights[32], 32);
    assert_int_equal(digraph_terminals(g->graph), 17);
    /* 32 of 64 blocks enter the box by 16 NICs; 62 of 64 a chip by 4 links and a NIC */
    assert_near(bound_ns(g), 62.0 / 64 / (4 * 128 + 25));
    graph_of_destroy(g);
    assert_int_equal(graph_of_box_in_cluster(&h->box, 500000 - 32, 0.8, &g), 0);
    assert_near(bound_ns(g), (500000.0 - 32) / 500000 / (16 * 20));
    graph_of_destroy(g);
    free(h);
}

static void box_with_two_links_between_chips_adds_them_up(void **state)
{
    (void)state;
    struct hand *h = hand_box(2, 1, 38.4, 25); /* each way round is the same neighbour */
    struct graph_of *g;
    assert_int_equal(graph_of_box(&h->box, &g), trncclSuccess);
    assert_int_equal(g->graph->nedges, 8);
    assert_int_equal(g->graph->edges[0].capacity, 1);
    assert_near(g->unit_gbps, 76.8);
    graph_of_destroy(g);
    free(h);
}

/* A chip all of whose cores are taken forwards, but receives nothing. */
static void box_with_a_chip_without_seats_keeps_its_links(void **state)
{
    (void)state;
    struct hand *h = hand_box(4, 2, 128, 25);
    struct graph_of *g;
    h->box.nseats -= 2;
    h->box.seats += 2;
    assert_int_equal(graph_of_box(&h->box, &g), trncclSuccess);
    assert_int_equal(g->graph->nedges, 64);
    assert_false(g->graph->terminal[0]);
    assert_int_equal(digraph_terminals(g->graph), 15);
    assert_near(bound_ns(g), 28.0 / 30 / 512);
    graph_of_destroy(g);
    free(h);
}

/* The planted faults, each in a sound box. */
static void box_that_cannot_be_a_graph_is_refused(void **state)
{
    (void)state;
    struct graph_of *g = NULL;
    const double bad[] = {0, -1, 1e-9, 1e9, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hand *h = hand_box(4, 1, bad[i], 25);
        assert_int_equal(graph_of_box(&h->box, &g), trncclInvalidArgument);
        assert_non_null(strstr(error_text(), "by hand"));
        free(h);
    }
    struct hand *h = hand_box(4, 1, 128, 25);
    assert_int_equal(graph_of_box_in_cluster(&h->box, -1, 1, &g), trncclInvalidArgument);
    assert_int_equal(graph_of_box_in_cluster(&h->box, 1, 0, &g), trncclInvalidArgument);
    assert_int_equal(graph_of_box_in_cluster(&h->box, 1, 1.1, &g), trncclInvalidArgument);
    h->box.nseats = 0;
    assert_int_equal(graph_of_box(&h->box, &g), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "no seat"));
    assert_null(g);
    graph_of_destroy(NULL);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(box_alone_is_its_torus_of_chips),
        cmocka_unit_test(box_in_a_cluster_is_bound_by_chips_or_nics),
        cmocka_unit_test(box_with_two_links_between_chips_adds_them_up),
        cmocka_unit_test(box_with_a_chip_without_seats_keeps_its_links),
        cmocka_unit_test(box_that_cannot_be_a_graph_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
