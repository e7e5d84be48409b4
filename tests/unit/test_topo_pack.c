#include <string.h>

#include "tests/support/digraphs.h"

#include "topo/pack.h"

/* Whether a hop's edges lead from its `from` to its `to` past vertices without ranks. */
static const char *hop_fault(const struct digraph *g, const struct pack_hop *hop)
{
    int32_t at = hop->from;
    if (hop->nedges < 1)
        return "a hop has no edges";
    for (int32_t i = 0; i < hop->nedges; i++) {
        int32_t e = hop->edges[i];
        if (e < 0 || e >= g->nedges || g->edges[e].from != at)
            return "a hop's edges do not follow each other";
        at = g->edges[e].to;
        if (i + 1 < hop->nedges && g->terminal[at])
            return "a hop passes a terminal";
    }
    return at == hop->to ? NULL : "a hop ends elsewhere";
}

static const char *tree_fault(const struct digraph *g, const struct pack *p,
                              const struct pack_tree *tree)
{
    if (tree->weight < 1 || tree->parents[tree->root] != -1)
        return "a tree has no weight or no root";
    for (int32_t v = 0; v < g->nvertices; v++) {
        int32_t u = v, steps = 0;
        if (!g->terminal[v] && tree->parents[v] != -2)
            return "a switch is in a tree";
        while (g->terminal[v] && u != tree->root) {
            if (tree->parents[u] < 0 || steps++ == g->nvertices)
                return "a terminal does not hang on the root";
            const struct pack_hop *hop = &p->hops[tree->hops[u]];
            if (hop->from != tree->parents[u] || hop->to != u)
                return "a hop is not the one from the parent";
            u = tree->parents[u];
        }
    }
    return NULL;
}

/* What is wrong with a packing, or NULL: every promise is checked against the graph. */
static const char *pack_fault(const struct digraph *g, const int64_t *weights,
                              const struct pack *p)
{
    const char *fault = NULL;
    int64_t load[512] = {0}, have[256] = {0};
    for (int32_t i = 0; i < p->nhops && !fault; i++)
        fault = hop_fault(g, &p->hops[i]);
    for (int32_t i = 0; i < p->ntrees && !fault; i++) {
        const struct pack_tree *tree = &p->trees[i];
        fault = tree_fault(g, p, tree);
        have[tree->root] += tree->weight;
        for (int32_t v = 0; v < g->nvertices && !fault; v++)
            for (int32_t k = 0; tree->hops[v] >= 0 && k < p->hops[tree->hops[v]].nedges;
                 k++)
                load[p->hops[tree->hops[v]].edges[k]] += tree->weight;
    }
    for (int32_t v = 0; v < g->nvertices && !fault; v++)
        if (have[v] != (g->terminal[v] ? p->per_rank * (weights ? weights[v] : 1) : 0))
            fault = "a root has not its number of trees";
    for (int32_t e = 0; e < g->nedges && !fault; e++)
        if ((__int128)load[e] * p->time.den >
            (__int128)g->edges[e].capacity * p->time.num * p->per_rank)
            fault = "an edge has more trees than its capacity";
    if (!fault && flow_ratio_compare(p->time, p->bound) < 0)
        fault = "the trees are faster than the bound";
    return fault;
}

static double share_of(const struct pack *p)
{
    return p->time.num ? flow_ratio_value(p->bound) / flow_ratio_value(p->time) : 1;
}

static int32_t deepest(const struct pack *p)
{
    int32_t most = 0;
    for (int32_t i = 0; i < p->ntrees; i++)
        for (int32_t v = 0; v < p->nvertices; v++) {
            int32_t depth = 0, u = v;
            for (; p->trees[i].parents[u] >= 0; u = p->trees[i].parents[u])
                depth++;
            most = depth > most ? depth : most;
        }
    return most;
}

/* Packs, checks and returns the share of the bound. */
static double packed(const struct digraph *g, const int64_t *weights,
                     int32_t max_per_rank, const char *what)
{
    struct pack *p = NULL;
    trncclResult_t result = pack_trees(g, weights, max_per_rank, &p);
    if (result != trncclSuccess)
        print_message("%s\n", error_text());
    assert_int_equal(result, trncclSuccess);
    const char *fault = pack_fault(g, weights, p);
    if (fault)
        print_message("%s\n", fault);
    assert_null(fault);
    double share = share_of(p);
    if (what)
        print_message("%s: %d trees, %d per rank, depth %d, %.4f of the bound, %lld "
                      "flows\n",
                      what, (int)p->ntrees, (int)p->per_rank, (int)deepest(p), share,
                      (long long)p->nflows);
    pack_destroy(p);
    return share;
}

