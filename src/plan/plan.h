/* Which schedule a call runs: the algorithm by collective, size, ranks and cores, and a
 * cache of the schedules built so far.
 *
 * Every rank must choose alike, so the choice is a function of what all ranks know: the
 * call's own arguments and facts that were exchanged when the communicator was created.
 */
#ifndef TRNCCL_PLAN_PLAN_H
#define TRNCCL_PLAN_PLAN_H

#include "algo/algo.h"
#include "plan/imported.h"

struct plan;

struct plan_args {
    int nranks, rank;
    int ncores;       /* the least that any rank may use */
    const char *algo; /* forced: "ring" or "all_reduce=ring,broadcast=chain", or NULL; one
                         that cannot serve v-forms leaves them to the default */
    /* Serves its collective instead of any algorithm; borrowed, may be NULL. Rank 0
     * proves it; the others must take over its modes before the first call. */
    struct imported *imported;
    bool prove; /* prove each schedule before its first use */
    const struct sched_graph *graph; /* the machine, for algorithms that follow it, or
                                        NULL; borrowed for the plan's life */
};

/* trncclInvalidArgument if a forced name does not exist (the text lists the valid ones).
 */
trncclResult_t plan_check_names(const char *algo);
/* Fails as plan_check_names does. */
trncclResult_t plan_create(const struct plan_args *args, struct plan **out);
void plan_destroy(struct plan *p); /* NULL is allowed */
/* What the schedules built from now on follow: graph, lanes, intra and inter of `like`,
 * the same on all ranks; what they point to is borrowed for the plan's life. */
void plan_follow(struct plan *p, const struct sched_args *like);

struct plan_call {
    enum sched_coll coll;
    bool v;        /* blocks of different sizes */
    size_t nbytes; /* one block */
    int root;
    bool inplace;
    const int32_t *pairs; /* PERMUTE; borrowed during the call; not cached */
    int32_t npairs;
};

/* Proves the imported schedule, if there is one, for all that it serves; at most
 * max_credits messages in flight between two ranks. Errors as imported_prove. */
trncclResult_t plan_prove_imported(struct plan *p, int max_credits);

/* The schedule of this rank for a call; borrowed until plan_destroy, except for a
 * permute, which is the caller's to destroy. */
trncclResult_t plan_schedule(struct plan *p, const struct plan_call *call,
                             const struct sched **out);
/* The algorithm that would serve the call. */
const struct algo *plan_algo(const struct plan *p, const struct plan_call *call);

#endif
