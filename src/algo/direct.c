/* Direct: every rank talks to every other one, and nothing is forwarded.
 *
 * all_gather sends the own block to all. reduce_scatter sends each rank its block and
 * sums what arrives in one step, in rank order. one_shot sends the whole vector to all
 * and sums everywhere; two_shot is reduce_scatter whose summing step writes to every rank
 * at once (Neuron's mesh).
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce two_shot, 4 ranks, root 0: 24 messages, 2 rounds
 *     round  rank 0     rank 1     rank 2     rank 3
 *         0  1>1        2>2        3>3        0>0
 *            2>2        3>3        0>0        1>1
 *            3>3        0>0        1>1        2>2
 *         1  +0=>1,2,3  +1=>2,3,0  +2=>3,0,1  +3=>0,1,2
 *         2  3=         0=         1=         2=
 *            2=         3=         0=         1=
 *            1=         2=         3=         0=
 *
 *     all_reduce one_shot, 4 ranks, root 0: 12 messages, 1 rounds
 *     round  rank 0   rank 1   rank 2   rank 3
 *         0  0>1,2,3  0>2,3,0  0>3,0,1  0>0,1,2
 *         1  +0=      +0=      +0=      +0=
 *
 * rounds   1; two_shot 2
 * bytes    sent by a rank: n - 1 blocks (two_shot: 2 (n - 1) / n of the vector, the
 *          least possible); one_shot n - 1 whole vectors
 * limits   n (n - 1) connections. two_shot needs two messages of credit, since its one
 *          step holds n - 1 messages until there is room for n - 1 others. two_shot_dual
 *          runs two halves of the data on two channels, so that one half is summed while
 *          the other one travels: better for vectors of many slices, worse for small ones
 * source   Neuron documentation, "Intra-node collective communications" (mesh); Chan,
 *          Heimlich, Purkayastha and van de Geijn, Collective communication: theory,
 *          practice, and experience, Concurr. Comput. 19 (2007), for the direct forms
 */
#include "algo/algo.h"
#include "algo/ranks.h"

/* Sums what every rank sends and our own IN[chunk], in rank order. Left open, so that the
 * caller names the outputs. */
static void combine_all(struct build *b, const struct sched_args *args, int32_t channel,
                        int32_t chunk)
{
    build_step(b, channel);
    for (int32_t p = 0; p < args->nranks; p++) {
        if (p == args->rank)
            build_local_in(b, SCHED_IN, chunk);
        else
            build_from(b, p);
    }
    build_span(b, SCHED_IN, chunk, 1);
    build_final(b);
}

/* The other ranks as outputs of the open step, the next one first: not all ranks should
 * fall upon the same one. */
static void send_to_others(struct build *b, const struct sched_args *args)
{
    for (int32_t k = 1; k < args->nranks; k++)
        build_to(b, ranks_mod(args->rank + k, args->nranks));
}

static void reduce_direct(struct build *b, const struct sched_args *args, int32_t channel,
                          int32_t first)
{
    for (int32_t k = 1; k < args->nranks; k++) {
        int32_t p = ranks_mod(args->rank + k, args->nranks);
        build_send(b, channel, SCHED_IN, first + p, 1, p);
    }
    combine_all(b, args, channel, first + args->rank);
}

static void receive_from_others(struct build *b, const struct sched_args *args,
                                int32_t channel, int32_t first)
{
    for (int32_t k = 1; k < args->nranks; k++) {
        int32_t p = ranks_mod(args->rank - k, args->nranks);
        build_recv(b, channel, p, SCHED_OUT, first + p, 1);
    }
}

static void build_all_gather(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, 0, SCHED_OUT);
    build_copies(b);
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, args->rank, 1);
    send_to_others(b, args);
    receive_from_others(b, args, 0, 0);
}

static void build_reduce_scatter(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, 0, SCHED_OUT);
    reduce_direct(b, args, 0, 0);
    build_local_out(b, SCHED_OUT, 0);
}

/* In place the sum must not go to where the others may still read our vector from: they
 * would wait for us in a circle, since our step gives theirs back only when it is done.
 * So it goes to scratch first. */
static void build_one_shot(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, args->inplace, SCHED_OUT);
    build_step(b, 0);
    build_local_in(b, SCHED_IN, 0);
    send_to_others(b, args);
    build_span(b, SCHED_IN, 0, 1);
    combine_all(b, args, 0, 0);
    build_local_out(b, args->inplace ? SCHED_TMP : SCHED_OUT, 0);
    if (args->inplace)
        build_copy(b, 0, SCHED_TMP, 0, SCHED_OUT, 0, 1);
}

/* Each channel serves a run of n chunks of its own. */
static void two_shot(struct build *b, const struct sched_args *args, int32_t nchannels)
{
    int32_t n = args->nranks;
    build_shape(b, nchannels * n, 0, SCHED_OUT);
    build_credits(b, 2);
    for (int32_t channel = 0; channel < nchannels; channel++) {
        int32_t first = channel * n;
        reduce_direct(b, args, channel, first);
        build_local_out(b, SCHED_OUT, first + args->rank);
        send_to_others(b, args);
        receive_from_others(b, args, channel, first);
    }
}

static void build_two_shot(struct build *b, const struct sched_args *args)
{
    two_shot(b, args, 1);
}

static void build_two_shot_dual(struct build *b, const struct sched_args *args)
{
    two_shot(b, args, 2);
}

const struct algo algo_all_gather_direct = {
    .name = "direct",
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary = "own block to every rank: 1 round, n-1 blocks sent per rank",
    .build = build_all_gather,
};
const struct algo algo_reduce_scatter_direct = {
    .name = "direct",
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary =
        "each rank sums its block in rank order: 1 round, n-1 blocks sent per rank",
    .build = build_reduce_scatter,
};
const struct algo algo_all_reduce_one_shot = {
    .name = "one_shot",
    .coll = SCHED_ALL_REDUCE,
    .summary =
        "everything to everyone, summed in rank order: 1 round, n-1 times the bytes",
    .build = build_one_shot,
};
const struct algo algo_all_reduce_two_shot = {
    .name = "two_shot",
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary =
        "direct reduce-scatter that writes to all: 2 rounds, 2(n-1)/n of the bytes",
    .build = build_two_shot,
};
const struct algo algo_all_reduce_two_shot_dual = {
    .name = "two_shot_dual",
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary = "two_shot for two halves at a time: 2 rounds that overlap over slices",
    .build = build_two_shot_dual,
};
