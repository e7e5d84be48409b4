/* The oracle for sets of rings: every promise is checked against the graph alone. */
#ifndef TRNCCL_TESTS_SUPPORT_RINGS_H
#define TRNCCL_TESTS_SUPPORT_RINGS_H

#include <string.h>

#include "tests/support/digraphs.h"

#include "topo/search_ring.h"

/* Capacity of all links from a to b; -1 if there is none. */
static inline int64_t rings_link(const struct digraph *g, int32_t a, int32_t b)
{
    int64_t sum = -1;
    for (int32_t e = 0; e < g->nedges; e++)
        if (g->edges[e].from == a && g->edges[e].to == b)
            sum = (sum < 0 ? 0 : sum) + g->edges[e].capacity;
    return sum;
}

/* What is wrong with the rings on a graph without switches, or NULL. `full`: they must
 * use every link, both ways, up to its capacity. */
static inline const char *rings_fault(const struct digraph *g,
                                      const struct search_rings *r, bool full)
{
    int32_t n = g->nvertices;
    const char *fault = NULL;
    int64_t *load = calloc((size_t)n * (size_t)n, sizeof *load);
    bool *seen = malloc((size_t)n);
    assert_non_null(load);
    assert_non_null(seen);
    if (r->nvertices != n)
        fault = "a cycle has not as many vertices as the graph";
    for (int32_t c = 0; c < r->ncycles && !fault; c++) {
        const int32_t *order = r->orders + c * n;
        memset(seen, 0, (size_t)n);
        for (int32_t i = 0; i < n && !fault; i++) {
            int32_t a = order[i], b = order[(i + 1) % n];
            if (a < 0 || a >= n || seen[a])
                fault = "a cycle does not have every vertex once";
            else if (rings_link(g, a, b) < 0 || rings_link(g, b, a) < 0)
                fault = "a cycle goes where there is no link";
            else if (r->weights[c] < 1)
                fault = "a cycle has no weight";
            else
                seen[a] = true;
            if (!fault) {
                load[a * n + b] += r->weights[c];
                load[b * n + a] += r->weights[c];
            }
        }
    }
    for (int32_t a = 0; a < n && !fault; a++)
        for (int32_t b = 0; b < n && !fault; b++) {
            int64_t capacity = rings_link(g, a, b) * r->scale;
            if (load[a * n + b] > (capacity < 0 ? 0 : capacity))
                fault = "a link is in too many cycles";
            else if (full && capacity > 0 && load[a * n + b] < capacity)
                fault = "a link is not used up";
        }
    free(load);
    free(seen);
    return fault;
}

static inline int64_t rings_weight(const struct search_rings *r)
{
    int64_t sum = 0;
    for (int32_t c = 0; c < r->ncycles; c++)
        sum += r->weights[c];
    return sum;
}

#endif
