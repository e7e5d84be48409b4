/* What the stages of packing share: arcs that carry whole numbers of trees. */
#ifndef TRNCCL_TOPO_PACK_INTERNAL_H
#define TRNCCL_TOPO_PACK_INTERNAL_H

#include "topo/flow.h"
#include "topo/pack.h"

struct pack_arc {
    struct pack_hop hop; /* its edges are owned */
    int64_t left;        /* trees that it can still carry */
};

struct pack_work {
    const struct digraph *g;
    int64_t *demand; /* [nvertices] trees of each root, 0: forwards only; owned, like all
                        below */
    int64_t total;   /* of the demand */
    struct pack_arc *arcs;
    int32_t narcs, room;
    struct flow *flow;
    int32_t flow_vertices, flow_room;
    int64_t nflows;
    /* The network of pack_net_build: arc i is arc i; then one from the source to each
     * vertex with its demand, and one from each vertex to the sink with nothing, but for
     * the ends that the last pack_net_flow set. */
    int32_t net_arcs, sources[2], sinks[3];
};

trncclResult_t pack_arc_add(struct pack_work *w, int32_t from, int32_t to, int64_t left,
                            const int32_t *edges, int32_t nedges);
/* An empty w->flow with at least that much room. */
trncclResult_t pack_flow_open(struct pack_work *w, int32_t nvertices, int32_t narcs);

trncclResult_t pack_net_build(struct pack_work *w);
/* How much of the demand, at most `limit`, reaches the sinks if the vertices in `sources`
 * have any amount of it (-1: none). Smaller than w->total for one sink: the arcs are not
 * enough for all trees to reach it. */
int64_t pack_net_flow(struct pack_work *w, const int32_t sources[2],
                      const int32_t sinks[3], int64_t limit);
/* The first terminal that not all trees can reach, -1: none. */
int32_t pack_net_unreached(struct pack_work *w);

/* Replaces all arcs at switches by arcs between terminals, so that still every tree can
 * reach every terminal; *whole says whether that was possible. */
trncclResult_t pack_split_switches(struct pack_work *w, bool *whole);
/* Grows all trees out of arcs between terminals which pack_net_unreached has found to be
 * enough, and appends them. */
trncclResult_t pack_grow_trees(struct pack_work *w, struct pack *p);

#endif
