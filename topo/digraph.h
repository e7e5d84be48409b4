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
    struct digraph_edge *edges; /* [nedges] */
    bool *terminal;             /* [nvertices] holds data (a chip); others only forward */
};

trncclResult_t digraph_create(int32_t nvertices, int32_t nedges, struct digraph **out);
void digraph_destroy(struct digraph *g); /* NULL is allowed */

#endif