static void pack_of_a_torus_meets_the_bound(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    assert_true(packed(g, NULL, 1, "4x4, 1") == 15.0 / 16);
    assert_true(packed(g, NULL, 4, "4x4, up to 4") == 1);
    digraph_destroy(g);
    g = graphs_torus(3, (const int32_t[]){4, 4, 4}, (const int32_t[]){2, 2, 1});
    assert_true(packed(g, NULL, 1, "4x4x4 with 2:2:1, 1") >= 0.969);
    digraph_destroy(g);
}

static void pack_with_any_dead_link_meets_the_bound(void **state)
{
    (void)state;
    struct digraph *whole = graphs_torus_4x4();
    double worst = 1, worst_of_one = 1;
    for (int32_t e = 0; e < whole->nedges; e += 2) {
        struct digraph *g = graphs_torus_4x4();
        graphs_cut(g, whole->edges[e].from, whole->edges[e].to);
        double one = packed(g, NULL, 1, NULL), four = packed(g, NULL, 4, NULL);
        worst_of_one = one < worst_of_one ? one : worst_of_one;
        worst = four < worst ? four : worst;
        digraph_destroy(g);
    }
    print_message("4x4 less any link: worst %.4f, with one tree %.4f\n", worst,
                  worst_of_one);
    assert_true(worst == 1 && worst_of_one >= 0.9);
    digraph_destroy(whole);
}

static void pack_with_any_dead_chip_meets_the_bound(void **state)
{
    (void)state;
    struct digraph *whole = graphs_torus_4x4();
    double worst = 1, worst_of_one = 1;
    for (int32_t v = 0; v < 16; v++) {
        struct digraph *g = graphs_without(whole, v);
        double one = packed(g, NULL, 1, NULL), four = packed(g, NULL, 4, NULL);
        worst_of_one = one < worst_of_one ? one : worst_of_one;
        worst = four < worst ? four : worst;
        digraph_destroy(g);
    }
    print_message("4x4 less any chip: worst %.4f, with one tree %.4f\n", worst,
                  worst_of_one);
    assert_true(worst == 1 && worst_of_one >= 0.9);
    digraph_destroy(whole);
}

static void pack_of_random_graphs_is_sound_and_near_the_bound(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    double worst = 1, sum = 0;
    for (int i = 0; i < 100; i++) {
        int32_t n = 2 + search_random_below(&seed, 15);
        int32_t nswitches = i % 2 ? search_random_below(&seed, n / 2) : 0;
        struct digraph *g = graphs_random(n, nswitches, 1 + i % 6, &seed);
        int64_t weights[16];
        for (int32_t v = 0; v < n; v++)
            weights[v] = 1 + (i % 3 == 0 ? search_random_below(&seed, 3) : 0);
        packed(g, weights, 4, NULL);
        double share = packed(g, weights, 24, NULL);
        worst = share < worst ? share : worst;
        sum += share;
        digraph_destroy(g);
    }
    print_message("100 random graphs: mean %.4f, worst %.4f\n", sum / 100, worst);
    assert_true(worst >= 0.9);
}

/* Links that differ by direction: no promise about switches but soundness. */
static void pack_of_one_way_links_is_sound(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    double worst = 1;
    for (int i = 0; i < 60; i++) {
        int32_t n = 3 + search_random_below(&seed, 10);
        struct digraph *g = graphs_random(n, i % 3 ? n / 4 : 0, 1, &seed);
        for (int32_t e = 0; e < g->nedges; e++)
            g->edges[e].capacity = 1 + search_random_below(&seed, 5);
        packed(g, NULL, 2, NULL);
        double share = packed(g, NULL, 24, NULL);
        if (i % 3 == 0)
            assert_true(share >= 0.9);
        worst = share < worst ? share : worst;
        digraph_destroy(g);
    }
    print_message("60 graphs with uneven directions: worst %.4f\n", worst);
}

/* Two planes of switches over eight chips, and two boxes of chips whose switches are
 * joined by links between chips of the same number. */
