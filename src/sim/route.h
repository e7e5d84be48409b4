/* Which links a message takes from one seat to another, computed from the model alone.
 *
 * In a box: from the core to its chip, over chips and switches, to the other core. On a
 * torus dimension by dimension, the shorter way round, ties towards +; elsewhere, and to
 * and from NICs, the widest of the paths with the fewest links. Nothing is forwarded by
 * cores and NICs. Between boxes: to the seat's NIC, through the fabric, from the other
 * seat's NIC.
 *
 * Everything that serves one message after another is a *server*: the links of a box; of
 * each NIC one side towards the fabric and one from it; the memories of its chips. A
 * server is named by its box and its number within the box, so that equal boxes share one
 * table. A NIC sends and receives at the bandwidth of its fastest link times the net's
 * efficiency.
 *
 * Thread: one caller; tables are filled on first use. */
#ifndef TRNCCL_SIM_ROUTE_H
#define TRNCCL_SIM_ROUTE_H

#include "topo/model.h"

struct route_server {
    double bytes_per_us;
    double latency_us; /* behind it, of the first byte */
    double setup_us;   /* it is held so long for each message, before the first byte */
};

/* The tables of one description of a box. */
struct route_kind {
    const struct topo_box *box; /* borrowed */
    /* Links, then 2 * nnics (towards the fabric, from it), then memories. */
    int32_t nservers, nmemories;
    struct route_server *servers; /* [nservers], owned */
    int32_t *memory;              /* [nseats] server of its chip's memory, owned */
    int32_t *down;  /* [nseats] link from its chip to its core, or -1, owned */
    int32_t **rows; /* [nvertices] towards each vertex: next link of each vertex, -1:
                       none; or NULL: not asked for yet; owned */
    int32_t *first_in, *in; /* links that end at each vertex, owned */
};

struct routes {
    const struct topo_model *model; /* borrowed */
    int32_t nkinds;
    struct route_kind *kinds; /* [nkinds], owned */
    int32_t *kind;            /* [nboxes], owned */
    int32_t nranks;
    int32_t *box, *seat; /* [nranks] where each rank sits, owned */
};

/* seats: as in sim_args. trncclInvalidArgument if a rank has no seat. */
trncclResult_t routes_init(struct routes *r, const struct topo_model *model,
                           const int32_t *seats, int32_t nranks);
void routes_fini(struct routes *r); /* of zeroed routes too */

static inline const struct route_kind *routes_kind(const struct routes *r, int32_t box)
{
    return &r->kinds[r->kind[box]];
}
static inline const struct topo_seat *routes_seat(const struct routes *r, int32_t rank)
{
    return &routes_kind(r, r->box[rank])->box->seats[r->seat[rank]];
}
/* Whether two ranks hang on the same chip, or host memory. */
static inline bool routes_same_chip(const struct routes *r, int32_t a, int32_t b)
{
    return r->box[a] == r->box[b] && routes_seat(r, a)->chip == routes_seat(r, b)->chip;
}

/* What a route as a whole does. */
struct route_sum {
    int32_t nlinks;
    double bytes_per_us; /* of the slowest; INFINITY if there are no links */
    double latency_us, setup_us;
};
/* trncclInvalidArgument if there is none, with the ranks and the place where it ends. */
trncclResult_t routes_sum(struct routes *r, int32_t from, int32_t to,
                          struct route_sum *out);

/* A message's place on its route. */
struct route_cursor {
    int32_t to;      /* rank */
    int32_t box, at; /* vertex of that box */
    int32_t goal;    /* vertex of that box it is walking to */
    int32_t nic;     /* that it has to leave the box by, or -1 */
    bool in_fabric;
};
/* At the start of a route that routes_sum has found to exist. */
void routes_begin(const struct routes *r, int32_t from, int32_t to,
                  struct route_cursor *c);
/* The next server of the route: its box and its number there. False: it has arrived. */
bool routes_next(const struct routes *r, struct route_cursor *c, int32_t *box,
                 int32_t *server);

#endif
