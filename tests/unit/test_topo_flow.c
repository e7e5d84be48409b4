#include <string.h>

#include "tests/support/digraphs.h"

#include "topo/flow.h"

static struct flow *network_of(const struct digraph *g)
{
    struct flow *f = NULL;
    assert_int_equal(flow_create(g->nvertices, g->nedges, &f), trncclSuccess);
    for (int32_t e = 0; e < g->nedges; e++)
        assert_int_equal(
            flow_add(f, g->edges[e].from, g->edges[e].to, g->edges[e].capacity), e);
    return f;
}

/* The oracle: the least capacity of all cuts, each looked at. */
static int64_t least_cut(const struct digraph *g, int32_t source, int32_t sink)
{
    int64_t least = INT64_MAX;
    for (uint32_t set = 0; set < UINT32_C(1) << g->nvertices; set++) {
        if (!(set >> source & 1) || set >> sink & 1)
            continue;
        int64_t capacity = 0;
        for (int32_t e = 0; e < g->nedges; e++)
            if (set >> g->edges[e].from & 1 && !(set >> g->edges[e].to & 1))
                capacity += g->edges[e].capacity;
        least = capacity < least ? capacity : least;
    }
    return least;
}

/* What is wrong with the flow on the arcs as one from source to sink, or NULL. */
static const char *flow_fault(const struct digraph *g, const struct flow *f,
                              int32_t source, int32_t sink, int64_t value)
{
    int64_t balance[32] = {0};
    for (int32_t e = 0; e < g->nedges; e++) {
        int64_t on = flow_on(f, e);
        if (on < 0 || on > g->edges[e].capacity)
            return "an arc carries more than its capacity";
        balance[g->edges[e].from] -= on;
        balance[g->edges[e].to] += on;
    }
    for (int32_t v = 0; v < g->nvertices; v++)
        if (balance[v] != (v == sink ? value : v == source ? -value : 0))
            return "a vertex keeps or makes something";
    return NULL;
}

static void run_on_random_graphs_equals_the_least_cut(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    for (int i = 0; i < 300; i++) {
        int32_t n = 2 + search_random_below(&seed, 9);
        struct digraph *g = graphs_random(n, 0, 1 + i % 20, &seed);
        g->nedges -= search_random_below(&seed, g->nedges); /* not symmetric, nor whole */
        int32_t source = search_random_below(&seed, n);
        int32_t sink = (source + 1 + search_random_below(&seed, n - 1)) % n;
        struct flow *f = network_of(g);
        int64_t least = least_cut(g, source, sink);
        assert_int_equal(flow_run(f, source, sink, FLOW_INFINITE), least);
        assert_null(flow_fault(g, f, source, sink, least));
        bool side[32];
        flow_cut(f, source, side);
        int64_t across = 0;
        for (int32_t e = 0; e < g->nedges; e++)
            across += side[g->edges[e].from] && !side[g->edges[e].to]
                          ? g->edges[e].capacity
                          : 0;
        assert_true(side[source] && !side[sink]);
        assert_int_equal(across, least);
        flow_destroy(f);
        digraph_destroy(g);
    }
}

static void run_with_a_limit_stops_there_and_goes_on(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    struct flow *f = network_of(g);
    assert_int_equal(flow_run(f, 0, 10, 3), 3);
    assert_null(flow_fault(g, f, 0, 10, 3));
    assert_int_equal(flow_run(f, 0, 10, 100), 1);
    assert_int_equal(flow_run(f, 0, 10, 100), 0);
    flow_reset(f);
    flow_set(f, 0, 3); /* the link 0 -> 1 three times as wide changes nothing at 10 */
    assert_int_equal(flow_run(f, 0, 10, 100), 4);
    flow_clear(f);
    assert_int_equal(flow_run(f, 0, 10, 100), 0);
    flow_destroy(f);
    digraph_destroy(g);
}

/* A path through 100,000 vertices: a search that recurses would not come back. */
static void run_on_a_deep_graph_returns(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    struct flow *f = NULL;
    assert_int_equal(flow_create(DEPTH, DEPTH, &f), trncclSuccess);
    for (int32_t v = 0; v + 1 < DEPTH; v++)
        flow_add(f, v, v + 1, 7 + v % 3);
    assert_int_equal(flow_run(f, 0, DEPTH - 1, FLOW_INFINITE), 7);
    flow_destroy(f);
    flow_destroy(NULL);
}

/* The planted fault: what the property test relies on must see a wrong flow. */
static void fault_of_a_wrong_flow_is_found(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    struct flow *f = network_of(g);
    int64_t value = flow_run(f, 0, 10, FLOW_INFINITE);
    assert_non_null(flow_fault(g, f, 0, 10, value - 1));
    assert_non_null(flow_fault(g, f, 0, 11, value));
    int32_t used = 0;
    while (flow_on(f, used) == 0)
        used++;
    g->edges[used].capacity = 0;
    assert_non_null(flow_fault(g, f, 0, 10, value));
    flow_destroy(f);
    digraph_destroy(g);
}

static void create_of_an_impossible_size_is_refused(void **state)
{
    (void)state;
    struct flow *f = NULL;
    assert_int_equal(flow_create(0, 1, &f), trncclInvalidArgument);
    assert_int_equal(flow_create(1, INT32_MAX, &f), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "flow network"));
    assert_null(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_on_random_graphs_equals_the_least_cut),
        cmocka_unit_test(run_with_a_limit_stops_there_and_goes_on),
        cmocka_unit_test(run_on_a_deep_graph_returns),
        cmocka_unit_test(fault_of_a_wrong_flow_is_found),
        cmocka_unit_test(create_of_an_impossible_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
