/* One rank's schedule as thread blocks and steps of MSCCL; see msccl_xml_out.h. */
#ifndef TRNCCL_FORMAT_MSCCL_OPS_H
#define TRNCCL_FORMAT_MSCCL_OPS_H

#include "format/msccl.h"

/* A step of MSCCL. */
struct msccl_out_step {
    uint8_t type;              /* enum msccl_type */
    struct sched_ref src, dst; /* local; TMP behind the schedule's is extra scratch */
    int32_t cnt;
    int32_t tb, s; /* its thread block, and number there */
    int32_t dep;   /* the step that it waits for, an index in `steps`; -1: none */
    bool hasdep;   /* some step waits for it */
};

struct msccl_out_tb {
    int32_t send, recv, chan; /* send, recv: ranks, -1: none */
    int32_t nsteps;
};

struct msccl_out {
    const struct sched *s;        /* borrowed */
    struct msccl_out_tb *tbs;     /* owned */
    struct msccl_out_step *steps; /* owned; in the order of channels */
    int32_t ntbs, nsteps, tbs_capacity, steps_capacity;
    int32_t nscratch; /* chunks of TMP and behind it */
    int32_t nchans;   /* one more than the highest channel */
};

/* trncclInvalidArgument if the steps wait for each other; trncclSystemError without
 * memory. */
trncclResult_t msccl_out_init(struct msccl_out *o, const struct sched *s);
void msccl_out_fini(struct msccl_out *o);

#endif
