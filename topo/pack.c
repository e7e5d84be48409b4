#include "topo/pack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo/pack_internal.h"

#define MAX_PER_RANK 64
/* Trees of all roots together: keeps products within 128 bits. */
#define MAX_TREES (INT64_C(1) << 31)
/* Of an edge: more than all trees, and sums over all edges stay below 2^63. */
#define MAX_CARRIED (INT64_C(1) << 42)
/* Times are tried in steps of 1 / this: finer than the capacities of one cut need. */
#define TIME_STEPS (INT64_C(1) << 20)
/* Attempts with a quarter more time each, where the links of a switch are so uneven that
 * it cannot be taken out without loss. */
#define MAX_ATTEMPTS 16

void pack_destroy(struct pack *p)
{
    if (!p)
        return;
    for (int32_t i = 0; i < p->ntrees; i++) {
        free(p->trees[i].parents);
        free(p->trees[i].hops);
    }
    for (int32_t i = 0; i < p->nhops; i++)
        free(p->hops[i].edges);
    free(p->trees);
    free(p->hops);
    free(p);
}

static void drop_arcs(struct pack_work *w)
{
    for (int32_t a = 0; a < w->narcs; a++)
        free(w->arcs[a].hop.edges);
    w->narcs = 0;
}

static void work_close(struct pack_work *w)
{
    drop_arcs(w);
    free(w->arcs);
    free(w->demand);
    flow_destroy(w->flow);
}

/* How many trees an edge carries in that time, each tree one unit. */
static int64_t carries(struct flow_ratio time, int64_t capacity)
{
    __int128 trees = (__int128)time.num * capacity / time.den;
    return trees < MAX_CARRIED ? (int64_t)trees : MAX_CARRIED;
}

/* One arc per edge, with what it carries in that time. */
static trncclResult_t arcs_of_edges(struct pack_work *w, struct flow_ratio time)
{
    drop_arcs(w);
    for (int32_t e = 0; e < w->g->nedges; e++) {
        const struct digraph_edge *edge = &w->g->edges[e];
        TRY(pack_arc_add(w, edge->from, edge->to, carries(time, edge->capacity), &e, 1));
    }
    return pack_net_build(w);
}

static void set_demand(struct pack_work *w, const int64_t *weights, int32_t per_rank)
{
    w->total = 0;
    for (int32_t v = 0; v < w->g->nvertices; v++) {
        w->demand[v] = w->g->terminal[v] ? per_rank * (weights ? weights[v] : 1) : 0;
        w->total += w->demand[v];
    }
}

/* What the edges out of `side` carry in `steps` / TIME_STEPS; in *time the least time in
 * which they carry as much. */
static int64_t cut_carries(const struct digraph *g, const bool *side, int64_t steps,
                           struct flow_ratio *time)
{
    int64_t sum = 0;
    *time = (struct flow_ratio){0, 1};
    for (int32_t e = 0; e < g->nedges; e++) {
        const struct digraph_edge *edge = &g->edges[e];
        if (!side[edge->from] || side[edge->to])
            continue;
        int64_t here = (int64_t)((__int128)steps * edge->capacity / TIME_STEPS);
        struct flow_ratio need = flow_ratio_make(here, edge->capacity);
        sum += here;
        if (flow_ratio_compare(need, *time) > 0)
            *time = need;
    }
    return sum;
}

/* The least time in which whole trees across a cut are as many as the demand inside. */
static struct flow_ratio cut_time(const struct pack_work *w, const bool *side)
{
    int64_t need = 0;
    for (int32_t v = 0; v < w->g->nvertices; v++)
        need += side[v] ? w->demand[v] : 0;
    int64_t low = 0, high = need * TIME_STEPS;
    struct flow_ratio time;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (cut_carries(w->g, side, middle, &time) >= need)
            high = middle;
        else
            low = middle;
    }
    cut_carries(w->g, side, high, &time);
    return time;
}

/* The least time, from `time` on, in which edges that carry whole trees are enough: each
 * cut that is not enough says how much longer it takes at least. */
static trncclResult_t find_time(struct pack_work *w, struct flow_ratio *time)
{
    bool *side = malloc((size_t)w->g->nvertices + 2);
    if (!side)
        return error_set(trncclSystemError, "no memory for a cut of %" PRId32,
                         w->g->nvertices);
    trncclResult_t result = arcs_of_edges(w, *time);
    while (result == trncclSuccess && pack_net_unreached(w) >= 0) {
        flow_cut(w->flow, w->g->nvertices, side);
        *time = cut_time(w, side);
        result = arcs_of_edges(w, *time);
    }
    free(side);
    return result;
}

