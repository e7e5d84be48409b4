/* Machines known by name, one sourced row each, and what may be overridden in them.
 *
 * Sources are named by short keys, explained at the head of topo/preset_trn.c; [I] marks
 * what no publication says and is inferred. */
#ifndef TRNCCL_TOPO_PRESET_H
#define TRNCCL_TOPO_PRESET_H

#include "topo/model.h"

enum preset_wiring {
    PRESET_TORUS,     /* chips on a torus of `dims`; its last dimension joins instances if
                         there are several */
    PRESET_CHAIN,     /* chips in a row that is not closed */
    PRESET_TRN3_GEN1, /* a switch for each pair of instances, direct links across */
    PRESET_TRN3_GEN2, /* a switch per instance, one per rack, direct links across */
    PRESET_HOST       /* cores and memories of a host, no chips */
};

/* The numbers of a preset. Bandwidth in GB/s per direction, time in us. */
struct topo_params {
    int32_t lnc;         /* physical cores that make one rank */
    int32_t cores, numa; /* host: ranks and NUMA nodes of a box; 0 cores: as many as this
                            process may run on */
    double neuronlink_gbps; /* of a link between chips, or chip and nearest switch */
    double z_gbps;          /* of a link between instances (racks, Trn3 Gen2) */
    double rack_gbps;       /* Trn3 Gen2: chip to the switch of its rack */
    double neuronlink_latency_us;
    double core_gbps; /* between a physical core and its chip; host: core and memory */
    double core_latency_us;
    double numa_gbps;      /* host: between memories of two NUMA nodes */
    double nic_gbps;       /* each */
    double efa_latency_us; /* memory to memory, between boxes */
    double efa_message_us;
    double efa_efficiency; /* 0 < e <= 1 */
    /* copy_gbps and reduce_gbps are of a physical core: a rank has lnc times as much. */
    struct topo_costs costs;
};

struct topo_preset {
    const char *name;     /* "trn2.48xlarge" */
    const char *alias[2]; /* or NULL */
    const char *about;    /* a line for lists */
    const char *source;   /* of the row */
    const char *taken;    /* where figures conflict: which was taken and why; or NULL */
    enum preset_wiring wiring;
    bool provisional;
    int32_t instances;      /* of a box */
    int32_t chips;          /* of an instance */
    int32_t cores_per_chip; /* physical */
    int32_t ndims, dims[TOPO_MAX_DIMS];
    int32_t nics;               /* of an instance; each serves chips / nics neighbours */
    double hbm_gib;             /* per chip */
    const char *const *nic_bdf; /* [nics] PCI bus:device.function, or NULL: unpublished */
    const int8_t *numa_of_chip; /* [chips] or NULL: unpublished */
    struct topo_params params;  /* what is used unless overridden */
};

/* All of them, in the order in which lists show them. */
const struct topo_preset *topo_preset_list(int32_t *n);
/* By name or alias, case ignored; NULL if there is none. */
const struct topo_preset *topo_preset_find(const char *name);
/* One box with these numbers, counted (see topo_box_finish). Ranks are numbered instance
 * by instance, chip by chip, lnc cores each: with lnc 2 chip 5 of a trn2 holds ranks 20
 * to 23. trncclInvalidArgument if lnc does not divide the cores of a chip. */
trncclResult_t topo_preset_build(const struct topo_preset *preset,
                                 const struct topo_params *params,
                                 const struct topo_box **out);
void topo_preset_net(const struct topo_params *params, struct topo_net *out);

/* ---- overriding by name ---- */

struct topo_param {
    const char *name;   /* "neuronlink_gbps" */
    const char *about;  /* a line for lists, with the unit */
    uint8_t wirings;    /* bit w: presets of enum preset_wiring w have it */
    bool integer;       /* an int32_t at `offset`, else a double */
    size_t offset;      /* in struct topo_params; of per_chip, that of lnc */
    double least, most; /* the range, both ends included */
    bool zero_excluded; /* but not 0 */
};

const struct topo_param *topo_param_list(int32_t *n);
/* NULL if there is no setting of that name. `per_chip` is another way to say lnc. */
const struct topo_param *topo_param_find(const char *name);
/* Sets one number. trncclInvalidArgument, with what was expected, if it is out of range,
 * not an integer where one is expected, or this preset has no such thing. */
trncclResult_t topo_param_set(const struct topo_preset *preset,
                              struct topo_params *params, const struct topo_param *param,
                              double value);

#endif
