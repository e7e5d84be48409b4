#include "topo/digraph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Leaves room for the products of capacities and weights that exact bounds compare. */
#define MAX_CAPACITY (INT64_C(1) << 40)
#define MAX_VERTICES (INT32_C(1) << 20)

trncclResult_t digraph_create(int32_t nvertices, int32_t nedges, struct digraph **out)
{
    if (nvertices < 1 || nedges < 0)
        return error_set(trncclInvalidArgument,
                         "a graph needs at least 1 vertex and 0 edges, not %" PRId32
                         " and %" PRId32,
                         nvertices, nedges);
    struct digraph *g = calloc(1, sizeof *g);
    if (!g)
        return error_set(trncclSystemError, "no memory for a graph");
    g->nvertices = nvertices;
    g->nedges = nedges;
    g->edges = calloc((size_t)nedges + 1, sizeof *g->edges);
    g->terminal = malloc((size_t)nvertices * sizeof *g->terminal);
    if (!g->edges || !g->terminal) {
        digraph_destroy(g);
        return error_set(trncclSystemError,
                         "no memory for a graph of %" PRId32 " vertices and %" PRId32
                         " edges",
                         nvertices, nedges);
    }
    for (int32_t v = 0; v < nvertices; v++)
        g->terminal[v] = true;
    *out = g;
    return trncclSuccess;
}

void digraph_destroy(struct digraph *g)
{
    if (!g)
        return;
    free(g->edges);
    free(g->terminal);
    free(g);
}

trncclResult_t digraph_reverse(const struct digraph *g, struct digraph **out)
{
    struct digraph *turned;
    TRY(digraph_create(g->nvertices, g->nedges, &turned));
    memcpy(turned->terminal, g->terminal, (size_t)g->nvertices * sizeof *g->terminal);
    for (int32_t e = 0; e < g->nedges; e++)
        turned->edges[e] = (struct digraph_edge){.from = g->edges[e].to,
                                                 .to = g->edges[e].from,
                                                 .capacity = g->edges[e].capacity};
    *out = turned;
    return trncclSuccess;
}

int32_t digraph_terminals(const struct digraph *g)
{
    int32_t count = 0;
    for (int32_t v = 0; v < g->nvertices; v++)
        count += g->terminal[v];
    return count;
}

trncclResult_t digraph_check(const struct digraph *g)
{
    int64_t total = 0;
    if (g->nvertices > MAX_VERTICES)
        return error_set(trncclInvalidArgument,
                         "a graph must have at most %" PRId32 " vertices, not %" PRId32,
                         MAX_VERTICES, g->nvertices);
    for (int32_t e = 0; e < g->nedges; e++) {
        const struct digraph_edge *edge = &g->edges[e];
        if (edge->from < 0 || edge->from >= g->nvertices || edge->to < 0 ||
            edge->to >= g->nvertices || edge->from == edge->to)
            return error_set(trncclInvalidArgument,
                             "edge %" PRId32 " must join two of %" PRId32
                             " vertices, but goes from %" PRId32 " to %" PRId32,
                             e, g->nvertices, edge->from, edge->to);
        if (edge->capacity < 1 || edge->capacity > MAX_CAPACITY - total)
            return error_set(trncclInvalidArgument,
                             "edge %" PRId32 " from %" PRId32 " to %" PRId32
                             ": capacity must be positive, and all together at most "
                             "%" PRId64 ", but it is %" PRId64 " after %" PRId64,
                             e, edge->from, edge->to, MAX_CAPACITY, edge->capacity,
                             total);
        total += edge->capacity;
    }
    if (digraph_terminals(g) == 0)
        return error_set(trncclInvalidArgument,
                         "none of %" PRId32 " vertices is a terminal", g->nvertices);
    return trncclSuccess;
}

trncclResult_t digraph_index(const struct digraph *g, int32_t **first, int32_t **index)
{
    int32_t *f = calloc((size_t)g->nvertices + 2, sizeof *f);
    int32_t *x = malloc(((size_t)g->nedges + 1) * sizeof *x);
    if (!f || !x) {
        free(f);
        free(x);
        return error_set(trncclSystemError, "no memory for an index of %" PRId32 " edges",
                         g->nedges);
    }
    /* Counted two places up, f[v + 1] is where v's next edge goes while they are
     * sorted in, and ends as where those of v + 1 begin. */
    for (int32_t e = 0; e < g->nedges; e++)
        f[g->edges[e].from + 2]++;
    for (int32_t v = 0; v < g->nvertices; v++)
        f[v + 1] += f[v];
    for (int32_t e = 0; e < g->nedges; e++)
        x[f[g->edges[e].from + 1]++] = e;
    *first = f;
    *index = x;
    return trncclSuccess;
}
