/* What the files of the searches share. */
#ifndef TRNCCL_TOPO_SEARCH_INTERNAL_H
#define TRNCCL_TOPO_SEARCH_INTERNAL_H

#include "topo/search_ring.h"
#include "topo/search_tree.h"

/* No cycles yet, room for some. */
trncclResult_t search_rings_create(int32_t nvertices, int32_t room,
                                   struct search_rings **out);
/* For the caller to fill in. */
trncclResult_t search_trees_create(int32_t nvertices, int32_t ntrees,
                                   struct search_trees **out);

#endif
