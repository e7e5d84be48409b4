/* The schedules of all ranks laid flat for the proof: every step, message and chunk of
 * the whole collective has one number.
 *
 *   event    a step of some rank; the steps of a channel have consecutive numbers
 *   process  a channel of some rank: a fixed program of events
 *   link     the FIFO of one (source, target, link number); its messages are consecutive
 *   message  the k-th send on a link, which is the k-th receive on it
 *   slot     a canonical chunk of some rank: IN and OUT chunks that alias share one
 */
#ifndef TRNCCL_VERIFY_MODEL_H
#define TRNCCL_VERIFY_MODEL_H

#include "sched/sched.h"
#include "verify/arena.h"
#include "verify/value.h"

enum { MODEL_REASON_BYTES = 512 };

/* What a process waits for. */
enum model_wait {
    MODEL_WAIT_NONE,
    MODEL_WAIT_AFTER,   /* the step named by `after` */
    MODEL_WAIT_DRAIN,   /* a lent send that must have left its source */
    MODEL_WAIT_MESSAGE, /* an input from a peer */
    MODEL_WAIT_CREDIT,  /* room for an output to a peer */
};

struct model_rank {
    const struct sched *s; /* borrowed */
    int32_t event0, ref0, proc0;
    int64_t slot0;
    int32_t offset[3];  /* slot - slot0 of chunk 0 of IN, OUT, TMP */
    int32_t nchunks[3]; /* of IN, OUT, TMP */
    int32_t nslots;
};

struct model_proc {
    int32_t rank, channel;
    int32_t event0, nsteps;
    int32_t next;    /* first step that has not run */
    int32_t drained; /* lent sends of steps [0, drained) have been consumed */
    enum model_wait wait;
    int32_t wait_proc; /* the process it waits for */
    bool queued;
};

struct model_event {
    int32_t proc, step; /* step: index in its channel */
    int32_t order;      /* position in the run, from 1; 0: has not run */
    int32_t depth;      /* longest chain of messages that ends here */
    int32_t lent;       /* messages that still read this step's chunks */
};

struct model_link {
    int32_t source, target, number;
    int32_t sender, receiver; /* the processes that own its ends, -1: none yet */
    int32_t message0, nsends, nreceives;
    int32_t pushed, popped;
};

struct model_message {
    int32_t link;
    int32_t send, receive; /* events */
    int32_t n;             /* chunks */
    int64_t value0;        /* its values in model.carried */
    bool lent;             /* it may be read where it lies until the receive is done */
};

struct model_slot {
    int32_t value;  /* index in model.values.of, VALUE_NONE: nothing was written */
    int32_t writer; /* latest event that wrote it, + 1; 0: none */
};

struct model {
    struct sched *const *ranks; /* borrowed */
    int32_t nranks;
    const int32_t *pairs; /* borrowed */
    int32_t npairs;
    enum sched_coll coll;
    int32_t root, nsub, credits;
    int32_t nchannels; /* the most of any rank */

    struct arena arena;
    struct model_rank *rank;       /* [nranks] */
    struct model_proc *proc;       /* [nprocs] */
    struct model_event *event;     /* [nevents] */
    struct model_link *link;       /* [nlinks] */
    struct model_message *message; /* [nmessages] */
    int32_t *ref_message;          /* [nrefs] message of a peer operand */
    int32_t *seen; /* [2 * nranks] event + 1 that last had the peer as input, output */
    int32_t nprocs, nevents, nlinks, nmessages, nrefs;

    struct model_slot *slot; /* [nslots] */
    /* Since the slot was written, [nslots * nchannels]: latest step of each channel that
     * read or lent it, + 1; 0: none. Earlier ones come before it in program order. */
    int32_t *reader, *lender;
    int64_t nslots;
    int32_t *carried; /* [ncarried] values of messages */
    int64_t ncarried;
    struct values values;

    /* Per event, [nchannels]: how many steps of each channel of its rank are known to be
     * complete (done) and to have left their sources (drained) when it runs. */
    int32_t *done, *drained;
    int32_t *stamp, *stack; /* [nevents] of the search for an order */
    int32_t nstamps;

    bool any_blocks; /* operands agree in length for blocks of any size */
    char reason[MODEL_REASON_BYTES];
};

/* Checks every schedule by itself (structure.h), numbers everything, and pairs sends with
 * receives. ranks, pairs, nranks and npairs are set by the caller, all else is zero. */
trncclResult_t model_init(struct model *m);
void model_fini(struct model *m);

/* Records why the schedules are refused; returns trncclInvalidUsage. */
trncclResult_t model_refuse(struct model *m, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));
/* The same, beginning with the event's rank, channel and step. */
trncclResult_t model_refuse_at(struct model *m, int32_t event, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
/* trncclSystemError with a sentence. */
trncclResult_t model_no_memory(struct model *m) __attribute__((cold));

static inline const struct sched_step *model_step(const struct model *m, int32_t event)
{
    const struct model_proc *p = &m->proc[m->event[event].proc];
    const struct model_rank *r = &m->rank[p->rank];
    return &r->s->steps[event - r->event0];
}
static inline int64_t model_slot_of(const struct model_rank *r, int space, int32_t chunk)
{
    return r->slot0 + r->offset[space] + chunk;
}
/* Whether a step of the schedule may write that slot: OUT (also where IN aliases it) and
 * TMP. Accesses to the others need no order. */
static inline bool model_slot_writable(const struct model_rank *r, int64_t slot)
{
    int64_t local = slot - r->slot0;
    return local >= r->offset[SCHED_TMP] ||
           (local >= r->offset[SCHED_OUT] &&
            local < r->offset[SCHED_OUT] + r->nchunks[SCHED_OUT]);
}
/* "IN[3]" of a slot, as its rank would call it. */
struct model_name {
    char text[24];
};
struct model_name model_slot_name(const struct model *m, int32_t rank, int64_t slot);

#endif
