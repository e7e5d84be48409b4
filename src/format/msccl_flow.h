/* Runs a collective of MSCCL on symbols, one step at a time in an order that its messages
 * and dependencies allow, and says of every step where its chunks lie in terms of a
 * schedule.
 *
 * It has to run: where a chunk lies in a schedule depends on what it is. A contribution
 * is read from IN until something is written over it, and from then on from OUT (in place
 * the two are one memory, but reading IN may scale). What a file writes where a schedule
 * may not, or where the chunk's length would differ from the place's, goes to TMP: its
 * input used as scratch, and chunks of one index within a block kept in a place of
 * another.
 *
 * It refuses what it cannot follow: steps that wait for each other, messages of different
 * size, reading what nobody has written; and accesses that nothing orders. All else is
 * verify's to judge. */
#ifndef TRNCCL_FORMAT_MSCCL_FLOW_H
#define TRNCCL_FORMAT_MSCCL_FLOW_H

#include "format/msccl.h"
#include "format/msccl_link.h"

/* A chunk with a value. */
struct msccl_cell {
    int32_t chunk;       /* of IN, the same for all contributions; -1: nothing written */
    int32_t count;       /* contributions, as if no rank were counted twice */
    int32_t lowest;      /* rank that contributed */
    bool final;          /* all contributions, and a step has been marked so */
    struct sched_ref at; /* where it lies; meaningless in a message */
};

/* One step as it ran. Arrays have step->cnt entries. */
struct msccl_op {
    int32_t gpu, tb, index; /* tb and index: in msccl.tbs and msccl.steps */
    int32_t sent;           /* index of the step whose message it receives, or -1 */
    const struct msccl_step *step;
    const struct sched_ref *src, *dst; /* what it reads of each, where it does */
    const struct sched_ref *to;        /* where it writes, if it does */
    const bool *final;  /* the result is the complete one, for the first time */
    bool same_place;    /* src and where it writes are one place of the file's */
    bool message_first; /* combine the message, or dst, before src */
};

struct msccl_flow_args {
    const struct msccl *m;
    const struct msccl_links *links;
    /* Per rank: whether the file's input and output are one memory, as in place. */
    const bool *alias;
    bool check_races;
    trncclResult_t (*visit)(void *context, const struct msccl_op *op);
    void *context;
};

/* Runs all steps. tmp_chunks[nranks]: chunks of TMP that each rank needs. Errors name the
 * line; those of `visit` end the run. */
trncclResult_t msccl_flow_run(const struct msccl_flow_args *args, int32_t *tmp_chunks);

#endif
