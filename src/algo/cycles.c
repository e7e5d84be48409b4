/* Cycles: rings along every Hamiltonian cycle of the machine, both ways at once.
 *
 * Each cycle and direction is a ring (ring.c) on a channel of its own with a share of the
 * data by the weight of its cycle. Cycles that share no link, or whose weights load links
 * by their rates, keep every link busy all the time.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce cycles, 4 ranks, root 0: 48 messages, 6 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  3>1     0>3     2>0     1>2
 *            6>2     5>0     7>3     4>1
 *         1  +2>1    +3>3    +1>0    +0>2
 *            +5>2    +4>0    +6>3    +7>1
 *         2  +1>1    +2>3    +0>0    +3>2
 *            +4>2    +7>0    +5>3    +6>1
 *         3  +0=>1   +1=>3   +3=>0   +2=>2
 *            +7=>2   +6=>0   +4=>3   +5=>1
 *         4  3=>1    0=>3    2=>0    1=>2
 *            6=>2    5=>0    7=>3    4=>1
 *         5  2=>1    3=>3    1=>0    0=>2
 *            5=>2    4=>0    6=>3    7=>1
 *         6  1=      2=      0=      3=
 *            4=      7=      5=      6=
 *
 *     all_gather cycles, 4 ranks, root 0: 24 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>1    2=>3    4=>0    6=>2
 *            1=>2    3=>0    5=>3    7=>1
 *         1  4=>1    0=>3    6=>0    2=>2
 *            3=>2    7=>0    1=>3    5=>1
 *         2  6=>1    4=>3    2=>0    0=>2
 *            7=>2    5=>0    3=>3    1=>1
 *         3  2=      6=      0=      4=
 *            5=      1=      7=      3=
 *
 *     reduce_scatter cycles, 4 ranks, root 0: 24 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  4>1     0>3     6>0     2>2
 *            3>2     7>0     1>3     5>1
 *         1  +6>1    +4>3    +2>0    +0>2
 *            +7>2    +5>0    +3>3    +1>1
 *         2  +2>1    +6>3    +0>0    +4>2
 *            +5>2    +1>0    +7>3    +3>1
 *         3  +0=     +2=     +4=     +6=
 *            +1=     +3=     +5=     +7=
 *
 * rounds   n - 1 for reduce_scatter and all_gather, 2 (n - 1) for all_reduce
 * bytes    sent by a rank: (n - 1) / n of the whole vector per phase, the least possible
 * limits   latency grows with n: for very large data, and where no torus helps. Cycles go
 *          through all ranks of one group; two channels for each; two messages of credit
 * source   Bae and Bose, Edge disjoint Hamiltonian cycles in k-ary n-cubes and
 *          hypercubes, IEEE Trans. Comput. 52 (2003); Patarasuk and Yuan as in ring.c
 */
#include <stdlib.h>

#include "algo/compose.h"
#include "algo/embed.h"

/* Chunks per rank (all_reduce) or block: every cycle's weight, in both directions. */
static int32_t weight_of(const struct sched_graph *g)
{
    int32_t sum = 0;
    for (int32_t c = 0; c < g->ncycles; c++)
        sum += 2 * g->cycle_weights[c];
    return sum;
}

static const char *refuse(const struct sched_args *args)
{
    const struct sched_graph *g = args->graph;
    if (!g || g->nranks != args->nranks || g->group_size != args->nranks ||
        args->nranks < 2 || g->ncycles < 1)
        return "needs cycles through all ranks";
    if (2 * g->ncycles > SCHED_ALGO_CHANNELS)
        return "needs fewer cycles: two channels for each";
    return NULL;
}

/* Ranks in the order of a cycle; returns our place. */
static int32_t unroll(const struct sched_args *args, int32_t cycle, bool back,
                      int32_t *order)
{
    int32_t n = args->nranks, mine = 0;
    const int32_t *ranks = args->graph->cycles + cycle * n;
    for (int32_t i = 0; i < n; i++) {
        order[i] = ranks[back ? n - 1 - i : i];
        if (order[i] == args->rank)
            mine = i;
    }
    return mine;
}

/* One ring on a channel, for `width` chunks of each of its own, from `first` on. */
static void build_ring(struct build *b, const struct sched_args *args, int32_t channel,
                       int32_t first, int32_t width, int32_t *order)
{
    int32_t weight = weight_of(args->graph);
    struct sched_args ring = {
        .coll = args->coll, .nranks = args->nranks, .inplace = args->inplace};
    ring.rank = unroll(args, channel / 2, channel % 2, order);
    struct sched *part = compose_part(b, algo_find(args->coll, "ring"), &ring);
    if (!part)
        return;
    bool all = args->coll == SCHED_ALL_REDUCE;
    struct embed_space whole = {.first = all ? first * args->nranks : first,
                                .stride = weight,
                                .order = all ? NULL : order};
    struct embed e = {.ranks = order,
                      .in = whole,
                      .out = whole,
                      .width = width,
                      .tmp_repeat = 1,
                      .channel = channel,
                      .final = true,
                      .after = {-1, -1}};
    e.in.space = SCHED_IN;
    e.out.space = SCHED_OUT;
    if (args->coll == SCHED_ALL_GATHER)
        e.in.order = NULL;
    else if (args->coll == SCHED_REDUCE_SCATTER)
        e.out.order = NULL;
    embed_emit(b, part, &e);
    sched_destroy(part);
}

static void build(struct build *b, const struct sched_args *args)
{
    const struct sched_graph *g = args->graph;
    int32_t weight = weight_of(g), first = 0;
    int32_t *order = malloc((size_t)args->nranks * sizeof *order);
    if (!order) {
        build_abort(b, error_set(trncclSystemError, "no memory for a cycle of %d ranks",
                                 args->nranks));
        return;
    }
    build_shape(b, args->coll == SCHED_ALL_REDUCE ? weight * args->nranks : weight, 0,
                SCHED_OUT);
    build_credits(b, args->nranks > 2 || args->coll == SCHED_ALL_REDUCE ? 2 : 1);
    for (int32_t channel = 0; channel < 2 * g->ncycles; channel++) {
        int32_t width = g->cycle_weights[channel / 2];
        build_ring(b, args, channel, first, width, order);
        first += width;
    }
    free(order);
}

const struct algo algo_all_gather_cycles = {
    .name = "cycles",
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary = "rings both ways along every cycle of the machine: n-1 rounds, n-1 blocks",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_reduce_cycles = {
    .name = "cycles",
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary = "rings both ways along every cycle: 2(n-1) rounds, 2(n-1)/n of the bytes",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_scatter_cycles = {
    .name = "cycles",
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "rings both ways along every cycle of the machine: n-1 rounds, n-1 blocks",
    .build = build,
    .refuse = refuse,
};
