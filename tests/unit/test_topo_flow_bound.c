#include <string.h>

#include "tests/support/digraphs.h"

#include "topo/flow_bound.h"

static void assert_ratio(struct flow_ratio r, int64_t num, int64_t den)
{
    struct flow_ratio wanted = flow_ratio_make(num, den);
    if (r.num != wanted.num || r.den != wanted.den)
        print_message("found %lld/%lld, wanted %lld/%lld\n", (long long)r.num,
                      (long long)r.den, (long long)wanted.num, (long long)wanted.den);
    assert_true(r.num == wanted.num && r.den == wanted.den);
}

/* The oracle: every set of vertices is looked at. {0, 0} if some set has no way out. */
static struct flow_ratio worst_cut(const struct digraph *g, const int64_t *weights)
{
    struct flow_ratio worst = {0, 1};
    int64_t ranks = 0;
    for (int32_t v = 0; v < g->nvertices; v++)
        ranks += g->terminal[v] ? weights[v] : 0;
    for (uint32_t set = 1; set < (UINT32_C(1) << g->nvertices) - 1; set++) {
        int64_t inside = 0, capacity = 0;
        for (int32_t v = 0; v < g->nvertices; v++)
            inside += g->terminal[v] && set >> v & 1 ? weights[v] : 0;
        for (int32_t e = 0; e < g->nedges; e++)
            if (set >> g->edges[e].from & 1 && !(set >> g->edges[e].to & 1))
                capacity += g->edges[e].capacity;
        if (inside == 0 || inside == ranks)
            continue;
        if (capacity == 0)
            return (struct flow_ratio){0, 0};
        struct flow_ratio here = flow_ratio_make(inside, capacity * ranks);
        if (flow_ratio_compare(here, worst) > 0)
            worst = here;
    }
    return worst;
}

static void assert_cut_binds(const struct digraph *g, const int64_t *weights,
                             const struct flow_bound *bound, const bool *cut)
{
    int64_t inside = 0, capacity = 0;
    for (int32_t v = 0; v < g->nvertices; v++)
        inside += cut[v] && g->terminal[v] ? weights[v] : 0;
    for (int32_t e = 0; e < g->nedges; e++)
        if (cut[g->edges[e].from] && !cut[g->edges[e].to])
            capacity += g->edges[e].capacity;
    assert_int_equal(inside, bound->blocks);
    assert_int_equal(capacity, bound->capacity);
}

static void allgather_on_random_graphs_equals_the_worst_cut(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    int refused = 0;
    for (int i = 0; i < 200; i++) {
        int32_t n = 2 + search_random_below(&seed, i % 20 ? 8 : 11);
        int32_t nswitches = search_random_below(&seed, n / 2);
        struct digraph *g = graphs_random(n, nswitches, 1 + i % 9, &seed);
        if (i % 4 == 0) /* links in one direction only, perhaps no way at all */
            g->nedges -= search_random_below(&seed, 3);
        int64_t weights[12];
        for (int32_t v = 0; v < n; v++)
            weights[v] = i % 3 ? 1 : 1 + search_random_below(&seed, 4);
        struct flow_ratio wanted = worst_cut(g, weights);
        struct flow_bound found;
        bool cut[12];
        trncclResult_t result = flow_allgather_bound(g, weights, &found, cut);
        if (wanted.den == 0) {
            assert_int_equal(result, trncclInvalidArgument);
            refused++;
        } else {
            assert_int_equal(result, trncclSuccess);
            assert_ratio(found.time, wanted.num, wanted.den);
            assert_cut_binds(g, weights, &found, cut);
        }
        digraph_destroy(g);
    }
    print_message("%d of 200 graphs were not connected\n", refused);
}

static void allgather_on_tori_binds_at_one_chip(void **state)
{
    (void)state;
    struct flow_bound bound;
    struct digraph *g = graphs_torus_4x4();
    assert_int_equal(flow_allgather_bound(g, NULL, &bound, NULL), trncclSuccess);
    assert_ratio(bound.time, 15, 4 * 16);
    digraph_destroy(g);
    g = graphs_torus(3, (const int32_t[]){4, 4, 4}, (const int32_t[]){2, 2, 1});
    assert_int_equal(flow_allgather_bound(g, NULL, &bound, NULL), trncclSuccess);
    assert_ratio(bound.time, 63, 10 * 64);
    digraph_destroy(g);
}

