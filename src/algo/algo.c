#include "algo/algo.h"

#include <string.h>

const struct algo *algo_find(enum sched_coll coll, const char *name)
{
    for (const struct algo *const *a = algo_list; *a; a++)
        if ((*a)->coll == coll && strcmp((*a)->name, name) == 0)
            return *a;
    return NULL;
}

/* A rank alone moves its own block and nothing else; no algorithm has to think of it.
 * The step is marked as the combination of the last contribution, since it is also that
 * of the first. */
static void build_alone(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, 0, SCHED_OUT);
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 0, 1);
    if (sched_coll_reduces(args->coll))
        build_final(b);
}

static bool moves_one_block_alone(const struct sched_args *args)
{
    return args->nranks == 1 && args->coll != SCHED_BARRIER &&
           args->coll != SCHED_PERMUTE;
}

trncclResult_t algo_build(const struct algo *algo, const struct sched_args *args,
                          struct sched **out)
{
    if (args->coll != algo->coll)
        return error_set(trncclInvalidArgument,
                         "algorithm %s serves %s, but was asked to build %s", algo->name,
                         sched_coll_name(algo->coll), sched_coll_name(args->coll));
    struct build *b;
    TRY(build_create(args, algo->name, &b));
    trncclResult_t result;
    const char *reason = algo->refuse ? algo->refuse(args) : NULL;
    if (reason) {
        result = error_set(trncclInvalidArgument, "%s %s cannot serve %d ranks: %s",
                           sched_coll_name(algo->coll), algo->name, args->nranks, reason);
    } else {
        if (moves_one_block_alone(args))
            build_alone(b, args);
        else
            algo->build(b, args);
        result = build_finish(b, out);
    }
    build_destroy(b);
    return result;
}

trncclResult_t algo_build_all(const struct algo *algo, const struct sched_args *args,
                              struct sched **out)
{
    for (int32_t rank = 0; rank < args->nranks; rank++) {
        struct sched_args mine = *args;
        mine.rank = rank;
        trncclResult_t result = algo_build(algo, &mine, &out[rank]);
        if (result != trncclSuccess) {
            while (rank-- > 0)
                sched_destroy(out[rank]);
            for (int32_t i = 0; i < args->nranks; i++)
                out[i] = NULL;
            return result;
        }
    }
    return trncclSuccess;
}
