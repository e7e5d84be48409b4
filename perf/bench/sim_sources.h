/* Jobs of any size whose steps are computed when they are asked for. They move what an
 * all-reduce moves between the ranks that it moves it between; which chunks these are is
 * not kept, so they are loads for the simulator, not collectives to run. */
#ifndef TRNCCL_PERF_BENCH_SIM_SOURCES_H
#define TRNCCL_PERF_BENCH_SIM_SOURCES_H

#include "sim/sim.h"

struct sim_job {
    int32_t nranks;
    int32_t per_box;         /* hierarchical: ranks of a box, in the order of its ring */
    const int32_t *ring;     /* [per_box] place in the box of each position; borrowed */
    const int32_t *position; /* [per_box] the inverse; borrowed */
    int32_t nbits; /* halving: log2(nranks); hierarchical: rounds between boxes */
    struct sched_ref refs[4]; /* of the step asked for last */
};

/* Each fills `out`, which borrows the job. */
/* Ring all-reduce, as src/algo/ring.c. */
void sim_job_ring(struct sim_job *job, int32_t nranks, struct sim_source *out);
/* Recursive halving and doubling; nranks a power of two. */
void sim_job_halving(struct sim_job *job, int32_t nranks, struct sim_source *out);
/* In each box a ring reduce-scatter; between boxes the ranks of one place halve at
 * distances 1, 2, 4, ... and double; in each box a ring all-gather. */
void sim_job_hierarchical(struct sim_job *job, int32_t nboxes, int32_t per_box,
                          const int32_t *ring, const int32_t *position,
                          struct sim_source *out);

#endif
