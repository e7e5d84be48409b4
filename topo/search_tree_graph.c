/* Trees of fewest hops on any graph, with balanced loads. */
#include <inttypes.h>
#include <stdlib.h>

#include "topo/search_hop.h"
#include "topo/search_internal.h"
#include "topo/search_tree.h"

#define MAX_TERMINALS 4096 /* every root has a tree over all of them */

struct balance {
    const struct digraph *g;
    struct search_hops *hops; /* owned, like all below */
    int32_t n;                /* terminals */
    int32_t *roots;           /* [n] */
    int32_t *first, *into;    /* hops by where they lead: [nvertices + 1], [nhops] */
    int32_t *depth, *queue;   /* [nvertices] */
    int32_t *chosen;          /* [n][nvertices] hop that leads there, -1: none */
    int64_t *load;            /* [nedges] */
};

/* How busy the busiest link of a hop would be with one tree more. */
static struct flow_ratio busy_with(const struct balance *b, int32_t h)
{
    const struct search_hop *hop = &b->hops->hops[h];
    struct flow_ratio most = {0, 1};
    for (int32_t i = hop->first; i < hop->first + hop->nedges; i++) {
        int32_t e = b->hops->path[i];
        struct flow_ratio here = {b->load[e] + 1, b->g->edges[e].capacity};
        if (flow_ratio_compare(here, most) > 0)
            most = here;
    }
    return most;
}

static void add_load(struct balance *b, int32_t h, int64_t amount)
{
    const struct search_hop *hop = &b->hops->hops[h];
    for (int32_t i = hop->first; i < hop->first + hop->nedges; i++)
        b->load[b->hops->path[i]] += amount;
}

/* Hops from the root to each terminal; the terminals in that order in b->queue. */
static trncclResult_t find_depths(struct balance *b, int32_t root)
{
    for (int32_t v = 0; v < b->g->nvertices; v++)
        b->depth[v] = -1;
    int32_t count = 0;
    b->depth[root] = 0;
    b->queue[count++] = root;
    for (int32_t i = 0; i < count; i++) {
        int32_t v = b->queue[i];
        for (int32_t h = b->hops->first[v]; h < b->hops->first[v + 1]; h++) {
            int32_t to = b->hops->hops[h].to;
            if (b->depth[to] < 0) {
                b->depth[to] = b->depth[v] + 1;
                b->queue[count++] = to;
            }
        }
    }
    if (count < b->n)
        for (int32_t i = 0; i < b->n; i++)
            if (b->depth[b->roots[i]] < 0)
                return error_set(trncclInvalidArgument,
                                 "vertex %" PRId32
                                 " cannot be reached from vertex %" PRId32,
                                 b->roots[i], root);
    return trncclSuccess;
}

/* Hangs every vertex of one root's tree on the least busy hop from one level above. */
static trncclResult_t hang_tree(struct balance *b, int32_t tree)
{
    int32_t *chosen = b->chosen + (size_t)tree * (size_t)b->g->nvertices;
    TRY(find_depths(b, b->roots[tree]));
    for (int32_t i = 1; i < b->n; i++) {
        int32_t v = b->queue[i], best = -1;
        struct flow_ratio least = {0, 1};
        if (chosen[v] >= 0)
            add_load(b, chosen[v], -1);
        for (int32_t k = b->first[v]; k < b->first[v + 1]; k++) {
            int32_t h = b->into[k];
            if (b->depth[b->hops->hops[h].from] != b->depth[v] - 1)
                continue;
            struct flow_ratio here = busy_with(b, h);
            if (best < 0 || flow_ratio_compare(here, least) < 0) {
                best = h;
                least = here;
            }
        }
        chosen[v] = best;
        add_load(b, best, 1);
    }
    return trncclSuccess;
}

static trncclResult_t open_balance(struct balance *b)
{
    const struct digraph *g = b->g;
    size_t nv = (size_t)g->nvertices, n = (size_t)b->n;
    TRY(search_hops_create(g, &b->hops));
    b->roots = malloc(n * sizeof *b->roots);
    b->first = calloc(nv + 2, sizeof *b->first);
    b->into = malloc(((size_t)b->hops->nhops + 1) * sizeof *b->into);
    b->depth = malloc(nv * sizeof *b->depth);
    b->queue = malloc(nv * sizeof *b->queue);
    b->chosen = malloc(n * nv * sizeof *b->chosen);
    b->load = calloc((size_t)g->nedges + 1, sizeof *b->load);
    if (!b->roots || !b->first || !b->into || !b->depth || !b->queue || !b->chosen ||
        !b->load)
        return error_set(trncclSystemError,
                         "no memory for trees of %" PRId32 " terminals", b->n);
    int32_t count = 0;
    for (int32_t v = 0; v < g->nvertices; v++)
        if (g->terminal[v])
            b->roots[count++] = v;
    for (size_t i = 0; i < n * nv; i++)
        b->chosen[i] = -1;
    for (int32_t h = 0; h < b->hops->nhops; h++)
        b->first[b->hops->hops[h].to + 2]++;
    for (int32_t v = 0; v < g->nvertices; v++)
        b->first[v + 1] += b->first[v];
    for (int32_t h = 0; h < b->hops->nhops; h++)
        b->into[b->first[b->hops->hops[h].to + 1]++] = h;
    return trncclSuccess;
}

static void close_balance(struct balance *b)
{
    search_hops_destroy(b->hops);
    free(b->roots);
    free(b->first);
    free(b->into);
    free(b->depth);
    free(b->queue);
    free(b->chosen);
    free(b->load);
}

static trncclResult_t store_trees(const struct balance *b, struct search_trees **out,
                                  struct flow_ratio *time)
{
    struct search_trees *trees;
    int32_t nv = b->g->nvertices;
    TRY(search_trees_create(nv, b->n, &trees));
    for (int32_t tree = 0; tree < b->n; tree++) {
        trees->roots[tree] = b->roots[tree];
        for (int32_t v = 0; v < nv; v++) {
            size_t at = (size_t)tree * (size_t)nv + (size_t)v;
            int32_t h = b->chosen[at];
            trees->parents[at] = h >= 0                ? b->hops->hops[h].from
                                 : v == b->roots[tree] ? -1
                                                       : -2;
        }
    }
    struct flow_ratio most = {0, 1};
    for (int32_t e = 0; e < b->g->nedges; e++) {
        struct flow_ratio here = flow_ratio_make(b->load[e], b->g->edges[e].capacity);
        if (flow_ratio_compare(here, most) > 0)
            most = here;
    }
    if (time)
        *time = most;
    *out = trees;
    return trncclSuccess;
}

trncclResult_t search_trees_graph(const struct digraph *g, int32_t rounds,
                                  struct search_trees **out, struct flow_ratio *time)
{
    TRY(digraph_check(g));
    struct balance b = {.g = g, .n = digraph_terminals(g)};
    if (rounds < 1 || b.n > MAX_TERMINALS)
        return error_set(trncclInvalidArgument,
                         "balanced trees need 1 or more rounds and at most %d terminals, "
                         "not %" PRId32 " and %" PRId32,
                         MAX_TERMINALS, rounds, b.n);
    trncclResult_t result = open_balance(&b);
    for (int32_t i = 0; i < rounds; i++)
        for (int32_t tree = 0; tree < b.n && result == trncclSuccess; tree++)
            result = hang_tree(&b, tree);
    if (result == trncclSuccess)
        result = store_trees(&b, out, time);
    close_balance(&b);
    return result;
}
