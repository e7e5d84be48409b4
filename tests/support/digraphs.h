/* Graphs for the tests of topo's searches: tori, tori with damage, random ones. */
#ifndef TRNCCL_TESTS_SUPPORT_DIGRAPHS_H
#define TRNCCL_TESTS_SUPPORT_DIGRAPHS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "topo/digraph.h"
#include "topo/search_random.h"

/* The seed of this run, printed; TRNCCL_TEST_SEED gives it. */
static inline uint64_t graphs_seed(void)
{
    const char *given = getenv("TRNCCL_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 1;
    printf("seed %llu (TRNCCL_TEST_SEED)\n", (unsigned long long)seed);
    return seed;
}

/* Grows a graph by both directions between a and b. */
static inline void graphs_join(struct digraph *g, int32_t a, int32_t b, int64_t capacity)
{
    g->edges[g->nedges++] = (struct digraph_edge){a, b, capacity};
    g->edges[g->nedges++] = (struct digraph_edge){b, a, capacity};
}

/* A graph with room for that many edges and none yet. */
static inline struct digraph *graphs_empty(int32_t nvertices, int32_t room)
{
    struct digraph *g = NULL;
    assert_int_equal(digraph_create(nvertices, room, &g), trncclSuccess);
    g->nedges = 0;
    return g;
}

/* A torus, the first dimension fastest; two links become one in a dimension of 2. */
static inline struct digraph *graphs_torus(int32_t ndims, const int32_t *dims,
                                           const int32_t *rates)
{
    int32_t n = 1;
    for (int32_t d = 0; d < ndims; d++)
        n *= dims[d];
    struct digraph *g = graphs_empty(n, 2 * ndims * n);
    int32_t stride = 1;
    for (int32_t d = 0; d < ndims; stride *= dims[d++])
        for (int32_t v = 0; v < n; v++) {
            int32_t x = v / stride % dims[d];
            if (dims[d] > 2 || x + 1 < dims[d])
                graphs_join(g, v, v + ((x + 1) % dims[d] - x) * stride, rates[d]);
        }
    return g;
}

static inline struct digraph *graphs_torus_4x4(void)
{
    return graphs_torus(2, (const int32_t[]){4, 4}, (const int32_t[]){1, 1});
}

/* Takes away both directions between a and b. */
static inline void graphs_cut(struct digraph *g, int32_t a, int32_t b)
{
    int32_t kept = 0;
    for (int32_t e = 0; e < g->nedges; e++) {
        struct digraph_edge edge = g->edges[e];
        if (!((edge.from == a && edge.to == b) || (edge.from == b && edge.to == a)))
            g->edges[kept++] = edge;
    }
    g->nedges = kept;
}

/* Takes away a vertex; those after it move down by one. */
static inline struct digraph *graphs_without(const struct digraph *g, int32_t dead)
{
    struct digraph *left = graphs_empty(g->nvertices - 1, g->nedges);
    for (int32_t v = 0; v < g->nvertices; v++)
        if (v != dead)
            left->terminal[v - (v > dead)] = g->terminal[v];
    for (int32_t e = 0; e < g->nedges; e++) {
        struct digraph_edge edge = g->edges[e];
        if (edge.from == dead || edge.to == dead)
            continue;
        edge.from -= edge.from > dead;
        edge.to -= edge.to > dead;
        left->edges[left->nedges++] = edge;
    }
    return left;
}

/* A connected graph of `n` vertices, every link the same in both directions; `nswitches`
 * of them, the last ones, are not terminals. */
static inline struct digraph *graphs_random(int32_t n, int32_t nswitches,
                                            int64_t max_capacity, uint64_t *state)
{
    int32_t more = search_random_below(state, 2 * n + 1);
    struct digraph *g = graphs_empty(n, 2 * (n + more));
    for (int32_t v = 1; v < n; v++)
        graphs_join(g, v, search_random_below(state, v),
                    1 + search_random_below(state, (int32_t)max_capacity));
    for (int32_t i = 0; i < more; i++) {
        int32_t a = search_random_below(state, n), b = search_random_below(state, n);
        if (a != b)
            graphs_join(g, a, b, 1 + search_random_below(state, (int32_t)max_capacity));
    }
    for (int32_t v = n - nswitches; v < n; v++)
        g->terminal[v] = false;
    return g;
}

#endif
