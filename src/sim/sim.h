/* Simulates schedules on a topology model: when would the collective end, and which link
 * binds?
 *
 * It consumes steps and a model, nothing else: the very schedules that run for real.
 * Steps come from a source, one at a time, so that a job of 500,000 ranks is never held
 * in memory as a whole.
 *
 * The rule for one step of one rank in one round (the executor's: channels run side by
 * side, a channel does its steps in order, round by round):
 *
 *   ready    the step before it on its channel has ended, its `after` step has ended,
 *            every input message has arrived, every output connection has credit
 *   work     step_us, and message_us for each message; then the core combines or copies
 *            at reduce_gbps or copy_gbps, and the chip's memory carries every byte read
 *            and written at memory_gbps, shared by the chip's cores (work.c)
 *   sending  a message leaves while it is combined (cut-through), over the links of its
 *            route (route.h)
 *   end      the step ends when its last byte has left and its local outputs are written;
 *            it then gives back the credit of its inputs. A message has arrived when its
 *            last byte has
 *
 * Two ways to share a link: FIFO, where a message holds each link for bytes / bandwidth
 * in order of arrival (cheap); and fair, where all messages in flight share by max-min
 * (progressive filling), recomputed for the links that a change touches.
 *
 * Deterministic: the same arguments give the same bits. No clock, no threads, no files.
 */
#ifndef TRNCCL_SIM_SIM_H
#define TRNCCL_SIM_SIM_H

#include "sched/sched.h"
#include "topo/model.h"

/* Where steps come from. Every rank has the same shape and number of channels. */
struct sim_source {
    int32_t nranks, nchannels;
    struct sched_shape shape; /* of rank 0's; blocks where they exist are equal in size */
    enum sched_coll coll;
    int32_t max_run;
    void *context;
    /* Step number `step` of a channel: *refs are its operands, inputs first (step->first
     * is not used), valid until the next call. False: there are no more. Must be a pure
     * function. */
    bool (*step)(void *context, int32_t rank, int32_t channel, int32_t step,
                 struct sched_step *out, const struct sched_ref **refs);
};
/* The source of schedules that exist: [nranks], borrowed. */
void sim_source_schedules(struct sched *const *ranks, int32_t nranks,
                          struct sim_source *out);

enum sim_links { SIM_FIFO, SIM_FAIR };

/* What happened, for traces; times in us. Called in order of `end_us`. */
struct sim_event {
    enum { SIM_STEP, SIM_MESSAGE } kind;
    int32_t rank, channel, step, round;
    int32_t peer; /* SIM_MESSAGE: the receiver; rank is the sender */
    uint64_t nbytes;
    double begin_us, end_us;
};

struct sim_link_use {
    int32_t box, link; /* of that box; link -1: NIC `nic` towards or from the fabric */
    int32_t nic;
    bool outward;
    uint64_t nbytes;
    double busy_us;
};

struct sim_args {
    const struct topo_model *model;
    const int32_t
        *seats; /* [nranks] model rank where each rank sits, or NULL: the same */
    const struct sim_source *source;
    uint64_t nelems; /* of one block, as layout_init */
    uint32_t elem_nbytes;
    uint64_t slice_nbytes; /* the executor's: of the largest message, see layout_slice */
    int32_t credits;       /* messages in flight per connection, 1 to 64 */
    enum sim_links links;
    void (*trace)(void *context, const struct sim_event *event); /* or NULL */
    /* Called at the end for each link that was used, in the order of boxes; or NULL. */
    void (*link_use)(void *context, const struct sim_link_use *use);
    void *trace_context; /* of both */
};

struct sim_result {
    double time_us;              /* until the last rank has ended */
    uint64_t nmessages, nsteps;  /* in all rounds */
    uint64_t nbytes;             /* sent, in all */
    uint64_t nevents;            /* that the simulation took: what it cost */
    struct sim_link_use binding; /* the link that is busy longest */
};

/* trncclInvalidUsage if the schedules do not terminate, with the rank and step that wait;
 * trncclInvalidArgument if a rank has no seat or two ranks no route. */
trncclResult_t sim_run(const struct sim_args *args, struct sim_result *out);

#endif
