/* What reaches what over the links of a box that work. */
#ifndef TRNCCL_TOPO_REACH_H
#define TRNCCL_TOPO_REACH_H

#include "topo/model.h"

/* Whether ways lead through a vertex: chips, switches and memories. Others are ends. */
static inline bool reach_forwards(const struct topo_box *box, int32_t v)
{
    int kind = box->vertices[v].kind;
    return kind == TOPO_CHIP || kind == TOPO_SWITCH || kind == TOPO_MEMORY;
}
/* Fills distance[nvertices], in links from vertex `from`; -1: not reached.
 * factor[nlinks]: 0 for links that are dead; NULL: none is. */
trncclResult_t reach_from(const struct topo_box *box, const double *factor, int32_t from,
                          int32_t *distance);
/* Whether all seats of kept[nseats] (NULL: all) reach each other; trncclInvalidArgument
 * names two that do not. */
trncclResult_t reach_check(const struct topo_box *box, const double *factor,
                           const bool *kept);

#endif
