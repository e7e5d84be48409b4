/* The network that says whether the arcs are enough for all trees. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo/pack_internal.h"

trncclResult_t pack_arc_add(struct pack_work *w, int32_t from, int32_t to, int64_t left,
                            const int32_t *edges, int32_t nedges)
{
    if (w->narcs == w->room) {
        int32_t room = 2 * w->room + 64;
        void *more = realloc(w->arcs, (size_t)room * sizeof *w->arcs);
        if (!more)
            return error_set(trncclSystemError, "no memory for %" PRId32 " arcs", room);
        w->arcs = more;
        w->room = room;
    }
    int32_t *copy = malloc((size_t)nedges * sizeof *copy);
    if (!copy)
        return error_set(trncclSystemError, "no memory for a hop of %" PRId32 " edges",
                         nedges);
    memcpy(copy, edges, (size_t)nedges * sizeof *copy);
    w->arcs[w->narcs++] =
        (struct pack_arc){.hop = {from, to, nedges, copy}, .left = left};
    return trncclSuccess;
}

trncclResult_t pack_flow_open(struct pack_work *w, int32_t nvertices, int32_t narcs)
{
    if (w->flow && w->flow_vertices >= nvertices && w->flow_room >= narcs) {
        flow_clear(w->flow);
        return trncclSuccess;
    }
    struct flow *flow;
    int32_t vertices = nvertices > w->flow_vertices ? nvertices : w->flow_vertices;
    int32_t room = narcs > w->flow_room ? narcs + narcs / 2 : w->flow_room;
    TRY(flow_create(vertices, room, &flow));
    flow_destroy(w->flow);
    w->flow = flow;
    w->flow_vertices = vertices;
    w->flow_room = room;
    return trncclSuccess;
}

trncclResult_t pack_net_build(struct pack_work *w)
{
    int32_t nv = w->g->nvertices, source = nv, sink = nv + 1;
    TRY(pack_flow_open(w, nv + 2, w->narcs + 2 * nv));
    w->net_arcs = w->narcs;
    for (int i = 0; i < 3; i++)
        w->sources[i % 2] = w->sinks[i] = -1;
    for (int32_t a = 0; a < w->narcs; a++)
        flow_add(w->flow, w->arcs[a].hop.from, w->arcs[a].hop.to, w->arcs[a].left);
    for (int32_t v = 0; v < nv; v++)
        flow_add(w->flow, source, v, w->demand[v]);
    for (int32_t v = 0; v < nv; v++)
        flow_add(w->flow, v, sink, 0);
    return trncclSuccess;
}

/* Takes back what the last pack_net_flow set, and sets the next. */
static void set_ends(struct pack_work *w, const int32_t sources[2],
                     const int32_t sinks[3])
{
    int32_t first_in = w->net_arcs, first_out = w->net_arcs + w->g->nvertices;
    flow_reset(w->flow);
    for (int i = 0; i < 2; i++)
        if (w->sources[i] >= 0)
            flow_set(w->flow, first_in + w->sources[i], w->demand[w->sources[i]]);
    for (int i = 0; i < 3; i++)
        if (w->sinks[i] >= 0)
            flow_set(w->flow, first_out + w->sinks[i], 0);
    for (int i = 0; i < 2; i++) {
        w->sources[i] = sources[i];
        if (sources[i] >= 0)
            flow_set(w->flow, first_in + sources[i], FLOW_INFINITE);
    }
    for (int i = 0; i < 3; i++) {
        w->sinks[i] = sinks[i];
        if (sinks[i] >= 0)
            flow_set(w->flow, first_out + sinks[i], FLOW_INFINITE);
    }
}

int64_t pack_net_flow(struct pack_work *w, const int32_t sources[2],
                      const int32_t sinks[3], int64_t limit)
{
    set_ends(w, sources, sinks);
    w->nflows++;
    return flow_run(w->flow, w->g->nvertices, w->g->nvertices + 1, limit);
}

int32_t pack_net_unreached(struct pack_work *w)
{
    for (int32_t v = 0; v < w->g->nvertices; v++) {
        const int32_t none[2] = {-1, -1}, sinks[3] = {v, -1, -1};
        if (w->demand[v] > 0 && pack_net_flow(w, none, sinks, w->total) < w->total)
            return v;
    }
    return -1;
}
