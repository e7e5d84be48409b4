/* Faults planted in one rank's schedule, one at a time. */
#ifndef TESTS_MUTANT_H
#define TESTS_MUTANT_H

#include "sched/sched.h"

enum mutant_kind {
    MUTANT_OFFSET,    /* another chunk of the same space */
    MUTANT_SPACE,     /* IN <-> OUT <-> TMP */
    MUTANT_TYPE,      /* an operand more or less: copy <-> reduce, forward <-> consume */
    MUTANT_DELETE,    /* a step is missing */
    MUTANT_DUPLICATE, /* a step runs twice */
    MUTANT_SWAP,      /* two neighbouring steps change places */
    MUTANT_DEPEND,    /* `after`, drain or after_drain is missing or comes too early */
    MUTANT_PEER,      /* another peer, or the next step's */
    MUTANT_ORDER,     /* two neighbouring inputs change places */
    MUTANT_FINAL,     /* SCHED_FINAL where it is not, or not where it is */
    MUTANT_SPAN,      /* another length, or the length of another chunk */
    MUTANT_EARLY,     /* SCHED_POST_EARLY where it is not, or not where it is */
    MUTANT_NKINDS
};

struct mutant {
    enum mutant_kind kind;
    int rank, step; /* step: index in the rank's steps */
    int variant;    /* 0.. of this kind at this step */
};

const char *mutant_kind_name(enum mutant_kind kind);
/* Makes the rank's schedule with that fault, a copy that sched_destroy frees. For faults
 * that the algorithm could have, the marks are derived anew, so that they do not give it
 * away. operand: the one that is changed, in the step of the same number, or -1.
 * Returns false if there is no such variant: the last one has been seen. *out is NULL for
 * a variant that would change nothing. */
bool mutant_make(const struct sched *s, const struct mutant *m, struct sched **out,
                 int *operand);

#endif
