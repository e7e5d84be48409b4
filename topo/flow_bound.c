#include "topo/flow_bound.h"

#include <inttypes.h>
#include <stdlib.h>

#include "topo/flow.h"

/* Products of weights and capacities stay below this, so that flows cannot overflow. */
#define MAX_PRODUCT (INT64_C(1) << 60)

struct flow_ratio flow_ratio_make(int64_t num, int64_t den)
{
    int64_t a = num, b = den;
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return (struct flow_ratio){.num = num / a, .den = den / a};
}

int flow_ratio_compare(struct flow_ratio a, struct flow_ratio b)
{
    __int128 left = (__int128)a.num * b.den, right = (__int128)b.num * a.den;
    return (left > right) - (left < right);
}

static int64_t weight_of(const struct digraph *g, const int64_t *weights, int32_t v)
{
    if (!g->terminal[v])
        return 0;
    return weights ? weights[v] : 1;
}

/* Checks the sizes and returns the number of ranks. */
static trncclResult_t count_ranks(const struct digraph *g, const int64_t *weights,
                                  int64_t *ranks)
{
    int64_t sum = 0, capacity = 1;
    for (int32_t v = 0; v < g->nvertices; v++) {
        int64_t weight = weight_of(g, weights, v);
        if (weight < 0 || weight > MAX_PRODUCT - sum)
            return error_set(trncclInvalidArgument,
                             "vertex %" PRId32 " must stand for 0 or more ranks, at most "
                             "%" PRId64 " with all others, not for %" PRId64,
                             v, MAX_PRODUCT, weight);
        sum += weight;
    }
    for (int32_t e = 0; e < g->nedges; e++)
        capacity += g->edges[e].capacity;
    if (sum > MAX_PRODUCT / capacity)
        return error_set(trncclInvalidArgument,
                         "%" PRId64 " ranks on links of capacity %" PRId64
                         ": their product must be at most %" PRId64,
                         sum, capacity, MAX_PRODUCT);
    if (sum == 0)
        return error_set(trncclInvalidArgument, "no vertex of %" PRId32 " has a rank",
                         g->nvertices);
    *ranks = sum;
    return trncclSuccess;
}

/* The search for the cut that binds. Arc e of the network is edge e of the graph, times
 * time.num; arc nedges + v goes from the source to vertex v, with its weight times
 * time.den. All blocks reach a sink in `time` per block if and only if the flow fills the
 * source's arcs. */
struct search {
    const struct digraph *g;
    const int64_t *weights;
    struct flow *flow;
    int64_t ranks;
    struct flow_ratio time; /* per block */
    int64_t blocks, capacity;
    bool *side, *best; /* [nvertices + 1]; owned */
};

static void set_capacities(struct search *s)
{
    const struct digraph *g = s->g;
    flow_reset(s->flow);
    for (int32_t e = 0; e < g->nedges; e++)
        flow_set(s->flow, e, g->edges[e].capacity * s->time.num);
    for (int32_t v = 0; v < g->nvertices; v++)
        flow_set(s->flow, g->nedges + v, weight_of(g, s->weights, v) * s->time.den);
}

/* Takes the cut on s->side, which binds more than what was found before. */
static trncclResult_t take_cut(struct search *s, int32_t sink)
{
    const struct digraph *g = s->g;
    int64_t blocks = 0, capacity = 0;
    int32_t inside = 0;
    for (int32_t v = 0; v < g->nvertices; v++) {
        s->best[v] = s->side[v];
        if (!s->side[v])
            continue;
        int64_t weight = weight_of(g, s->weights, v);
        blocks += weight;
        if (weight)
            inside = v;
    }
    for (int32_t e = 0; e < g->nedges; e++)
        if (s->side[g->edges[e].from] && !s->side[g->edges[e].to])
            capacity += g->edges[e].capacity;
    if (capacity == 0)
        return error_set(trncclInvalidArgument,
                         "vertex %" PRId32 " cannot be reached from vertex %" PRId32
                         ", which has %" PRId64 " of %" PRId64 " ranks beside it",
                         sink, inside, blocks, s->ranks);
    s->blocks = blocks;
    s->capacity = capacity;
    s->time = flow_ratio_make(blocks, capacity);
    return trncclSuccess;
}

