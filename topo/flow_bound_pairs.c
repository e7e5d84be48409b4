/* Bounds of the collectives that are not all-gather: one root, and all-to-all. */
#include <inttypes.h>
#include <stdlib.h>

#include "topo/flow.h"
#include "topo/flow_bound.h"

trncclResult_t flow_broadcast_bound(const struct digraph *g, int32_t root,
                                    struct flow_ratio *time)
{
    TRY(digraph_check(g));
    if (root < 0 || root >= g->nvertices)
        return error_set(trncclInvalidArgument,
                         "the root must be one of %" PRId32 " vertices, not %" PRId32,
                         g->nvertices, root);
    struct flow *flow;
    TRY(flow_create(g->nvertices, g->nedges, &flow));
    for (int32_t e = 0; e < g->nedges; e++)
        flow_add(flow, g->edges[e].from, g->edges[e].to, g->edges[e].capacity);
    int64_t least = FLOW_INFINITE;
    int32_t worst = root;
    for (int32_t v = 0; v < g->nvertices && least > 0; v++) {
        if (v == root || !g->terminal[v])
            continue;
        flow_reset(flow);
        int64_t found = flow_run(flow, root, v, least);
        if (found < least)
            worst = v;
        least = found < least ? found : least;
    }
    flow_destroy(flow);
    if (least == 0)
        return error_set(trncclInvalidArgument,
                         "vertex %" PRId32 " cannot be reached from the root %" PRId32,
                         worst, root);
    *time = worst == root ? (struct flow_ratio){0, 1} : flow_ratio_make(1, least);
    return trncclSuccess;
}

trncclResult_t flow_reduce_bound(const struct digraph *g, int32_t root,
                                 struct flow_ratio *time)
{
    struct digraph *turned;
    TRY(digraph_reverse(g, &turned));
    trncclResult_t result = flow_broadcast_bound(turned, root, time);
    digraph_destroy(turned);
    return result;
}

/* Hops from one vertex to every terminal, added up; -1 if one is out of reach. */
static int64_t sum_distances(const struct digraph *g, const int32_t *first,
                             const int32_t *index, int32_t from, int32_t *work)
{
    int32_t *queue = work, *distance = work + g->nvertices;
    for (int32_t v = 0; v < g->nvertices; v++)
        distance[v] = -1;
    int32_t count = 0;
    distance[from] = 0;
    queue[count++] = from;
    for (int32_t i = 0; i < count; i++)
        for (int32_t k = first[queue[i]]; k < first[queue[i] + 1]; k++) {
            int32_t to = g->edges[index[k]].to;
            if (distance[to] < 0) {
                distance[to] = distance[queue[i]] + 1;
                queue[count++] = to;
            }
        }
    int64_t sum = 0;
    for (int32_t v = 0; v < g->nvertices; v++) {
        if (!g->terminal[v])
            continue;
        if (distance[v] < 0)
            return -1;
        sum += distance[v];
    }
    return sum;
}

static trncclResult_t sum_all_distances(const struct digraph *g, int64_t *sum)
{
    int32_t *first, *index;
    TRY(digraph_index(g, &first, &index));
    int32_t *work = malloc(2 * (size_t)g->nvertices * sizeof *work);
    trncclResult_t result = trncclSuccess;
    if (!work)
        result = error_set(trncclSystemError, "no memory for distances of %" PRId32,
                           g->nvertices);
    int64_t total = 0;
    for (int32_t v = 0; v < g->nvertices && result == trncclSuccess; v++) {
        if (!g->terminal[v])
            continue;
        int64_t mine = sum_distances(g, first, index, v, work);
        if (mine < 0)
            result = error_set(trncclInvalidArgument,
                               "vertex %" PRId32 " does not reach every terminal", v);
        total += mine;
    }
    free(work);
    free(first);
    free(index);
    if (result == trncclSuccess)
        *sum = total;
    return result;
}

/* The least capacity that leaves or enters one terminal. */
static trncclResult_t narrowest_terminal(const struct digraph *g, int64_t *capacity)
{
    int64_t *both = calloc(2 * (size_t)g->nvertices, sizeof *both);
    if (!both)
        return error_set(trncclSystemError, "no memory for %" PRId32 " vertices",
                         g->nvertices);
    for (int32_t e = 0; e < g->nedges; e++) {
        both[2 * g->edges[e].from] += g->edges[e].capacity;
        both[2 * g->edges[e].to + 1] += g->edges[e].capacity;
    }
    int64_t least = FLOW_INFINITE;
    for (int32_t i = 0; i < 2 * g->nvertices; i++)
        if (g->terminal[i / 2] && both[i] < least)
            least = both[i];
    free(both);
    *capacity = least;
    return trncclSuccess;
}

trncclResult_t flow_all_to_all_bound(const struct digraph *g, struct flow_ratio *time)
{
    TRY(digraph_check(g));
    int64_t n = digraph_terminals(g), distances = 0, narrowest = 1, links = 0;
    if (n == 1) {
        *time = (struct flow_ratio){0, 1};
        return trncclSuccess;
    }
    TRY(sum_all_distances(g, &distances));
    TRY(narrowest_terminal(g, &narrowest));
    for (int32_t e = 0; e < g->nedges; e++)
        links += g->edges[e].capacity;
    struct flow_ratio far = flow_ratio_make(distances, n * links);
    struct flow_ratio own = flow_ratio_make(n - 1, n * narrowest);
    *time = flow_ratio_compare(far, own) > 0 ? far : own;
    return trncclSuccess;
}

trncclResult_t flow_all_to_all_torus_bound(int32_t ndims, const int32_t *dims,
                                           const int32_t *rates, struct flow_ratio *time)
{
    int64_t n = 1, out = 0;
    struct flow_ratio most = {0, 1};
    for (int32_t d = 0; d < ndims; d++) {
        if (dims[d] < 1 || rates[d] < 1 || dims[d] > (1 << 24) / n)
            return error_set(
                trncclInvalidArgument,
                "dimension %" PRId32 " of a torus must have 1 or more chips, "
                "2^24 in all, and a positive rate, not %" PRId32 " and %" PRId32,
                d, dims[d], rates[d]);
        n *= dims[d];
        int64_t k = dims[d], links = k > 2 ? 2 : k - 1;
        if (links == 0)
            continue;
        out += links * rates[d];
        /* From one chip to all k of its line: k * k / 4, rounded down, hops; as many
         * bytes for each of n / k lines. Its own links of this dimension share them. */
        struct flow_ratio here = flow_ratio_make(k * k / 4, k * links * rates[d]);
        if (flow_ratio_compare(here, most) > 0)
            most = here;
    }
    struct flow_ratio own = flow_ratio_make(n - 1, n > 1 ? n * out : 1);
    *time = flow_ratio_compare(own, most) > 0 ? own : most;
    return trncclSuccess;
}
