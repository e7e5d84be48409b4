#include "tests/support/rings.h"

#include "topo/search_hop.h"

static struct search_rings *rings_of(const struct digraph *g, int32_t max_cycles)
{
    struct search_rings *r = NULL;
    assert_int_equal(search_rings_graph(g, max_cycles, SEARCH_RINGS_BUDGET, &r),
                     trncclSuccess);
    return r;
}

static void graph_that_is_a_whole_torus_has_all_cycles(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    struct search_rings *r = rings_of(g, 4);
    assert_int_equal(r->ncycles, 2);
    assert_null(rings_fault(g, r, true));
    search_rings_destroy(r);
    digraph_destroy(g);
    g = graphs_torus(3, (const int32_t[]){4, 4, 4}, (const int32_t[]){1, 1, 1});
    r = rings_of(g, 4);
    print_message("4x4x4 by rotation and extension: %d cycles\n", (int)r->ncycles);
    assert_true(r->ncycles >= 2);
    assert_null(rings_fault(g, r, false));
    search_rings_destroy(r);
    digraph_destroy(g);
}

/* A chip with three links left is on one cycle at most. */
static void graph_with_any_dead_link_has_one_cycle(void **state)
{
    (void)state;
    struct digraph *whole = graphs_torus_4x4();
    for (int32_t e = 0; e < whole->nedges; e += 2) {
        struct digraph *g = graphs_torus_4x4();
        graphs_cut(g, whole->edges[e].from, whole->edges[e].to);
        struct search_rings *r = rings_of(g, 4);
        assert_int_equal(r->ncycles, 1);
        assert_null(rings_fault(g, r, false));
        search_rings_destroy(r);
        digraph_destroy(g);
    }
    digraph_destroy(whole);
}

/* Colours alternate along any path on a torus of even sides; seven cannot alternate with
 * eight. In the 5x5 torus nothing stands in the way. */
static void graph_with_a_dead_chip_has_a_cycle_where_one_can_be(void **state)
{
    (void)state;
    for (int32_t k = 4; k <= 5; k++) {
        struct digraph *whole =
            graphs_torus(2, (const int32_t[]){k, k}, (const int32_t[]){1, 1});
        for (int32_t v = 0; v < k * k; v++) {
            struct digraph *g = graphs_without(whole, v);
            struct search_rings *r = rings_of(g, 4);
            assert_int_equal(r->ncycles, k == 4 ? 0 : 1);
            assert_null(rings_fault(g, r, false));
            search_rings_destroy(r);
            digraph_destroy(g);
        }
        digraph_destroy(whole);
    }
}

static void graph_of_chance_gets_sound_rings(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    int found = 0;
    for (int i = 0; i < 100; i++) {
        int32_t n = 3 + search_random_below(&seed, 20);
        struct digraph *g = graphs_random(n, 0, 1 + i % 5, &seed);
        struct search_rings *r = NULL;
        assert_int_equal(search_rings_graph(g, 3, 100000, &r), trncclSuccess);
        assert_null(rings_fault(g, r, false));
        found += r->ncycles > 0;
        search_rings_destroy(r);
        digraph_destroy(g);
    }
    print_message("%d of 100 random graphs got a ring\n", found);
}

/* Eight chips on one switch: a ring uses a chip's port for both its neighbours. Two
 * planes of switches: twice the weight. */
static void graph_of_switched_chips_gets_the_ports_used_up(void **state)
{
    (void)state;
    for (int32_t planes = 1; planes <= 2; planes++) {
        struct digraph *g = graphs_empty(8 + planes, 32);
        for (int32_t p = 0; p < planes; p++) {
            g->terminal[8 + p] = false;
            for (int32_t v = 0; v < 8; v++)
                graphs_join(g, v, 8 + p, 6);
        }
        struct search_rings *r = rings_of(g, 8);
        assert_int_equal(r->nvertices, 8);
        assert_int_equal(r->scale, 2);
        assert_int_equal(rings_weight(r), 6 * planes);
        for (int32_t c = 0; c < r->ncycles; c++) {
            uint32_t seen = 0;
            for (int32_t i = 0; i < 8; i++)
                seen |= UINT32_C(1) << r->orders[c * 8 + i];
            assert_int_equal(seen, 0xff);
        }
        search_rings_destroy(r);
        digraph_destroy(g);
    }
}

static void graph_search_without_sense_is_refused(void **state)
{
    (void)state;
    struct search_rings *r = NULL;
    struct digraph *g = graphs_torus_4x4();
    assert_int_equal(search_rings_graph(g, 0, 1, &r), trncclInvalidArgument);
    assert_int_equal(search_rings_graph(g, 1, -1, &r), trncclInvalidArgument);
    g->edges[3].to = 99;
    assert_int_equal(search_rings_graph(g, 1, 1, &r), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "edge 3"));
    assert_null(r);
    digraph_destroy(g);
}

static void graph_search_without_budget_finds_nothing(void **state)
{
    (void)state;
    struct search_rings *r = NULL;
    struct digraph *g = graphs_torus_4x4();
    assert_int_equal(search_rings_graph(g, 2, 0, &r), trncclSuccess);
    assert_int_equal(r->ncycles, 0);
    search_rings_destroy(r);
    digraph_destroy(g);
}

static void hops_through_switches_reach_what_no_link_does(void **state)
{
    (void)state;
    /* 0 - 1 directly; 0, 1 - switch 3 - switch 4 - 2; 1 - switch 4 */
    struct digraph *g = graphs_empty(5, 12);
    graphs_join(g, 0, 1, 1);
    graphs_join(g, 0, 3, 1);
    graphs_join(g, 1, 3, 1);
    graphs_join(g, 3, 4, 1);
    graphs_join(g, 4, 2, 1);
    graphs_join(g, 1, 4, 1);
    g->terminal[3] = g->terminal[4] = false;
    struct search_hops *h;
    assert_int_equal(search_hops_create(g, &h), trncclSuccess);
    /* from 0: 1 by link; 1, 2 by switch 3. From 1: 0; 0, 2 by 3; 2, 0 by 4. From 2: 0, 1
     */
    assert_int_equal(h->nhops, 10);
    assert_int_equal(h->first[1], 3);
    assert_int_equal(h->first[2], 8);
    for (int32_t i = 0; i < h->nhops; i++) {
        const struct search_hop *hop = &h->hops[i];
        int32_t at = hop->from;
        for (int32_t k = 0; k < hop->nedges; k++) {
            assert_int_equal(g->edges[h->path[hop->first + k]].from, at);
            at = g->edges[h->path[hop->first + k]].to;
            assert_int_equal(g->terminal[at], k == hop->nedges - 1);
        }
        assert_int_equal(at, hop->to);
    }
    search_hops_destroy(h);
    digraph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_that_is_a_whole_torus_has_all_cycles),
        cmocka_unit_test(graph_with_any_dead_link_has_one_cycle),
        cmocka_unit_test(graph_with_a_dead_chip_has_a_cycle_where_one_can_be),
        cmocka_unit_test(graph_of_chance_gets_sound_rings),
        cmocka_unit_test(graph_of_switched_chips_gets_the_ports_used_up),
        cmocka_unit_test(graph_search_without_sense_is_refused),
        cmocka_unit_test(graph_search_without_budget_finds_nothing),
        cmocka_unit_test(hops_through_switches_reach_what_no_link_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
