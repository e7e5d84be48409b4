/* Proves that a set of schedules, one per rank, is a correct collective.
 *
 * Obligations (each with its own verdict and a sentence that names rank, channel, step):
 *  - structure: operands in range, pairs match in number and in size;
 *  - termination with `credits` messages of credit per connection: blocking FIFOs between
 *    fixed programs form a determinate process network, so one run decides it for every
 *    interleaving (Kahn 1974; Parks 1995);
 *  - no step reads a chunk that nothing has written; no message is left over;
 *  - happens-before: program order, `after`, send -> receive (never credit edges); every
 *    two accesses of which one writes the same canonical (alias-resolved) chunk are
 *    ordered; a lent send reads its source until its receiver has consumed the message,
 * so a write must be ordered after that or carry the builder's drain mark;
 *  - every output chunk holds exactly the promised contributions, once each, and passes
 *    exactly one SCHED_FINAL step; nothing else is written (IN out of place never);
 *  - same bits: the ordered expression hash of a result chunk is equal on every rank that
 *    receives it;
 *  - two rounds back to back satisfy all of it as well (reuse of connections).
 */
#ifndef TRNCCL_VERIFY_VERIFY_H
#define TRNCCL_VERIFY_VERIFY_H

#include "sched/sched.h"

struct verify_report {
    int64_t nmessages; /* in one round, all ranks */
    int64_t nsteps;    /* all ranks */
    int32_t credits;   /* least credit per connection that terminates, 1.. */
    int32_t depth;     /* longest chain of messages: the number of latency rounds */
    bool same_bits;    /* every rank that gets a result chunk evaluates one expression */
    bool any_blocks;   /* operands agree in length for blocks of any size (v-forms) */
    char reason[512];  /* why it was refused; "" if it was not */
};

/* ranks[r] is rank r's schedule, all of the same collective, nranks, root, shape. pairs
 * as in sched_args for SCHED_PERMUTE, else NULL. Ranks may differ in `inplace`. Returns
 * trncclSuccess if every obligation holds, else trncclInvalidUsage with report->reason
 * (also the error text); trncclSystemError if there is not enough memory. report may be
 * NULL. */
trncclResult_t verify_schedules(struct sched *const *ranks, int32_t nranks,
                                const int32_t *pairs, int32_t npairs,
                                struct verify_report *report);

#endif
