/* Permute, direct: each source sends its vector to its target. Sends, receives and pairs
 * of both are permutes of one or two pairs.
 *
 * A rank in no pair has nothing to do. A rank that is source and target sends first, so
 * that a circle of ranks cannot wait for each other. In place, what arrives replaces what
 * was sent: such a rank puts its vector aside and sends it from there, since in a circle
 * where everybody waits for the own vector to leave, nobody would receive.
 *
 * With the pairs 0 > 1, 1 > 0 and 2 > 3, out of place:
 *
 *     permute direct, 4 ranks, root 0: 3 messages, 1 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0>1     0>0     0>3
 *         1  0=      0=              0=
 *
 * rounds   1
 * bytes    sent by a source: the vector
 * limits   a rank is the source of at most one pair and the target of at most one
 * source   XLA, Operation semantics, CollectivePermute (the operation)
 */
#include "algo/algo.h"

/* The rank's partner in the pair whose entry `mine` (0 source, 1 target) it is; -1. */
static int32_t partner(const struct sched_args *args, int mine)
{
    for (int32_t i = 0; i < args->npairs; i++)
        if (args->pairs[2 * i + mine] == args->rank)
            return args->pairs[2 * i + 1 - mine];
    return -1;
}

static void build_permute(struct build *b, const struct sched_args *args)
{
    int32_t target = partner(args, 0), source = partner(args, 1);
    bool aside = args->inplace && target >= 0 && source >= 0 && target != args->rank;
    build_shape(b, 1, aside ? 1 : 0, SCHED_IN);
    if (args->npairs == 1) /* nobody is both ends, so nobody needs scratch */
        build_copies(b);
    if (target == args->rank) {
        build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 0, 1);
        return;
    }
    if (aside)
        build_copy(b, 0, SCHED_IN, 0, SCHED_TMP, 0, 1);
    if (target >= 0)
        build_send(b, 0, aside ? SCHED_TMP : SCHED_IN, 0, 1, target);
    if (source >= 0)
        build_recv(b, 0, source, SCHED_OUT, 0, 1);
}

const struct algo algo_permute_direct = {
    .name = "direct",
    .coll = SCHED_PERMUTE,
    .summary = "each source straight to its target: 1 round, the vector once",
    .build = build_permute,
};
