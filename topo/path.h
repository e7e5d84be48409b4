/* The way of a message through a model.
 *
 * Inside a box: from the sender's core to its chip, from chip to chip, down to the
 * receiver's core. On a torus dimension by dimension, the first one first, in each the
 * shorter way round, ties towards +. Elsewhere the widest (by its narrowest link) of the
 * shortest (by links) ways over chips, memories and switches; of equal ones always the
 * same. Between boxes: from the core over its chip to its NIC, out of the NIC, into the
 * NIC of the receiver's seat, from there to its core. */
#ifndef TRNCCL_TOPO_PATH_H
#define TRNCCL_TOPO_PATH_H

#include "topo/model.h"

/* One thing that a message passes and others may have to share. */
struct topo_hop {
    int32_t box;
    int32_t link;    /* of that box; -1: the NIC's side towards the fabric */
    int32_t nic;     /* vertex, if link is -1; else -1 */
    uint8_t outward; /* link -1: 1 towards the fabric, 0 from it */
};

struct topo_paths;

/* Prepares routes: tables per different box, none for chips on a torus. Borrows the model
 * until topo_paths_destroy. Thread: immutable, may be shared. */
trncclResult_t topo_paths_create(const struct topo_model *model, struct topo_paths **out);
void topo_paths_destroy(struct topo_paths *paths); /* NULL is allowed */
/* No route has more hops than this: the size of the arrays below. */
int32_t topo_paths_max_hops(const struct topo_paths *paths);
/* The route between two ranks of the model, into the caller's array. Returns the number
 * of hops (0: from a rank to itself), or -1 if there is no way. Time is proportional to
 * that number; nothing is allocated. */
int32_t topo_path_find(const struct topo_paths *paths, int32_t from, int32_t to,
                       struct topo_hop *hops);
/* The links between two seats of box number `box`, into the caller's array; as above. */
int32_t topo_path_seats(const struct topo_paths *paths, int32_t box, int32_t from,
                        int32_t to, int32_t *links);
/* The links from a seat to its NIC (outward) or back, both ends included; -1 if the seat
 * has no NIC or none that it reaches. */
int32_t topo_path_nic(const struct topo_paths *paths, int32_t box, int32_t seat,
                      bool outward, int32_t *links);

#endif
