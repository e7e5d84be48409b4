/* What collectives run on: boxes of chips joined by NeuronLink, and the network between
 * the boxes.
 *
 * A *box* is one scale-up domain: an instance, an UltraServer of four instances, or a
 * host without accelerators. It is a directed graph whose vertices are cores (where ranks
 * sit), chips, switches, NICs and memories, and whose links have a bandwidth per
 * direction and a latency. A model is a sequence of boxes; equal boxes share one
 * description, so a cluster of 500,000 chips costs a few kilobytes, and who plans or
 * simulates can see that they are equal. Between boxes there is a fabric that any NIC
 * reaches from any other at its own rate: what binds there is the NICs.
 *
 * Ranks are seats: box by box, in each box in the order of its seats.
 *
 * Both are built by a builder and frozen after that. Numbers: bandwidth in decimal GB/s
 * per direction, time in us, memory in bytes. Thread: a frozen model is immutable and may
 * be shared. */
#ifndef TRNCCL_TOPO_MODEL_H
#define TRNCCL_TOPO_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/error.h"

enum topo_kind { TOPO_CORE, TOPO_CHIP, TOPO_SWITCH, TOPO_NIC, TOPO_MEMORY, TOPO_NKINDS };

struct topo_vertex {
    uint8_t kind;     /* enum topo_kind */
    int16_t instance; /* which host of the box: 0 unless the box is an UltraServer */
    int16_t numa;     /* NUMA node within the instance, -1: unknown */
    int32_t index;    /* number among its kind in the box */
    int32_t chip;     /* CORE, NIC: vertex of the chip (or memory) it belongs to, or -1 */
    double bw_gbps;   /* NIC: GB/s per direction between it and the fabric; others: 0 */
    char name[24];    /* "chip 3", "nic 0", for people; unique in the box */
};

enum topo_link_kind {
    TOPO_LINK_DIE,    /* core to its chip's crossbar */
    TOPO_LINK_NEURON, /* chip to chip, or chip to NeuronLink switch */
    TOPO_LINK_PCI,    /* chip or host to NIC */
    TOPO_LINK_SHM,    /* core to memory of a host, and between memories */
    TOPO_LINK_NKINDS
};

struct topo_link {
    int32_t from, to;  /* vertices of the box */
    uint8_t kind;      /* enum topo_link_kind */
    int8_t dim;        /* torus dimension it runs along, -1: none */
    int8_t step;       /* +1 or -1 along that dimension */
    double bw_gbps;    /* GB/s in this direction, > 0 */
    double latency_us; /* of the first byte */
};

/* A place for one rank. */
struct topo_seat {
    int32_t core; /* vertex */
    int32_t chip; /* vertex of the chip, or memory, that the core hangs on */
    int32_t nic;  /* vertex of the NIC that serves it, or -1 */
};

/* What a rank's own work costs; one set per box. */
struct topo_costs {
    double step_us;     /* from the moment all inputs of a step are there until its first
                           byte leaves */
    double message_us;  /* for each message sent or received */
    double launch_us;   /* once per collective, before the first step */
    double copy_gbps;   /* one core moving bytes that are not combined */
    double reduce_gbps; /* one core combining: bytes of result */
    double memory_gbps; /* HBM (or host memory) of a chip, reads and writes together */
};

#define TOPO_MAX_DIMS 4

/* Frozen after topo_box_finish. */
struct topo_box {
    char name[32];    /* "trn2.48xlarge" */
    bool provisional; /* published facts conflict: the preset says which were taken */
    int32_t nvertices, nlinks, nseats, nchips, nnics, ninstances;
    const struct topo_vertex *vertices; /* owned */
    const struct topo_link *links;      /* owned, sorted by `from` */
    const int32_t *first_link;          /* [nvertices + 1] links of a vertex; owned */
    const struct topo_seat *seats;      /* owned */
    const int32_t *chips, *nics;        /* vertices, by index; owned */
    /* Seat s sits on chip s / seats_per_chip (on that memory, in a box without chips). 0:
     * numbers differ, or seats are in another order. */
    int32_t seats_per_chip;
    /* Torus of the chips, where there is one: chip index = mixed radix, the first
     * dimension fastest; every neighbour is there and links along a dimension have one
     * rate. ndims 0: none, or damaged; `dim` and `step` of links are then only hints. */
    int32_t ndims, dims[TOPO_MAX_DIMS];
    struct topo_costs costs;
};

