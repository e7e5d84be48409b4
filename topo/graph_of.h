/* The graph of a box, alone or in a cluster, for bounds and searches.
 *
 * Vertices are chips, then memories, then switches, each in the order of the box; vertex
 * i of the graph is chip i. The cores of a chip count as the chip, so links inside it do
 * not bind. Parallel links are one edge with the sum of their capacity. */
#ifndef TRNCCL_TOPO_GRAPH_OF_H
#define TRNCCL_TOPO_GRAPH_OF_H

#include "topo/digraph.h"
#include "topo/model.h"

struct graph_of {
    struct digraph *graph; /* terminals have seats; owned, like all below */
    int64_t *weights;      /* [nvertices] ranks (seats) of each terminal, 0 for others */
    int32_t *box_vertex;   /* [nvertices] vertex of the box; -1: the network */
    double unit_gbps;      /* GB/s that one unit of capacity stands for */
};

void graph_of_destroy(struct graph_of *g); /* NULL is allowed */

/* A box by itself, without NICs. The unit is the largest of which every bandwidth,
 * rounded to 1 kB/s, is a multiple. Returns trncclInvalidArgument if the box has no seat,
 * or a bandwidth is below 1 kB/s or beyond 1 PB/s. */
trncclResult_t graph_of_box(const struct topo_box *box, struct graph_of **out);

/* A box in a cluster: also its NICs, and last of all vertices the network, which is a
 * terminal that stands for all other ranks. A NIC carries its rate times `efficiency`
 * each way between the box and the network. others      ranks in other boxes, >= 0; with
 * 0 the network only forwards efficiency  0 < e <= 1 (struct topo_net) The bound of
 * all-gather, and so of reduce-scatter and all-reduce, is that of the whole cluster if
 * all boxes are equal; else it is the largest over its different boxes. */
trncclResult_t graph_of_box_in_cluster(const struct topo_box *box, int64_t others,
                                       double efficiency, struct graph_of **out);

#endif
