/* Hops: the ways from one terminal to the next that pass no other terminal, which are a
 * link, or links through switches. What sends messages knows hops only. */
#ifndef TRNCCL_TOPO_SEARCH_HOP_H
#define TRNCCL_TOPO_SEARCH_HOP_H

#include "topo/digraph.h"

struct search_hop {
    int32_t from, to; /* terminals */
    int32_t nedges;   /* 1: a link */
    int32_t first;    /* the hop's edges are path[first] .. path[first + nedges - 1] */
};

struct search_hops {
    int32_t nhops;
    struct search_hop *hops; /* [nhops] by `from`, then by its edges; owned */
    int32_t *first;          /* [nvertices + 1] hops of a vertex; owned */
    int32_t *path;           /* edges of the graph; owned */
};

/* For each link from a terminal to another, that link; for each link from a terminal to a
 * switch, one shortest way on to every terminal that can be reached through switches. So
 * two planes of switches give two hops between the same two terminals. The graph is taken
 * as checked. */
trncclResult_t search_hops_create(const struct digraph *g, struct search_hops **out);
void search_hops_destroy(struct search_hops *h); /* NULL is allowed */

#endif