/* The network between boxes. */
struct topo_net {
    double latency_us; /* memory to memory between two boxes, without the links in them */
    double message_us; /* added per message */
    double efficiency; /* of a NIC's bandwidth that data get, 0 < e <= 1 */
};

struct topo_model {
    char name[64];
    int32_t nboxes, nranks;
    const struct topo_box *const *boxes; /* [nboxes]; equal ones are one pointer */
    const int32_t *first_rank;           /* [nboxes + 1]; owned */
    struct topo_net net;
};

/* ---- building a box ---- */

struct topo_builder;

trncclResult_t topo_builder_create(const char *name, struct topo_builder **out);
void topo_builder_destroy(struct topo_builder *b); /* NULL is allowed */
/* Adders return the new vertex, or -1 after an error, which topo_box_finish returns.
 * Vertices are named after their kind and index. `chip` of a core is a chip or a memory.
 */
int32_t topo_add_vertex(struct topo_builder *b, enum topo_kind kind, int32_t instance,
                        int32_t numa, int32_t chip);
/* Both directions at once: a torus link has step `step` from a to b and -step back. */
void topo_add_link(struct topo_builder *b, int32_t a, int32_t c, enum topo_link_kind kind,
                   int dim, int step, double bw_gbps, double latency_us);
/* One direction only. */
void topo_add_link_oneway(struct topo_builder *b, int32_t from, int32_t to,
                          enum topo_link_kind kind, int dim, int step, double bw_gbps,
                          double latency_us);
/* At most one per core; nic -1: none. Seats are numbered in the order of the calls. */
void topo_add_seat(struct topo_builder *b, int32_t core, int32_t nic);
/* Another name: 1 to 23 printable ASCII characters without quotes and backslashes. */
void topo_set_name(struct topo_builder *b, int32_t vertex, const char *name);
/* Unless this is called a NIC has the rate of its fastest link. */
void topo_set_nic_rate(struct topo_builder *b, int32_t nic, double bw_gbps);
void topo_set_torus(struct topo_builder *b, int32_t ndims, const int32_t *dims);
void topo_set_costs(struct topo_builder *b, const struct topo_costs *costs);
void topo_set_provisional(struct topo_builder *b);
/* Checks (links between existing vertices, positive finite numbers, every seat's core on
 * a chip or memory and linked with it both ways, torus links where the torus says) and
 * freezes. The box is counted: the caller has one reference. The builder is spent, with
 * or without an error, and remains to be destroyed.
 * Returns trncclInvalidArgument for the first thing that was wrong. */
trncclResult_t topo_box_finish(struct topo_builder *b, const struct topo_box **out);
const struct topo_box *topo_box_get(const struct topo_box *box); /* one more reference */
void topo_box_put(const struct topo_box *box);                   /* NULL is allowed */
/* Whether two descriptions are the same in everything but the name. */
bool topo_box_equal(const struct topo_box *a, const struct topo_box *b);

/* ---- a model ---- */

/* Gets a reference of its own to each box; the caller's stay the caller's. Consecutive or
 * not, equal boxes are made one pointer. */
trncclResult_t topo_model_create(const char *name, const struct topo_box *const *boxes,
                                 int32_t nboxes, const struct topo_net *net,
                                 struct topo_model **out);
void topo_model_destroy(struct topo_model *m); /* NULL is allowed */

/* Where a rank sits: its box, and its seat there. */
static inline int32_t topo_rank_box(const struct topo_model *m, int32_t rank)
{
    int32_t low = 0, high = m->nboxes;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        if (m->first_rank[middle] <= rank)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* A number that is the same for models that are the same in all that counts for plans. */
uint64_t topo_model_hash(const struct topo_model *m);

#endif
