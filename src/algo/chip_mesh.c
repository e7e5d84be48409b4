/* Chip mesh: every chip talks to every other one directly, after a stage in the chip.
 *
 * Of the ranks of a chip each takes a share, so that a chip's data cross its links once
 * and not once per rank; the ranks of one number in their chips are a mesh of their own.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce chip_mesh, 4 ranks, root 0: 16 messages, 4 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3>1   0-1>0   2-3>3   0-1>2
 *         1  +0-1=   +2-3=   +0-1=   +2-3=
 *            1>2     3>3     0>0     2>1
 *         2  +0=>2   +2=>3   +1=>0   +3=>1
 *         3  0-1>1   2-3>0   0-1>3   2-3>2
 *            1=      3=      0=      2=
 *         4  2-3=    0-1=    2-3=    0-1=
 *
 *     all_gather chip_mesh, 4 ranks, root 0: 12 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>2    1=>3    2=>0    3=>1
 *            0>1     1>0     2>3     3>2
 *         1  2=      3=      0=      1=
 *            1=      0=      3=      2=
 *            2>1     3>0     0>3     1>2
 *         2  3=      2=      1=      0=
 *
 *     reduce_scatter chip_mesh, 4 ranks, root 0: 12 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  1>1     0>0     1>3     0>2
 *         1  +t0=    +t1=    +t0=    +t1=
 *            3>1     2>0     3>3     2>2
 *         2  +t2=    +t3=    +t2=    +t3=
 *            t2>2    t3>3    t0>0    t1>1
 *         3  +0=     +1=     +2=     +3=
 *
 *     all_to_all chip_mesh, 4 ranks, root 0: 12 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  3>1     2>0     1>3     0>2
 *            t2=     t3=     t0=     t1=
 *         1  t3=     t2=     t1=     t0=
 *            1>1     0>0     3>3     2>2
 *            t0=     t1=     t2=     t3=
 *         2  t1=     t0=     t3=     t2=
 *            t2-3>2  t2-3>3  t0-1>0  t0-1>1
 *            0-1=    0-1=    2-3=    2-3=
 *         3  2-3=    2-3=    0-1=    0-1=
 *
 * rounds   2; all_reduce 4
 * bytes    sent by a rank, with c chips of p ranks: all_reduce 2 (p - 1) / p of the
 *          vector in the chip and 2 (c - 1) / (c p) between chips; all_gather,
 *          reduce_scatter n - 1 blocks, c - 1 of them between chips; all_to_all n - 1
 *          blocks, and up to n - c once more in the chip
 * limits   for small data. c - 1 connections per rank between chips; all_reduce needs two
 *          messages of credit
 * source   Neuron documentation, "Intra-node collective communications" (mesh)
 */
#include "algo/compose.h"

static const char *plan(struct compose *c, const struct sched_args *args)
{
    const struct sched_graph *g = args->graph;
    if (!g || g->nranks != args->nranks || g->per_chip < 2 || g->nranks % g->per_chip ||
        g->nranks == g->per_chip)
        return "needs two or more chips with two or more ranks each";
    *c = (struct compose){.size = g->per_chip};
    return compose_find(c, args, "direct", "direct");
}

static const char *refuse(const struct sched_args *args)
{
    struct compose c;
    return plan(&c, args);
}

static void build(struct build *b, const struct sched_args *args)
{
    struct compose c;
    if (!plan(&c, args))
        compose_build(b, args, &c);
}

const struct algo algo_all_gather_chip_mesh = {
    .name = "chip_mesh",
    .coll = SCHED_ALL_GATHER,
    .summary = "own block to every chip, then round the chip: 2 rounds, n-1 blocks",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_reduce_chip_mesh = {
    .name = "chip_mesh",
    .coll = SCHED_ALL_REDUCE,
    .summary = "directly in the chip, between chips, in the chip again: 4 rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_to_all_chip_mesh = {
    .name = "chip_mesh",
    .coll = SCHED_ALL_TO_ALL,
    .summary = "directly in the chip, then one message to each other chip",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_scatter_chip_mesh = {
    .name = "chip_mesh",
    .coll = SCHED_REDUCE_SCATTER,
    .summary = "sums in the chip, then directly between chips: 2 rounds, n-1 blocks",
    .build = build,
    .refuse = refuse,
};
