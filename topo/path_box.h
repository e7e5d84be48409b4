/* Routes inside one box; see topo/path.h for which. */
#ifndef TRNCCL_TOPO_PATH_BOX_H
#define TRNCCL_TOPO_PATH_BOX_H

#include "topo/model.h"

struct path_box {
    const struct topo_box *box;
    int32_t *up, *down; /* [nseats] link from the core to its chip, and back */
    /* On a torus: [nchips][ndims][2] link along + and - of each dimension. */
    int32_t *torus;
    /* Elsewhere: [ntargets][nnodes] first link from a node (chip, memory or switch)
     * towards a target (the chip of a seat), -1: no way. */
    int32_t *next;
    int32_t nnodes, ntargets;
    int32_t *node, *target; /* [nvertices] number among nodes, targets; -1: none */
    /* Links between chip and NIC of seat s, way w (0 from the chip, 1 to it):
     * nic_links[nic_first[2s + w]] up to nic_first[2s + w + 1]; nic_reached[2s + w]. */
    int32_t *nic_first, *nic_links;
    bool *nic_reached;
    int32_t max_links, max_out, max_in; /* of all routes: seat to seat, to NIC, from NIC;
                                           -1: there is none */
};

trncclResult_t path_box_create(const struct topo_box *box, struct path_box **out);
void path_box_destroy(struct path_box *p); /* NULL is allowed */
/* Both write link i to links[i * stride], so that it may be a field of a struct. */
int32_t path_box_seats(const struct path_box *p, int32_t from, int32_t to, int32_t *links,
                       int32_t stride);
int32_t path_box_nic(const struct path_box *p, int32_t seat, bool outward, int32_t *links,
                     int32_t stride);
/* How many the latter would write, or -1. */
int32_t path_box_nic_links(const struct path_box *p, int32_t seat, bool outward);

#endif