static void pack_of_switched_machines_meets_the_bound(void **state)
{
    (void)state;
    struct digraph *g = graphs_empty(10, 40);
    for (int32_t v = 0; v < 8; v++)
        for (int32_t p = 0; p < 2; p++)
            graphs_join(g, v, 8 + p, 4);
    g->terminal[8] = g->terminal[9] = false;
    assert_true(packed(g, NULL, 4, "8 chips on 2 switches") == 1);
    digraph_destroy(g);
    g = graphs_empty(18, 100);
    for (int32_t v = 0; v < 16; v++) {
        graphs_join(g, v, 16 + v / 8, 5);
        if (v < 8)
            graphs_join(g, v, v + 8, 2);
    }
    g->terminal[16] = g->terminal[17] = false;
    assert_true(packed(g, NULL, 4, "2 x 8 chips on a switch each") >= 0.95);
    digraph_destroy(g);
}

static void pack_asked_twice_gives_the_same_trees(void **state)
{
    (void)state;
    uint64_t seed = graphs_seed();
    struct digraph *g = graphs_random(12, 3, 4, &seed);
    struct pack *a, *b;
    assert_int_equal(pack_trees(g, NULL, 4, &a), trncclSuccess);
    assert_int_equal(pack_trees(g, NULL, 4, &b), trncclSuccess);
    assert_int_equal(a->ntrees, b->ntrees);
    for (int32_t i = 0; i < a->ntrees; i++)
        assert_memory_equal(a->trees[i].hops, b->trees[i].hops, 12 * sizeof(int32_t));
    pack_destroy(a);
    pack_destroy(b);
    digraph_destroy(g);
}

static void pack_without_sense_is_refused(void **state)
{
    (void)state;
    struct pack *p = NULL;
    struct digraph *g = graphs_torus_4x4();
    assert_int_equal(pack_trees(g, NULL, 0, &p), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "trees per rank"));
    assert_int_equal(pack_trees(g, NULL, 65, &p), trncclInvalidArgument);
    int64_t many[16] = {INT64_C(1) << 31};
    assert_int_equal(pack_trees(g, many, 4, &p), trncclInvalidArgument);
    g->nedges = 8;
    assert_int_equal(pack_trees(g, NULL, 4, &p), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "cannot be reached"));
    assert_null(p);
    pack_destroy(NULL);
    digraph_destroy(g);
    g = graphs_empty(1, 0);
    assert_true(packed(g, NULL, 4, NULL) == 1);
    digraph_destroy(g);
}

/* The planted faults: each spoils one promise of a sound packing. */
static void fault_of_a_spoilt_packing_is_found(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    struct pack *p;
    assert_int_equal(pack_trees(g, NULL, 1, &p), trncclSuccess);
    assert_null(pack_fault(g, NULL, p));
    p->time.num--;
    assert_string_equal(pack_fault(g, NULL, p),
                        "an edge has more trees than its capacity");
    p->time.num++;
    p->bound.num *= 2;
    assert_string_equal(pack_fault(g, NULL, p), "the trees are faster than the bound");
    p->bound.num /= 2;
    p->trees[3].weight++;
    assert_string_equal(pack_fault(g, NULL, p), "a root has not its number of trees");
    p->trees[3].weight--;
    int32_t leaf = p->trees[0].root == 5 ? 6 : 5;
    int32_t parent = p->trees[0].parents[leaf];
    p->trees[0].parents[leaf] = -2;
    assert_string_equal(pack_fault(g, NULL, p), "a terminal does not hang on the root");
    p->trees[0].parents[leaf] = parent;
    p->hops[0].edges[0] = g->nedges - 1;
    assert_string_equal(pack_fault(g, NULL, p), "a hop's edges do not follow each other");
    pack_destroy(p);
    digraph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_of_a_torus_meets_the_bound),
        cmocka_unit_test(pack_with_any_dead_link_meets_the_bound),
        cmocka_unit_test(pack_with_any_dead_chip_meets_the_bound),
        cmocka_unit_test(pack_of_random_graphs_is_sound_and_near_the_bound),
        cmocka_unit_test(pack_of_one_way_links_is_sound),
        cmocka_unit_test(pack_of_switched_machines_meets_the_bound),
        cmocka_unit_test(pack_asked_twice_gives_the_same_trees),
        cmocka_unit_test(pack_without_sense_is_refused),
        cmocka_unit_test(fault_of_a_spoilt_packing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
