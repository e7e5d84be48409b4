#include <string.h>

#include "tests/support/digraphs.h"

static void create_without_vertices_is_refused(void **state)
{
    (void)state;
    struct digraph *g = NULL;
    assert_int_equal(digraph_create(0, 0, &g), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "at least 1 vertex"));
    assert_int_equal(digraph_create(1, -1, &g), trncclInvalidArgument);
    assert_null(g);
}

static void create_makes_all_vertices_terminals(void **state)
{
    (void)state;
    struct digraph *g = NULL;
    assert_int_equal(digraph_create(5, 3, &g), trncclSuccess);
    assert_int_equal(digraph_terminals(g), 5);
    g->terminal[2] = false;
    assert_int_equal(digraph_terminals(g), 4);
    digraph_destroy(g);
    digraph_destroy(NULL);
}

/* Each of these is one planted fault in a sound graph. */
static void check_of_a_broken_graph_names_the_edge(void **state)
{
    (void)state;
    const struct {
        struct digraph_edge edge;
        const char *says;
    } faults[] = {
        {{0, 0, 1}, "from 0 to 0"},   {{0, 16, 1}, "from 0 to 16"},
        {{-1, 0, 1}, "from -1 to 0"}, {{0, 1, 0}, "it is 0"},
        {{0, 1, -5}, "it is -5"},     {{0, 1, INT64_MAX}, "capacity must be positive"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct digraph *g = graphs_torus_4x4();
        assert_int_equal(digraph_check(g), trncclSuccess);
        g->edges[7] = faults[i].edge;
        assert_int_equal(digraph_check(g), trncclInvalidArgument);
        assert_non_null(strstr(error_text(), "edge 7 "));
        assert_non_null(strstr(error_text(), faults[i].says));
        digraph_destroy(g);
    }
}

static void check_without_terminals_is_refused(void **state)
{
    (void)state;
    struct digraph *g = NULL;
    assert_int_equal(digraph_create(2, 0, &g), trncclSuccess);
    g->terminal[0] = g->terminal[1] = false;
    assert_int_equal(digraph_check(g), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "terminal"));
    digraph_destroy(g);
}

static void index_of_random_graphs_has_every_edge_once(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    for (int i = 0; i < 100; i++) {
        struct digraph *g =
            graphs_random(1 + search_random_below(&seed, 20), 0, 9, &seed);
        int32_t *first, *index, seen = 0;
        assert_int_equal(digraph_index(g, &first, &index), trncclSuccess);
        assert_int_equal(first[0], 0);
        assert_int_equal(first[g->nvertices], g->nedges);
        for (int32_t v = 0; v < g->nvertices; v++)
            for (int32_t k = first[v]; k < first[v + 1]; k++, seen++) {
                assert_int_equal(g->edges[index[k]].from, v);
                assert_true(k == first[v] || index[k] > index[k - 1]);
            }
        assert_int_equal(seen, g->nedges);
        free(first);
        free(index);
        digraph_destroy(g);
    }
}

static void reverse_twice_is_the_same_graph(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    struct digraph *g = graphs_random(12, 3, 9, &seed), *once, *twice;
    assert_int_equal(digraph_reverse(g, &once), trncclSuccess);
    assert_int_equal(digraph_reverse(once, &twice), trncclSuccess);
    assert_memory_equal(g->edges, twice->edges, (size_t)g->nedges * sizeof *g->edges);
    assert_int_equal(digraph_terminals(twice), 9);
    assert_int_equal(once->edges[3].from, g->edges[3].to);
    assert_int_equal(once->edges[3].to, g->edges[3].from);
    digraph_destroy(g);
    digraph_destroy(once);
    digraph_destroy(twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_without_vertices_is_refused),
        cmocka_unit_test(create_makes_all_vertices_terminals),
        cmocka_unit_test(check_of_a_broken_graph_names_the_edge),
        cmocka_unit_test(check_without_terminals_is_refused),
        cmocka_unit_test(index_of_random_graphs_has_every_edge_once),
        cmocka_unit_test(reverse_twice_is_the_same_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
