/* Why a mutant that the proof accepts is no fault: a reason that is checked apart from
 * the proof, on the mutant's operands or by concrete runs (interp.h). */
#ifndef TESTS_EXPLAIN_H
#define TESTS_EXPLAIN_H

#include "tests/suite/interp.h"
#include "tests/suite/mutant.h"

enum explain_reason {
    EXPLAIN_NONE,       /* none found: the proof has a hole, or this file has */
    EXPLAIN_BARRIER,    /* a barrier's messages carry no bytes; entries precede exits */
    EXPLAIN_COMMUTE,    /* the two steps share no chunk that one writes, and no link */
    EXPLAIN_DEAD,       /* it only changes a store whose value nobody reads */
    EXPLAIN_EARLIER,    /* a mark is gone, but other orders imply what it said */
    EXPLAIN_IDEMPOTENT, /* running the step twice does what running it once does */
    EXPLAIN_LENGTH,     /* the length of another chunk that is as long */
    EXPLAIN_MEMORY,     /* another name of the same memory */
    EXPLAIN_PERMISSION, /* posting early is allowed, not required; or harms nothing */
    EXPLAIN_REWRITE,    /* it stores a value where it lies already */
    EXPLAIN_SUM,        /* another order of the sum, the same for all who receive it */
    EXPLAIN_VALUE,      /* another chunk that holds the same value then */
    EXPLAIN_NREASONS
};

enum { EXPLAIN_SEEDS = 16 };

const char *explain_name(enum explain_reason reason);

/* One mutant among the right schedules of the others. */
struct explain {
    const struct sched *base, *changed; /* of that rank */
    const struct mutant *mutant;
    int operand;             /* as mutant_make gave it */
    struct interp in_base;   /* all ranks, as they were */
    struct interp in_mutant; /* all ranks, with the mutant */
};

/* Runs the mutant EXPLAIN_SEEDS times; *wrong: what went wrong once, or NULL. Only then
 * is there a reason. */
enum explain_reason explain_survivor(const struct explain *e, const char **wrong);

#endif
