/* A second opinion on schedules: runs them on concrete numbers, one random interleaving
 * at a time, and looks at the results. It shares nothing with src/verify.
 *
 * What a run may do is as bad as an executor can be: any runnable channel goes next;
 * a message is copied when it is sent, or read from its source when it is consumed, or
 * written to its landing place when it is sent; memory begins as garbage. A contribution
 * is a random 64-bit weight, a sum adds weights, reading IN for a reduction scales, a
 * final step scrambles: so a contribution that is missing, doubled, unscaled or finished
 * too early gives another number, with probability near 1. */
#ifndef TESTS_INTERP_H
#define TESTS_INTERP_H

#include "sched/sched.h"

enum { INTERP_MAX_RANKS = 8 };

struct interp {
    struct sched *const *ranks; /* right in structure; every send has its receive */
    int nranks;
    const int32_t *pairs;
    int npairs;
    /* If poison_rank >= 0: what its step poison_step writes locally becomes garbage, or
     * only operand poison_operand if that is >= 0, or only chunk poison_chunk of the run
     * if that is >= 0. */
    int poison_rank, poison_step, poison_operand, poison_chunk;
    bool poison_keeps; /* instead, the run fails if that write changes anything */
};

/* Returns NULL if the run of that seed ends with what the collective promises, else what
 * went wrong. *read, if not NULL: a number that stands for all that step watch_step of
 * watch_rank has read. */
const char *interp_run(const struct interp *in, uint64_t seed, int watch_rank,
                       int watch_step, uint64_t *read);

#endif
