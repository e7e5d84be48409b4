#include "algo/algo.h"

#include <string.h>

#include "algo/embed.h"

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

/* Describes `lane` of so many: its share of every chunk. */
static void build_lane(struct build *b, const struct sched *one, int32_t lanes,
                       int32_t lane)
{
    int32_t nsub = one->shape.nsub, first = lane * nsub, all = lanes * nsub;
    int32_t blocks =
        one->shape.tmp_like == SCHED_IN ? one->shape.in_blocks : one->shape.out_blocks;
    struct embed e = {.rank_stride = 1,
                      .in = {.space = SCHED_IN, .first = first, .stride = all},
                      .out = {.space = SCHED_OUT, .first = first, .stride = all},
                      .width = 1,
                      .tmp_repeat = blocks > 0 ? blocks * all : all,
                      .channel = lane * one->nchannels,
                      .final = true,
                      .after = {-1, -1}};
    if (lane == 0) {
        build_shape(b, all, embed_tmp_chunks(one, &e),
                    (enum sched_space)one->shape.tmp_like);
        build_credits(b, one->credits);
        build_run(b, embed_max_run(one, &e));
        if (one->copies)
            build_copies(b);
    }
    embed_emit(b, one, &e);
}

/* Why a schedule cannot be had in so many copies. A run of several blocks would have to
 * be cut, and its pieces need more credit than there may be. */
static trncclResult_t check_lanes(const struct sched *one, int32_t lanes)
{
    if (lanes > SCHED_ALGO_CHANNELS / one->nchannels)
        return error_set(trncclInvalidArgument,
                         "%s %s: %d lanes of %d channels; expected at most %d channels",
                         sched_coll_name(one->coll), one->algo, lanes, one->nchannels,
                         SCHED_ALGO_CHANNELS);
    if (one->max_run > one->shape.nsub)
        return error_set(trncclInvalidArgument,
                         "%s %s: %d lanes of messages of several blocks, which cannot be "
                         "shared out; expected one lane",
                         sched_coll_name(one->coll), one->algo, lanes);
    return trncclSuccess;
}

static trncclResult_t build_lanes(const struct algo *algo, const struct sched_args *args,
                                  struct sched **out)
{
    struct sched_args single = *args;
    single.lanes = 1;
    struct sched *one;
    TRY(algo_build(algo, &single, &one));
    struct build *b = NULL;
    trncclResult_t result = check_lanes(one, args->lanes);
    if (result == trncclSuccess)
        result = build_create(args, algo->name, &b);
    for (int32_t lane = 0; b && lane < args->lanes; lane++)
        build_lane(b, one, args->lanes, lane);
    if (b)
        result = build_finish(b, out);
    build_destroy(b);
    sched_destroy(one);
    return result;
}

trncclResult_t algo_build(const struct algo *algo, const struct sched_args *args,
                          struct sched **out)
{
    if (args->lanes > 1 && args->nranks > 1 && args->coll == algo->coll &&
        args->coll != SCHED_BARRIER && args->coll != SCHED_PERMUTE)
        return build_lanes(algo, args, out);
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
