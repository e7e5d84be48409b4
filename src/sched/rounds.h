/* Puts the steps of a whole collective into rounds: which message meets which, and after
 * how many messages in a row each step can run at the earliest. For pictures; verify.h
 * proves, with its own rules. */
#ifndef TRNCCL_SCHED_ROUNDS_H
#define TRNCCL_SCHED_ROUNDS_H

#include "sched/sched.h"

struct rounds_message {
    int32_t link, source, target;     /* source and target: ranks */
    int32_t source_step, target_step; /* indices in the ranks' sched.steps */
};

struct rounds {
    int32_t nranks, nrounds; /* 1 + the largest round of a step; 0 without steps */
    int32_t *first_step; /* [nranks + 1] where a rank's steps begin in `round`; owned */
    int32_t *round;      /* per step of all ranks: messages in a row before it; owned */
    int32_t nmessages;
    struct rounds_message *messages; /* by link, source, target, order; owned */
};

/* Returns trncclInvalidUsage, and says which rank, channel and step, if a message has no
 * partner or steps wait for each other; trncclSystemError without memory. */
trncclResult_t rounds_init(struct rounds *r, struct sched *const *ranks, int32_t nranks);
void rounds_fini(struct rounds *r);

static inline int32_t rounds_of(const struct rounds *r, int32_t rank, int32_t step)
{
    return r->round[r->first_step[rank] + step];
}

#endif
