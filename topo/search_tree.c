#include "topo/search_tree.h"

#include <inttypes.h>
#include <stdlib.h>

#include "topo/flow.h"
#include "topo/search_internal.h"

#define MAX_PER_ROOT 64
/* Times are tried in steps of 1 / this: finer than any two rates need. */
#define TIME_STEPS (INT64_C(1) << 20)

trncclResult_t search_trees_create(int32_t nvertices, int32_t ntrees,
                                   struct search_trees **out)
{
    struct search_trees *s = calloc(1, sizeof *s);
    if (s) {
        s->nvertices = nvertices;
        s->ntrees = ntrees;
        s->roots = malloc((size_t)ntrees * sizeof *s->roots);
        s->parents = malloc((size_t)ntrees * (size_t)nvertices * sizeof *s->parents);
    }
    if (!s || !s->roots || !s->parents) {
        search_trees_destroy(s);
        return error_set(trncclSystemError,
                         "no memory for %" PRId32 " trees of %" PRId32 " vertices",
                         ntrees, nvertices);
    }
    *out = s;
    return trncclSuccess;
}

void search_trees_destroy(struct search_trees *s)
{
    if (!s)
        return;
    free(s->roots);
    free(s->parents);
    free(s);
}

int32_t search_tree_depth(const int32_t *parents, int32_t nvertices)
{
    int32_t deepest = 0;
    for (int32_t v = 0; v < nvertices; v++) {
        int32_t depth = 0;
        for (int32_t u = v; parents[u] >= 0; u = parents[u])
            depth++;
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

/* Which directions can be the last of a shortest path from 0 to v, as bits: 2 d is a step
 * up along dimension d, 2 d + 1 a step down. The only link of a dimension of 2 is up. */
static uint32_t last_steps(const struct search_torus *t, int32_t v)
{
    uint32_t bits = 0;
    for (int32_t d = 0; d < t->ndims; d++) {
        int32_t x = search_torus_coordinate(t, v, d), k = t->dims[d];
        if (x == 0)
            continue;
        if (2 * x <= k)
            bits |= UINT32_C(1) << (2 * d);
        if (2 * x >= k && k > 2)
            bits |= UINT32_C(1) << (2 * d + 1);
    }
    return bits;
}

/* Shares the last steps out over the directions. Vertices 0 .. n - 1 of the network are
 * those of the torus, 0 the source; then the directions; then the sink. */
struct share {
    const struct search_torus *t;
    int32_t per_root;
    struct flow *flow; /* owned */
    int32_t first_out; /* arcs from directions to the sink begin here */
};

static trncclResult_t open_share(struct share *s)
{
    const struct search_torus *t = s->t;
    int32_t n = t->nvertices, ndirs = 2 * t->ndims, sink = n + ndirs;
    TRY(flow_create(sink + 1, n + n * ndirs + ndirs, &s->flow));
    int32_t arcs = 0;
    for (int32_t v = 1; v < n; v++) {
        flow_add(s->flow, 0, v, s->per_root);
        uint32_t bits = last_steps(t, v);
        for (int32_t i = 0; i < ndirs; i++)
            if (bits >> i & 1)
                arcs = flow_add(s->flow, v, n + i, s->per_root);
    }
    s->first_out = n > 1 ? arcs + 1 : 0;
    for (int32_t i = 0; i < ndirs; i++)
        flow_add(s->flow, n + i, sink, 0);
    return trncclSuccess;
}

/* Whether all steps fit if a direction gets what its rate carries in that time. */
static bool fits(struct share *s, int64_t time)
{
    const struct search_torus *t = s->t;
    int32_t sink = t->nvertices + 2 * t->ndims;
    int64_t all = (int64_t)s->per_root * (t->nvertices - 1);
    flow_reset(s->flow);
    for (int32_t i = 0; i < 2 * t->ndims; i++) {
        __int128 most = (__int128)time * t->rates[i / 2] / TIME_STEPS;
        flow_set(s->flow, s->first_out + i, most < all ? (int64_t)most : all);
    }
    return flow_run(s->flow, 0, sink, all) == all;
}

static void find_least_time(struct share *s)
{
    int64_t low = -1;
    int64_t high = (int64_t)s->per_root * s->t->nvertices * TIME_STEPS; /* all in one */
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (fits(s, middle))
            high = middle;
        else
            low = middle;
    }
    fits(s, high);
}

/* The trees take the steps of each vertex in turn, from another one at each vertex, so
 * that the single trees are mixed too. */
static void take_trees(const struct share *s, struct search_trees *trees, int32_t *counts)
{
    const struct search_torus *t = s->t;
    int32_t arc = 0;
    for (int32_t j = 0; j < s->per_root; j++) {
        trees->roots[j] = 0;
        trees->parents[j * t->nvertices] = -1;
    }
    for (int32_t v = 1; v < t->nvertices; v++) {
        uint32_t bits = last_steps(t, v);
        int32_t tree = v;
        arc++; /* the source's */
        for (int32_t i = 0; i < 2 * t->ndims; i++) {
            if (!(bits >> i & 1))
                continue;
            int32_t parent = search_torus_move(t, v, i / 2, i % 2 ? 1 : -1);
            for (int64_t k = flow_on(s->flow, arc++); k > 0; k--)
                trees->parents[tree++ % s->per_root * t->nvertices + v] = parent;
        }
    }
    for (int32_t i = 0; counts && i < 2 * t->ndims; i++)
        counts[i] = (int32_t)flow_on(s->flow, s->first_out + i);
}

trncclResult_t search_trees_torus(const struct search_torus *t, int32_t per_root,
                                  struct search_trees **out, int32_t *counts)
{
    if (per_root < 1 || per_root > MAX_PER_ROOT)
        return error_set(trncclInvalidArgument,
                         "a root can have 1 to %d translated trees, not %" PRId32,
                         MAX_PER_ROOT, per_root);
    struct share s = {.t = t, .per_root = per_root};
    struct search_trees *trees;
    TRY(search_trees_create(t->nvertices, per_root, &trees));
    trncclResult_t result = open_share(&s);
    if (result != trncclSuccess) {
        search_trees_destroy(trees);
        return result;
    }
    find_least_time(&s);
    take_trees(&s, trees, counts);
    flow_destroy(s.flow);
    *out = trees;
    return trncclSuccess;
}

void search_tree_translate(const struct search_torus *t, const int32_t *from,
                           int32_t root, int32_t *to)
{
    for (int32_t v = 0; v < t->nvertices; v++)
        to[search_torus_add(t, v, root)] =
            from[v] < 0 ? from[v] : search_torus_add(t, from[v], root);
}

void search_trees_double(int32_t n, int32_t *parents)
{
    int32_t *other = parents + n;
    for (int32_t v = 0; v < n; v++) {
        int32_t bit = v & -v,
                up = (v ^ bit) | bit << 1; /* bit: the level, leaves are 1 */
        /* Past the end of the groups the parent is on the other side. */
        int32_t parent = v == 0 ? -1 : up < n ? up : v ^ bit;
        parents[v] = parent;
        if (n % 2 == 0)
            other[n - 1 - v] = parent < 0 ? -1 : n - 1 - parent;
        else
            other[(v + 1) % n] = parent < 0 ? -1 : (parent + 1) % n;
    }
}
