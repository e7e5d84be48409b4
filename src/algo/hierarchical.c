/* Hierarchical: one algorithm in the groups, another one between the ranks of one number
 * in their groups; any of the list in both places.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce hierarchical, 4 ranks, root 0: 16 messages, 4 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3>1   0-1>0   2-3>3   0-1>2
 *         1  +0-1=   +2-3=   +0-1=   +2-3=
 *            1>2     3>3     0>0     2>1
 *         2  +0=>2   +2=>3   +1=>0   +3=>1
 *         3  0-1>1   2-3>0   0-1>3   2-3>2
 *            1=      3=      0=      2=
 *         4  2-3=    0-1=    2-3=    0-1=
 *
 *     all_gather hierarchical, 4 ranks, root 0: 12 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>2    1=>3    2=>0    3=>1
 *            0>1     1>0     2>3     3>2
 *         1  2=      3=      0=      1=
 *            1=      0=      3=      2=
 *            2>1     3>0     0>3     1>2
 *         2  3=      2=      1=      0=
 *
 *     reduce_scatter hierarchical, 4 ranks, root 0: 12 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  1>1     0>0     1>3     0>2
 *         1  +t0=    +t1=    +t0=    +t1=
 *            3>1     2>0     3>3     2>2
 *         2  +t2=    +t3=    +t2=    +t3=
 *            t2>2    t3>3    t0>0    t1>1
 *         3  +0=     +1=     +2=     +3=
 *
 *     all_to_all hierarchical, 4 ranks, root 0: 12 messages, 3 rounds
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
 * all_reduce cuts that of the groups where each chunk is completed at one rank, and puts
 * an all_reduce between the groups there (split.h), or runs reduce_scatter, all_reduce
 * and all_gather one after the other; all_gather begins between the groups,
 * reduce_scatter ends there. all_to_all hands each rank of the group what is meant for
 * its number anywhere, so that one message goes to each other group. Phases have channels
 * of their own and a phase of a round waits for the phase before of that round only: over
 * slices they overlap, and the slowest phase binds.
 *
 * rounds   those of the phases, one after the other
 * bytes    sent by a rank, with G groups of size L: in its group (L - 1) / L of the
 *          vector per phase (all_gather and reduce_scatter: of the result, of the
 *          contribution), between the groups 1 / L of what a flat algorithm sends, but
 *          all of it in all_to_all
 * limits   groups of equal size and two ranks or more. In the groups all_reduce needs one
 *          that splits, or a pair that serves blocks of different sizes. Scratch:
 *          all_gather and reduce_scatter pack blocks where a message between groups has
 *          several; reduce_scatter and all_to_all keep what they got in the group
 * source   Neuron documentation, "Inter-node collective communications"; Graham et al.,
 *          Cheetah: a framework for scalable hierarchical collective operations, CCGrid
 *          2011
 */
#include "algo/compose.h"

/* Of an algorithm that runs in the groups: the graph of one of them. */
static struct sched_graph group_of(const struct sched_graph *g)
{
    struct sched_graph one = *g;
    one.nranks = g->group_size;
    return one;
}

/* The first that serves the groups, of those that follow the machine, else the simplest.
 */
static const char *choose(struct compose *c, const struct sched_args *args,
                          const char *between)
{
    static const char *const names[] = {"rotated_halving", "cycles", "direct"};
    for (int i = 0;; i++)
        if (args->coll == SCHED_ALL_TO_ALL || i == 2 ||
            !compose_find(c, args, names[i], between))
            return names[args->coll == SCHED_ALL_TO_ALL ? 2 : i];
}

static const char *plan(struct compose *c, const struct sched_args *args,
                        struct sched_graph *inside)
{
    const struct sched_graph *g = args->graph;
    if (!g || g->nranks != args->nranks || g->group_size < 2 ||
        g->group_size >= g->nranks || g->nranks % g->group_size)
        return "needs two or more equal groups of two or more ranks";
    *inside = group_of(g);
    *c = (struct compose){.size = g->group_size, .inside = inside};
    const char *between = args->inter ? args->inter : "recursive";
    return compose_find(c, args, args->intra ? args->intra : choose(c, args, between),
                        between);
}

static const char *refuse(const struct sched_args *args)
{
    struct compose c;
    struct sched_graph inside;
    return plan(&c, args, &inside);
}

static void build(struct build *b, const struct sched_args *args)
{
    struct compose c;
    struct sched_graph inside;
    if (!plan(&c, args, &inside))
        compose_build(b, args, &c);
}

const struct algo algo_all_gather_hierarchical = {
    .name = "hierarchical",
    .coll = SCHED_ALL_GATHER,
    .summary =
        "between groups, then in them: n-1 blocks sent per rank, sliced to overlap",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_reduce_hierarchical = {
    .name = "hierarchical",
    .coll = SCHED_ALL_REDUCE,
    .summary =
        "reduce-scatter in groups, all-reduce between, all-gather: 2 bytes per byte",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_to_all_hierarchical = {
    .name = "hierarchical",
    .coll = SCHED_ALL_TO_ALL,
    .summary = "in groups, then one message to each other group: twice the bytes at most",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_scatter_hierarchical = {
    .name = "hierarchical",
    .coll = SCHED_REDUCE_SCATTER,
    .summary =
        "in groups, then between them: n-1 blocks sent per rank, sliced to overlap",
    .build = build,
    .refuse = refuse,
};
