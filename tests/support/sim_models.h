/* Small machines for tests of the simulator: boxes of chips on a torus or on one switch,
 * with NICs if wanted, and clusters of them. By default everything but the links between
 * chips is free, so that times have closed forms. */
#ifndef TRNCCL_TESTS_SUPPORT_SIM_MODELS_H
#define TRNCCL_TESTS_SUPPORT_SIM_MODELS_H

#include "sim/sim.h"
#include "topo/model.h"

struct sim_box_spec {
    int32_t ndims, dims[TOPO_MAX_DIMS]; /* torus; 0: `nchips` on one switch */
    int32_t nchips;
    int32_t per_chip;              /* cores, 0: 1 */
    double bw_gbps[TOPO_MAX_DIMS]; /* by dimension; [0] of a switch's links */
    double latency_us;
    double die_gbps;         /* core to chip; 0: without end */
    double nic_gbps;         /* 0: no NICs; else one per `chips_per_nic` chips */
    int32_t chips_per_nic;   /* 0: 1 */
    struct topo_costs costs; /* rates of 0: without end */
};

/* Ends the program if there is no memory. */
struct topo_box *sim_box_create(const struct sim_box_spec *spec);
void sim_box_destroy(struct topo_box *box);
/* nboxes equal boxes; the box is borrowed. */
struct topo_model *sim_model_create(const struct topo_box *box, int32_t nboxes,
                                    const struct topo_net *net);
void sim_model_destroy(struct topo_model *model);

#endif