/* Which number of trees per rank takes the least time per block. */
static trncclResult_t choose_per_rank(struct pack_work *w, const int64_t *weights,
                                      int32_t max_per_rank, struct pack *p)
{
    for (int32_t k = 1; k <= max_per_rank; k++) {
        if (p->per_rank && flow_ratio_compare(p->time, p->bound) == 0)
            break;
        struct flow_ratio time = flow_ratio_make(p->bound.num * k, p->bound.den);
        set_demand(w, weights, k);
        TRY(find_time(w, &time));
        time = flow_ratio_make(time.num, time.den * k);
        if (p->per_rank == 0 || flow_ratio_compare(time, p->time) < 0) {
            p->time = time;
            p->per_rank = k;
        }
    }
    set_demand(w, weights, p->per_rank);
    return trncclSuccess;
}

static trncclResult_t split_with_patience(struct pack_work *w, struct pack *p)
{
    bool whole = false;
    struct flow_ratio time = flow_ratio_make(p->time.num * p->per_rank, p->time.den);
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        TRY(arcs_of_edges(w, time));
        TRY(pack_split_switches(w, &whole));
        if (whole) {
            p->time = flow_ratio_make(time.num, time.den * p->per_rank);
            return trncclSuccess;
        }
        if (time.num > INT64_MAX / 5 || time.den > INT64_MAX / 4)
            break;
        time = flow_ratio_make(time.num * 5, time.den * 4);
    }
    return error_set(trncclInvalidArgument,
                     "no trees could be packed: the links into and out of a switch must "
                     "have about the same capacity in all");
}

/* The most trees on an edge over its capacity: with whole trees that can be less than the
 * time that was allowed. */
static trncclResult_t take_time(const struct pack_work *w, struct pack *p)
{
    int64_t *load = calloc((size_t)w->g->nedges + 1, sizeof *load);
    if (!load)
        return error_set(trncclSystemError, "no memory for %" PRId32 " edges",
                         w->g->nedges);
    for (int32_t i = 0; i < p->ntrees; i++)
        for (int32_t v = 0; v < p->nvertices; v++) {
            int32_t h = p->trees[i].hops[v];
            for (int32_t k = 0; h >= 0 && k < p->hops[h].nedges; k++)
                load[p->hops[h].edges[k]] += p->trees[i].weight;
        }
    p->time = (struct flow_ratio){0, 1};
    for (int32_t e = 0; e < w->g->nedges; e++) {
        struct flow_ratio here =
            flow_ratio_make(load[e], w->g->edges[e].capacity * p->per_rank);
        if (flow_ratio_compare(here, p->time) > 0)
            p->time = here;
    }
    free(load);
    return trncclSuccess;
}

/* The arcs are what trees call hops. */
static trncclResult_t take_hops(struct pack_work *w, struct pack *p)
{
    p->hops = calloc((size_t)w->narcs + 1, sizeof *p->hops);
    if (!p->hops)
        return error_set(trncclSystemError, "no memory for %" PRId32 " hops", w->narcs);
    for (int32_t a = 0; a < w->narcs; a++)
        p->hops[a] = w->arcs[a].hop;
    p->nhops = w->narcs;
    w->narcs = 0;
    p->nflows = w->nflows;
    return trncclSuccess;
}

static trncclResult_t pack_with(struct pack_work *w, const int64_t *weights,
                                int32_t max_per_rank, struct pack *p)
{
    struct flow_bound bound;
    TRY(flow_allgather_bound(w->g, weights, &bound, NULL));
    w->demand = malloc((size_t)w->g->nvertices * sizeof *w->demand);
    if (!w->demand)
        return error_set(trncclSystemError, "no memory for %" PRId32 " vertices",
                         w->g->nvertices);
    set_demand(w, weights, 1);
    if (max_per_rank < 1 || max_per_rank > MAX_PER_RANK ||
        w->total > MAX_TREES / max_per_rank)
        return error_set(trncclInvalidArgument,
                         "there must be 1 to %d trees per rank, and 2^31 in all, not "
                         "%" PRId32 " for each of %" PRId64 " ranks",
                         MAX_PER_RANK, max_per_rank, w->total);
    p->bound = flow_ratio_make(bound.blocks, bound.capacity);
    TRY(choose_per_rank(w, weights, max_per_rank, p));
    TRY(split_with_patience(w, p));
    TRY(pack_grow_trees(w, p));
    TRY(take_hops(w, p));
    return take_time(w, p);
}

trncclResult_t pack_trees(const struct digraph *g, const int64_t *weights,
                          int32_t max_per_rank, struct pack **out)
{
    struct pack_work w = {.g = g};
    struct pack *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(trncclSystemError, "no memory for a packing");
    p->nvertices = g->nvertices;
    trncclResult_t result = pack_with(&w, weights, max_per_rank, p);
    work_close(&w);
    if (result == trncclSuccess)
        *out = p;
    else
        pack_destroy(p);
    return result;
}
