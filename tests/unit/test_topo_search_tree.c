#include <string.h>

#include "tests/support/digraphs.h"

#include "topo/search_tree.h"

/* What is wrong with one tree over the terminals of a graph, or NULL. */
static const char *tree_fault(const struct digraph *g, const int32_t *parents,
                              int32_t root)
{
    for (int32_t v = 0; v < g->nvertices; v++) {
        if (!g->terminal[v]) {
            if (parents[v] != -2)
                return "a switch is in the tree";
            continue;
        }
        int32_t steps = 0, u = v;
        while (u != root && steps++ < g->nvertices) {
            u = parents[u];
            if (u < 0 || u >= g->nvertices)
                return "a parent is nobody";
        }
        if (u != root)
            return "a vertex does not hang on the root";
    }
    return parents[root] == -1 ? NULL : "the root has a parent";
}

static bool linked(const struct digraph *g, int32_t from, int32_t to)
{
    for (int32_t e = 0; e < g->nedges; e++)
        if (g->edges[e].from == from && g->edges[e].to == to)
            return true;
    return false;
}

static int32_t diameter_of(const struct search_torus *t)
{
    int32_t sum = 0;
    for (int32_t d = 0; d < t->ndims; d++)
        sum += t->dims[d] / 2;
    return sum;
}

/* Translates all trees to all roots and compares the load of every link with counts. */
static void assert_translated(const struct search_torus *t,
                              const struct search_trees *trees, const int32_t *counts)
{
    struct digraph *g;
    int32_t n = t->nvertices;
    int32_t *moved = malloc((size_t)n * sizeof *moved);
    int32_t *load = calloc((size_t)n * (size_t)n, sizeof *load);
    assert_non_null(moved);
    assert_non_null(load);
    assert_int_equal(search_torus_graph(t, &g), trncclSuccess);
    for (int32_t j = 0; j < trees->ntrees; j++)
        for (int32_t root = 0; root < n; root++) {
            search_tree_translate(t, trees->parents + j * n, root, moved);
            assert_null(tree_fault(g, moved, root));
            assert_int_equal(search_tree_depth(moved, n), diameter_of(t));
            for (int32_t v = 0; v < n; v++)
                if (v != root) {
                    assert_true(linked(g, moved[v], v));
                    load[moved[v] * n + v]++;
                }
        }
    for (int32_t v = 0; v < n; v++)
        for (int32_t i = 0; i < 2 * t->ndims; i++) {
            int32_t k = t->dims[i / 2];
            int32_t to = search_torus_move(t, v, i / 2, i % 2 ? -1 : 1);
            if (k > 2 || (k == 2 && i % 2 == 0))
                assert_int_equal(load[v * n + to], counts[i]);
            else
                assert_int_equal(counts[i], 0);
        }
    free(moved);
    free(load);
    digraph_destroy(g);
}

static struct flow_ratio time_of(const struct search_torus *t, const int32_t *counts,
                                 int32_t per_root)
{
    struct flow_ratio most = {0, 1};
    for (int32_t i = 0; i < 2 * t->ndims; i++) {
        struct flow_ratio here =
            flow_ratio_make(counts[i], (int64_t)t->rates[i / 2] * per_root);
        if (flow_ratio_compare(here, most) > 0)
            most = here;
    }
    return most;
}

static void torus_of_any_dimensions_loads_all_links_by_rate(void **state)
{
    (void)state;
    const struct {
        int32_t ndims, dims[3], rates[3], per_root, num, den; /* time of a block */
    } tori[] = {
        {2, {4, 4}, {1, 1}, 1, 4, 1},        {2, {4, 4}, {1, 1}, 4, 15, 4},
        {3, {4, 4, 4}, {2, 2, 1}, 1, 13, 2}, {3, {4, 4, 4}, {2, 2, 1}, 10, 63, 10},
        {3, {4, 4, 4}, {1, 1, 1}, 2, 21, 2}, {1, {7}, {3}, 1, 1, 1},
        {2, {2, 4}, {1, 1}, 1, 3, 1},        {3, {2, 2, 2}, {1, 1, 1}, 3, 7, 3},
        {2, {1, 1}, {1, 1}, 1, 0, 1},        {2, {5, 3}, {2, 1}, 6, 7, 3},
    };
    for (size_t i = 0; i < sizeof tori / sizeof *tori; i++) {
        struct search_torus t;
        struct search_trees *trees;
        int32_t counts[6];
        assert_int_equal(
            search_torus_init(tori[i].ndims, tori[i].dims, tori[i].rates, &t),
            trncclSuccess);
        assert_int_equal(search_trees_torus(&t, tori[i].per_root, &trees, counts),
                         trncclSuccess);
        assert_translated(&t, trees, counts);
        struct flow_ratio time = time_of(&t, counts, tori[i].per_root);
        if (time.num * tori[i].den != (int64_t)tori[i].num * time.den)
            print_message("torus %zu: %d/%d\n", i, (int)time.num, (int)time.den);
        assert_true(time.num * tori[i].den == (int64_t)tori[i].num * time.den);
        search_trees_destroy(trees);
    }
}

/* 13, 13, 13, 12, 6, 6 in some order: all but one unit of what 6.5 time units carry. */
static void torus_of_an_ultraserver_has_the_known_counts(void **state)
{
    (void)state;
    struct search_torus t;
    struct search_trees *trees;
    int32_t counts[6], seen[14] = {0};
    assert_int_equal(
        search_torus_init(3, (const int32_t[]){4, 4, 4}, (const int32_t[]){2, 2, 1}, &t),
        trncclSuccess);
    assert_int_equal(search_trees_torus(&t, 1, &trees, counts), trncclSuccess);
    for (int i = 0; i < 6; i++)
        seen[counts[i]]++;
    assert_true(seen[13] == 3 && seen[12] == 1 && seen[6] == 2);
    search_trees_destroy(trees);
}