/* Two 4x4 tori with links of 1, every pair of chips joined through a NIC of `nic`. */
static struct digraph *two_boxes(int64_t link, int64_t nic)
{
    struct digraph *g = graphs_empty(32, 2 * 32 * 2 + 2 * 16);
    struct digraph *box = graphs_torus_4x4();
    for (int32_t b = 0; b < 2; b++)
        for (int32_t e = 0; e < box->nedges; e++)
            g->edges[g->nedges++] = (struct digraph_edge){
                box->edges[e].from + 16 * b, box->edges[e].to + 16 * b, link};
    for (int32_t v = 0; v < 16; v++)
        graphs_join(g, v, v + 16, nic);
    digraph_destroy(box);
    return g;
}

/* One chip is entered by 31 blocks over four links and a NIC, a chip and its partner by
 * 30 over eight links, one box by 16 over its NICs. */
static void allgather_on_two_boxes_is_the_worst_of_chip_pair_and_box(void **state)
{
    (void)state;
    const int64_t links[] = {5, 1, 128}, nics[] = {1, 5, 5};
    const int64_t known[][2] = {{31, 32 * 21}, {30, 32 * 8}, {16, 32 * 16 * 5}};
    for (int i = 0; i < 3; i++) {
        struct digraph *g = two_boxes(links[i], nics[i]);
        struct flow_bound bound;
        assert_int_equal(flow_allgather_bound(g, NULL, &bound, NULL), trncclSuccess);
        assert_ratio(bound.time, known[i][0], known[i][1]);
        digraph_destroy(g);
    }
}

/* A rest of the cluster as one vertex with its ranks as weight is as good as having it.
 */
static void allgather_with_a_weight_equals_the_whole_cluster(void **state)
{
    (void)state;
    struct flow_ratio times[2];
    for (int folded = 0; folded < 2; folded++) {
        struct digraph *box = graphs_torus_4x4();
        int32_t nboxes = folded ? 1 : 3, n = 16 * nboxes + 1;
        struct digraph *g = graphs_empty(n, n * 10);
        for (int32_t v = 0; v < 16 * nboxes; v++) {
            graphs_join(g, v, n - 1, 1);
            for (int32_t e = 0; e < box->nedges; e++)
                if (box->edges[e].from == v % 16)
                    g->edges[g->nedges++] =
                        (struct digraph_edge){v, v - v % 16 + box->edges[e].to, 3};
        }
        int64_t weights[49];
        for (int32_t v = 0; v < n; v++)
            weights[v] = 1;
        weights[n - 1] = folded ? 32 : 0;
        struct flow_bound bound;
        assert_int_equal(flow_allgather_bound(g, weights, &bound, NULL), trncclSuccess);
        times[folded] = bound.time;
        digraph_destroy(box);
        digraph_destroy(g);
    }
    assert_int_equal(flow_ratio_compare(times[0], times[1]), 0);
    assert_ratio(times[0], 47, 48 * 13);
}

static void reduce_scatter_of_a_one_way_graph_turns_it_round(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    for (int i = 0; i < 30; i++) {
        struct digraph *g = graphs_random(6, 0, 5, &seed), *turned;
        for (int32_t e = 0; e < g->nedges; e++)
            g->edges[e].capacity = 1 + search_random_below(&seed, 6);
        struct flow_bound scatter, gather;
        struct flow_ratio both;
        int64_t ones[] = {1, 1, 1, 1, 1, 1};
        assert_int_equal(digraph_reverse(g, &turned), trncclSuccess);
        assert_int_equal(flow_reduce_scatter_bound(g, NULL, &scatter, NULL), 0);
        assert_int_equal(flow_allgather_bound(g, NULL, &gather, NULL), 0);
        struct flow_ratio wanted = worst_cut(turned, ones);
        assert_ratio(scatter.time, wanted.num, wanted.den);
        assert_int_equal(flow_allreduce_bound(g, NULL, &both), trncclSuccess);
        assert_ratio(
            both, scatter.time.num * gather.time.den + gather.time.num * scatter.time.den,
            scatter.time.den * gather.time.den);
        digraph_destroy(g);
        digraph_destroy(turned);
    }
}

static void broadcast_is_bound_by_the_narrowest_way(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    struct flow_ratio time;
    assert_int_equal(flow_broadcast_bound(g, 0, &time), trncclSuccess);
    assert_ratio(time, 1, 4);
    graphs_cut(g, 5, 6);
    assert_int_equal(flow_broadcast_bound(g, 0, &time), trncclSuccess);
    assert_ratio(time, 1, 3);
    g->edges[g->nedges++] = (struct digraph_edge){5, 6, 1}; /* back, but one way */
    assert_int_equal(flow_broadcast_bound(g, 0, &time), trncclSuccess);
    assert_ratio(time, 1, 3);
    assert_int_equal(flow_reduce_bound(g, 5, &time), trncclSuccess);
    assert_ratio(time, 1, 3);
    assert_int_equal(flow_broadcast_bound(g, 16, &time), trncclInvalidArgument);
    digraph_destroy(g);
}

