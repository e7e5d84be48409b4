#include "topo/search_hop.h"

#include <inttypes.h>
#include <stdlib.h>

struct walk {
    const struct digraph *g;
    int32_t *first_edge, *edges; /* index of the graph; owned, like all below */
    int32_t *queue;              /* [nvertices] */
    int32_t *by, *depth; /* [nvertices] edge it was reached by, and edges so far */
    struct search_hops *hops;
    int32_t room, npath, path_room;
};

static trncclResult_t grow(struct walk *w, int32_t nedges)
{
    struct search_hops *h = w->hops;
    if (h->nhops == w->room) {
        int32_t room = 2 * w->room + 64;
        void *more = realloc(h->hops, (size_t)room * sizeof *h->hops);
        if (!more)
            return error_set(trncclSystemError, "no memory for %" PRId32 " hops", room);
        h->hops = more;
        w->room = room;
    }
    if (w->npath + nedges > w->path_room) {
        int32_t room = 2 * w->path_room + nedges + 64;
        void *more = realloc(h->path, (size_t)room * sizeof *h->path);
        if (!more)
            return error_set(trncclSystemError, "no memory for %" PRId32 " links of hops",
                             room);
        h->path = more;
        w->path_room = room;
    }
    return trncclSuccess;
}

static trncclResult_t add_hop(struct walk *w, int32_t from, int32_t to)
{
    struct search_hops *h = w->hops;
    int32_t nedges = w->depth[to];
    TRY(grow(w, nedges));
    h->hops[h->nhops++] = (struct search_hop){from, to, nedges, w->npath};
    int32_t v = to;
    for (int32_t i = nedges - 1; i >= 0; i--) {
        h->path[w->npath + i] = w->by[v];
        v = w->g->edges[w->by[v]].from;
    }
    w->npath += nedges;
    return trncclSuccess;
}

/* All hops that begin with one edge; `by` is -1 everywhere before and after. */
static trncclResult_t walk_from(struct walk *w, int32_t edge)
{
    const struct digraph *g = w->g;
    int32_t from = g->edges[edge].from, count = 0;
    trncclResult_t result = trncclSuccess;
    w->queue[count++] = g->edges[edge].to;
    w->by[g->edges[edge].to] = edge;
    w->depth[g->edges[edge].to] = 1;
    for (int32_t i = 0; i < count; i++) {
        int32_t v = w->queue[i];
        if (g->terminal[v]) {
            if (result == trncclSuccess)
                result = add_hop(w, from, v);
            continue;
        }
        for (int32_t k = w->first_edge[v]; k < w->first_edge[v + 1]; k++) {
            int32_t to = g->edges[w->edges[k]].to;
            if (to == from || w->by[to] >= 0)
                continue;
            w->by[to] = w->edges[k];
            w->depth[to] = w->depth[v] + 1;
            w->queue[count++] = to;
        }
    }
    for (int32_t i = 0; i < count; i++)
        w->by[w->queue[i]] = -1;
    return result;
}

static trncclResult_t walk_all(struct walk *w)
{
    size_t n = (size_t)w->g->nvertices;
    TRY(digraph_index(w->g, &w->first_edge, &w->edges));
    w->queue = malloc(n * sizeof *w->queue);
    w->by = malloc(n * sizeof *w->by);
    w->depth = malloc(n * sizeof *w->depth);
    w->hops = calloc(1, sizeof *w->hops);
    if (w->hops)
        w->hops->first = calloc(n + 1, sizeof *w->hops->first);
    if (!w->queue || !w->by || !w->depth || !w->hops || !w->hops->first)
        return error_set(trncclSystemError, "no memory for hops of %" PRId32 " vertices",
                         w->g->nvertices);
    for (int32_t v = 0; v < w->g->nvertices; v++)
        w->by[v] = -1;
    for (int32_t v = 0; v < w->g->nvertices; v++) {
        for (int32_t k = w->first_edge[v]; k < w->first_edge[v + 1]; k++)
            if (w->g->terminal[v])
                TRY(walk_from(w, w->edges[k]));
        w->hops->first[v + 1] = w->hops->nhops;
    }
    return trncclSuccess;
}

trncclResult_t search_hops_create(const struct digraph *g, struct search_hops **out)
{
    struct walk w = {.g = g};
    trncclResult_t result = walk_all(&w);
    free(w.first_edge);
    free(w.edges);
    free(w.queue);
    free(w.by);
    free(w.depth);
    if (result == trncclSuccess)
        *out = w.hops;
    else
        search_hops_destroy(w.hops);
    return result;
}

void search_hops_destroy(struct search_hops *h)
{
    if (!h)
        return;
    free(h->hops);
    free(h->first);
    free(h->path);
    free(h);
}
