/* A plain directed graph with integer capacities: what the searches work on. Made from a
 * box (its chips and switches, links between them), or by hand in tests. */
#ifndef TRNCCL_TOPO_DIGRAPH_H
#define TRNCCL_TOPO_DIGRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

struct digraph_edge {
    int32_t from, to;
    int64_t capacity; /* > 0, in a unit that all edges share */
};

struct digraph {
    int32_t nvertices, nedges;
    struct digraph_edge *edges; /* [nedges]; owned */
    bool *terminal; /* [nvertices] holds data (a chip); others only forward; owned */
};

/* All vertices are terminals; the edges are zero and for the caller to fill in.
 * Returns trncclInvalidArgument unless nvertices >= 1 and nedges >= 0. */
trncclResult_t digraph_create(int32_t nvertices, int32_t nedges, struct digraph **out);
void digraph_destroy(struct digraph *g); /* NULL is allowed */
/* The same graph with every edge turned round: edge e stays edge e. */
trncclResult_t digraph_reverse(const struct digraph *g, struct digraph **out);
/* Whether edges join two different existing vertices, capacities are positive and their
 * sum is at most 2^40, and there are a terminal and at
 * most 2^20 vertices. Every search asks this first.
 * Returns trncclInvalidArgument with the edge and what is wrong with it. */
trncclResult_t digraph_check(const struct digraph *g);
int32_t digraph_terminals(const struct digraph *g); /* how many */
/* The edges by the vertex they leave: vertex v has index[first[v]] .. index[first[v + 1]
 * - 1], in the order of the edges. Both are the caller's to free. first  [nvertices + 1]
 *   index  [nedges] */
trncclResult_t digraph_index(const struct digraph *g, int32_t **first, int32_t **index);

#endif
