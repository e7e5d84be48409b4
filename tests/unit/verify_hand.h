/* Schedules written by hand, to say exactly what the builder would not. */
#ifndef TESTS_VERIFY_HAND_H
#define TESTS_VERIFY_HAND_H

#include "sched/sched.h"

enum { HAND_MAX_RANKS = 8, HAND_MAX_STEPS = 32, HAND_MAX_OPERANDS = 12 };

struct hand_step {
    struct sched_step step; /* first: unset */
    int channel;
    struct sched_ref ref[HAND_MAX_OPERANDS];
};

struct hand {
    struct sched_args args; /* rank: unset */
    int nsub, tmp_chunks, tmp_like, credits;
    bool inplace[HAND_MAX_RANKS];
    int nsteps[HAND_MAX_RANKS];
    struct hand_step steps[HAND_MAX_RANKS][HAND_MAX_STEPS];
};

/* One chunk per block, no TMP, credit 1, out of place. */
void hand_init(struct hand *h, enum sched_coll coll, int nranks, int root);
/* Appends a step, written "inputs > outputs marks" with words apart:
 *   p3 i2 o2 t0   peer 3, IN[2], OUT[2], TMP[0]
 *   *2            two chunks per operand
 *   @o2           the span; else the first local operand, else OUT[0]
 *   F E           SCHED_FINAL, SCHED_POST_EARLY
 *   a1.3          after step 3 of channel 1
 *   d2 D          drain 2, after_drain
 *   L2 K3 S       receives over link 2, sends over link 3, SCHED_STAGED
 * ">" alone, with a mark `a`, only waits. */
void hand_step(struct hand *h, int rank, int channel, const char *text);
/* The same step on every rank; in words, ^ stands for the rank, + and - for the next and
 * the previous one, e.g. "p- i^ > p+". */
void hand_step_all(struct hand *h, int channel, const char *text);
/* Makes the schedules; ranks has nranks entries. hand_free frees them. */
void hand_make(const struct hand *h, struct sched **ranks);
void hand_free(const struct hand *h, struct sched **ranks);

/* Makes, proves and frees. Fails the test unless all is well, or, with `reason`, unless
 * it is refused with a reason that contains that text. */
void hand_accept(const struct hand *h);
void hand_refuse(const struct hand *h, const char *reason);
/* Refuses what `edit` makes of the schedules. */
void hand_refuse_edited(const struct hand *h, void (*edit)(struct sched **ranks),
                        const char *reason);

#endif
