/* The list of algorithms: each a pure function from arguments to one rank's schedule.
 *
 * To add one: a file in src/algo that defines `const struct algo algo_<coll>_<name>`, one
 * line in list.c, one line in Makefile.mk, one golden file in tests/golden. Conformance,
 * proof and planning pick it up from the list. */
#ifndef TRNCCL_ALGO_ALGO_H
#define TRNCCL_ALGO_ALGO_H

#include "sched/build.h"

enum algo_flags {
    ALGO_V = 1, /* correct for blocks of different sizes as well (the v-forms) */
    /* All-reduce: every chunk is completed at one rank, in a step that keeps it in OUT,
     * and goes to the others from there; messages of partial sums are received to be
     * combined, and final ones are not. Something can be put in between (split.h). */
    ALGO_SPLITS = 2,
};

struct algo {
    const char *name; /* "ring"; unique within its collective */
    enum sched_coll coll;
    unsigned flags;      /* enum algo_flags */
    const char *summary; /* one line: idea, rounds, bytes per rank */
    /* Describes every step of args->rank to the builder, which reports its errors. Not
     * called for one rank alone, except for barriers and permutes: algo_build copies. */
    void (*build)(struct build *b, const struct sched_args *args);
    /* NULL: any rank count. Else why these arguments cannot be served, or NULL if they
     * can. */
    const char *(*refuse)(const struct sched_args *args);
};

/* All algorithms, grouped by collective, NULL-terminated. */
extern const struct algo *const algo_list[];

/* The algorithm of that name for a collective, or NULL. */
const struct algo *algo_find(enum sched_coll coll, const char *name);
/* Builds one rank's schedule, in args->lanes copies if it moves data (barriers and
 * permutes have one). trncclInvalidArgument with the reason if it is refused, if the
 * lanes need more channels than there are, or if messages of several blocks would have to
 * be cut. */
trncclResult_t algo_build(const struct algo *algo, const struct sched_args *args,
                          struct sched **out);
/* Builds every rank's: out has args->nranks entries, owned by the caller (all NULL on
 * failure). args->rank is ignored. */
trncclResult_t algo_build_all(const struct algo *algo, const struct sched_args *args,
                              struct sched **out);

#endif