/* The torus in closed form against its graph, where the rates are equal; and what is
 * known of 4-ary tori: M / (2 b). */
static void all_to_all_on_tori_is_the_distance_over_the_links(void **state)
{
    (void)state;
    const int32_t dims[][3] = {{4, 4, 1}, {4, 4, 4}, {3, 3, 3}, {5, 5, 1}, {2, 2, 2}};
    const int32_t rates[] = {1, 1, 1};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        struct digraph *g = graphs_torus(3, dims[i], rates);
        struct flow_ratio closed, counted;
        assert_int_equal(flow_all_to_all_torus_bound(3, dims[i], rates, &closed), 0);
        assert_int_equal(flow_all_to_all_bound(g, &counted), trncclSuccess);
        assert_int_equal(flow_ratio_compare(closed, counted), 0);
        if (dims[i][0] == 4)
            assert_ratio(closed, 1, 2);
        digraph_destroy(g);
    }
    struct flow_ratio time;
    assert_int_equal(
        flow_all_to_all_torus_bound(3, dims[1], (const int32_t[]){2, 2, 1}, &time), 0);
    assert_ratio(time, 1, 2); /* the slow dimension binds alone */
    assert_int_equal(
        flow_all_to_all_torus_bound(2, (const int32_t[]){4, 0}, rates, &time),
        trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "dimension 1"));
}

static void bounds_of_one_vertex_are_zero(void **state)
{
    (void)state;
    struct digraph *g = graphs_empty(1, 0);
    struct flow_bound bound;
    struct flow_ratio time;
    assert_int_equal(flow_allgather_bound(g, NULL, &bound, NULL), trncclSuccess);
    assert_ratio(bound.time, 0, 1);
    assert_int_equal(flow_allreduce_bound(g, NULL, &time), trncclSuccess);
    assert_ratio(time, 0, 1);
    assert_int_equal(flow_all_to_all_bound(g, &time), trncclSuccess);
    assert_ratio(time, 0, 1);
    assert_int_equal(flow_broadcast_bound(g, 0, &time), trncclSuccess);
    assert_ratio(time, 0, 1);
    digraph_destroy(g);
}

static void bounds_of_a_graph_in_pieces_are_refused(void **state)
{
    (void)state;
    struct digraph *g = graphs_empty(4, 4);
    graphs_join(g, 0, 1, 1);
    graphs_join(g, 2, 3, 1);
    struct flow_bound bound;
    struct flow_ratio time;
    assert_int_equal(flow_allgather_bound(g, NULL, &bound, NULL), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "cannot be reached"));
    assert_int_equal(flow_broadcast_bound(g, 0, &time), trncclInvalidArgument);
    assert_int_equal(flow_all_to_all_bound(g, &time), trncclInvalidArgument);
    int64_t weights[] = {INT64_MAX / 2, 1, 1, 1};
    assert_int_equal(flow_allgather_bound(g, weights, &bound, NULL),
                     trncclInvalidArgument);
    digraph_destroy(g);
}

/* The planted fault: a graph that lost one link must not pass for the whole one. */
static void worst_cut_of_a_damaged_graph_differs(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus(2, (const int32_t[]){3, 3}, (const int32_t[]){1, 1});
    struct flow_bound whole;
    int64_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    assert_int_equal(flow_allgather_bound(g, NULL, &whole, NULL), trncclSuccess);
    assert_int_equal(flow_ratio_compare(whole.time, worst_cut(g, ones)), 0);
    g->nedges--;
    assert_true(flow_ratio_compare(whole.time, worst_cut(g, ones)) < 0);
    digraph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allgather_on_random_graphs_equals_the_worst_cut),
        cmocka_unit_test(allgather_on_tori_binds_at_one_chip),
        cmocka_unit_test(allgather_on_two_boxes_is_the_worst_of_chip_pair_and_box),
        cmocka_unit_test(allgather_with_a_weight_equals_the_whole_cluster),
        cmocka_unit_test(reduce_scatter_of_a_one_way_graph_turns_it_round),
        cmocka_unit_test(broadcast_is_bound_by_the_narrowest_way),
        cmocka_unit_test(all_to_all_on_tori_is_the_distance_over_the_links),
        cmocka_unit_test(bounds_of_one_vertex_are_zero),
        cmocka_unit_test(bounds_of_a_graph_in_pieces_are_refused),
        cmocka_unit_test(worst_cut_of_a_damaged_graph_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