/* A sink that gets everything in some time gets it in any longer time, so each has to be
 * asked only until it is satisfied. */
static trncclResult_t search_cuts(struct search *s)
{
    int32_t source = s->g->nvertices;
    for (int32_t sink = 0; sink < s->g->nvertices; sink++) {
        if (weight_of(s->g, s->weights, sink) == 0)
            continue;
        for (;;) {
            set_capacities(s);
            int64_t all = s->ranks * s->time.den;
            if (flow_run(s->flow, source, sink, all) == all)
                break;
            flow_cut(s->flow, source, s->side);
            TRY(take_cut(s, sink));
        }
    }
    return trncclSuccess;
}

static trncclResult_t search_open(struct search *s)
{
    const struct digraph *g = s->g;
    TRY(digraph_check(g));
    TRY(count_ranks(g, s->weights, &s->ranks));
    s->side = calloc((size_t)g->nvertices + 1, sizeof *s->side);
    s->best = calloc((size_t)g->nvertices + 1, sizeof *s->best);
    if (!s->side || !s->best)
        return error_set(trncclSystemError, "no memory for cuts of %" PRId32 " vertices",
                         g->nvertices);
    TRY(flow_create(g->nvertices + 1, g->nedges + g->nvertices, &s->flow));
    for (int32_t e = 0; e < g->nedges; e++)
        flow_add(s->flow, g->edges[e].from, g->edges[e].to, 0);
    for (int32_t v = 0; v < g->nvertices; v++)
        flow_add(s->flow, g->nvertices, v, 0);
    return trncclSuccess;
}

static void search_close(struct search *s)
{
    flow_destroy(s->flow);
    free(s->side);
    free(s->best);
}

trncclResult_t flow_allgather_bound(const struct digraph *g, const int64_t *weights,
                                    struct flow_bound *out, bool *cut)
{
    struct search s = {.g = g, .weights = weights, .time = {0, 1}, .capacity = 1};
    trncclResult_t result = search_open(&s);
    if (result == trncclSuccess)
        result = search_cuts(&s);
    if (result == trncclSuccess) {
        out->blocks = s.blocks;
        out->capacity = s.capacity;
        out->time = flow_ratio_make(s.blocks, s.capacity * s.ranks);
        for (int32_t v = 0; cut && v < g->nvertices; v++)
            cut[v] = s.best[v];
    }
    search_close(&s);
    return result;
}

trncclResult_t flow_reduce_scatter_bound(const struct digraph *g, const int64_t *weights,
                                         struct flow_bound *out, bool *cut)
{
    struct digraph *turned;
    TRY(digraph_reverse(g, &turned));
    trncclResult_t result = flow_allgather_bound(turned, weights, out, cut);
    digraph_destroy(turned);
    return result;
}

trncclResult_t flow_allreduce_bound(const struct digraph *g, const int64_t *weights,
                                    struct flow_ratio *time)
{
    struct flow_bound gather, scatter;
    int64_t ranks;
    TRY(flow_allgather_bound(g, weights, &gather, NULL));
    TRY(flow_reduce_scatter_bound(g, weights, &scatter, NULL));
    TRY(count_ranks(g, weights, &ranks));
    /* Blocks over capacity: the sum's denominator would not fit with the ranks in it. */
    __int128 num = (__int128)gather.blocks * scatter.capacity +
                   (__int128)scatter.blocks * gather.capacity;
    __int128 den = (__int128)gather.capacity * scatter.capacity * ranks;
    __int128 a = num, b = den;
    while (b) {
        __int128 rest = a % b;
        a = b;
        b = rest;
    }
    num /= a;
    den /= a;
    if (num > INT64_MAX || den > INT64_MAX)
        return error_set(trncclInvalidArgument,
                         "the bound of all-reduce is a fraction beyond 2^63: give the "
                         "links capacities in a coarser unit");
    *time = (struct flow_ratio){.num = (int64_t)num, .den = (int64_t)den};
    return trncclSuccess;
}