static void torus_without_sense_is_refused(void **state)
{
    (void)state;
    struct search_torus t;
    struct search_trees *trees = NULL;
    assert_int_equal(search_torus_init(1, (const int32_t[]){4}, NULL, &t), trncclSuccess);
    assert_int_equal(search_trees_torus(&t, 0, &trees, NULL), trncclInvalidArgument);
    assert_int_equal(search_trees_torus(&t, 65, &trees, NULL), trncclInvalidArgument);
    assert_null(trees);
}

static void graph_trees_span_and_come_near_the_bound(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    double worst = 1, sum = 0;
    for (int i = 0; i < 100; i++) {
        int32_t n = 2 + search_random_below(&seed, 15);
        struct digraph *g =
            graphs_random(n, search_random_below(&seed, n / 2), 1 + i % 4, &seed);
        struct search_trees *trees;
        struct flow_ratio time = {0, 1};
        struct flow_bound bound;
        assert_int_equal(flow_allgather_bound(g, NULL, &bound, NULL), trncclSuccess);
        assert_int_equal(search_trees_graph(g, 4, &trees, &time), trncclSuccess);
        assert_int_equal(trees->ntrees, digraph_terminals(g));
        for (int32_t j = 0; j < trees->ntrees; j++)
            assert_null(tree_fault(g, trees->parents + j * n, trees->roots[j]));
        double share = 1;
        if (trees->ntrees > 1)
            share = flow_ratio_value(bound.time) * trees->ntrees / flow_ratio_value(time);
        assert_true(share > 0 && share < 1 + 1e-9);
        worst = share < worst ? share : worst;
        sum += share;
        search_trees_destroy(trees);
        digraph_destroy(g);
    }
    print_message("share of the bound: mean %.2f, worst %.2f\n", sum / 100, worst);
}

/* On a whole torus as good as the translated trees; rounds of balancing make a
 * difference. */
static void graph_trees_on_a_torus_reach_whole_links(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    struct search_trees *trees;
    struct flow_ratio time = {0, 1};
    assert_int_equal(search_trees_graph(g, 4, &trees, &time), trncclSuccess);
    print_message("4x4: %d/%d\n", (int)time.num, (int)time.den);
    assert_true(flow_ratio_value(time) <= 5);
    search_trees_destroy(trees);
    digraph_destroy(g);
}

static void graph_in_pieces_is_refused(void **state)
{
    (void)state;
    struct digraph *g = graphs_empty(4, 4);
    struct search_trees *trees = NULL;
    graphs_join(g, 0, 1, 1);
    assert_int_equal(search_trees_graph(g, 4, &trees, NULL), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "cannot be reached"));
    assert_int_equal(search_trees_graph(g, 0, &trees, NULL), trncclInvalidArgument);
    assert_null(trees);
    digraph_destroy(g);
}

static void double_trees_of_any_size_share_the_work(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= 200; n++) {
        int32_t parents[400], children[400] = {0}, depth = 0;
        struct digraph *g = graphs_empty(n, 0);
        search_trees_double(n, parents);
        while (1 << depth < n)
            depth++;
        for (int32_t which = 0; which < 2; which++) {
            const int32_t *tree = parents + which * n;
            int32_t root = which == 0 ? 0 : n % 2 == 0 ? n - 1 : 1 % n;
            assert_null(tree_fault(g, tree, root));
            assert_true(search_tree_depth(tree, n) <= depth);
            for (int32_t v = 0; v < n; v++)
                if (tree[v] >= 0)
                    assert_true(++children[which * n + tree[v]] <= 2);
        }
        for (int32_t v = 0; v < n; v++)
            assert_true(children[v] + children[n + v] <= 3 &&
                        !(children[v] == 2 && children[n + v] == 2));
        digraph_destroy(g);
    }
}

/* The planted faults. */
static void fault_of_a_broken_tree_is_found(void **state)
{
    (void)state;
    struct digraph *g = graphs_empty(8, 0);
    int32_t parents[16];
    search_trees_double(8, parents);
    assert_null(tree_fault(g, parents, 0));
    parents[4] = 6; /* 6 hangs on 4 */
    assert_string_equal(tree_fault(g, parents, 0), "a vertex does not hang on the root");
    parents[4] = 8;
    assert_string_equal(tree_fault(g, parents, 0), "a parent is nobody");
    parents[4] = 0;
    parents[0] = 4;
    assert_string_equal(tree_fault(g, parents, 0), "the root has a parent");
    parents[0] = -1;
    g->terminal[7] = false;
    assert_string_equal(tree_fault(g, parents, 0), "a switch is in the tree");
    digraph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torus_of_any_dimensions_loads_all_links_by_rate),
        cmocka_unit_test(torus_of_an_ultraserver_has_the_known_counts),
        cmocka_unit_test(torus_without_sense_is_refused),
        cmocka_unit_test(graph_trees_span_and_come_near_the_bound),
        cmocka_unit_test(graph_trees_on_a_torus_reach_whole_links),
        cmocka_unit_test(graph_in_pieces_is_refused),
        cmocka_unit_test(double_trees_of_any_size_share_the_work),
        cmocka_unit_test(fault_of_a_broken_tree_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
