/* KangaRing: rings of pairs of ranks of a chip, one of which carries for both.
 *
 * Of each pair the primary takes part in the ring. When it sums, the secondary's
 * contribution is one more input; when it gathers, the secondary is one more output. So
 * data come into the chip's memory once per pair and leave it once: half the steps of a
 * ring, and fewer accesses of memory. Against the cycle the other rank of a pair is
 * primary.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce kangaring, 4 ranks, root 0: 24 messages, 4 rounds
 *     round  rank 0   rank 1   rank 2   rank 3
 *         0  3>1      1>0      2>3      0>2
 *            2>1      0>0      3>3      1>2
 *         1  +1>2     +3>3     +0>0     +2>1
 *         2  +0=>2,1  +2=>3,0  +1=>0,3  +3=>1,2
 *         3  1=>1     0=       0=>3     1=
 *            2=       3=>0     3=       2=>2
 *         4  3=       1=       2=       0=
 *
 *     all_gather kangaring, 4 ranks, root 0: 24 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>1,2  2=>0    4=>3,0  6=>2
 *            1=>1    3=>0,3  5=>3    7=>2,1
 *         1  4=>1    0=      0=>3    4=
 *            2=>2    1=>3    6=>0    5=>1
 *            3=      7=>0    7=      3=>2
 *         2  6=>1    4=      2=>3    0=
 *            7=      5=>0    3=      1=>2
 *         3  5=      6=      1=      2=
 *
 *     reduce_scatter kangaring, 4 ranks, root 0: 28 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  5>1     4>0     1>3     0>2
 *            1>1     0>0     5>3     4>2
 *            7>1     6>0     3>3     2>2
 *            3>1     2>0     7>3     6>2
 *         1  +4>2    +5>3    +0>0    +1>1
 *            +6>2    +7>3    +2>0    +3>1
 *         2  +0=     +1>0    +4=     +5>2
 *            +2>1    +3=     +6>3    +7=
 *         3  1=      2=      5=      6=
 *
 * rounds   n / 2 for reduce_scatter and all_gather, n for all_reduce
 * bytes    a primary sends (n - 2) / n of the whole vector per phase to the next pair,
 *          and in all_gather all of it to its secondary; a secondary sends what it
 *          contributes
 * limits   cycles on which the two ranks of a pair follow each other; an even number of
 *          ranks per chip. A channel per cycle and direction in all_reduce, two in the
 *          others, for blocks of even and of odd ranks; two messages of credit
 * source   Neuron documentation, "Intra-node collective communications" (KangaRing); what
 *          goes on inside a pair is inferred from the accesses of memory that it states
 */
#include "algo/algo.h"
#include "algo/ranks.h"
#include "sched/graph.h"

/* One ring of pairs on one channel, seen from one rank. A step moves one run of chunks:
 * of all_reduce's vector for each pair; else of a block, those of even and of odd ranks
 * on rings of their own, so that two messages of credit do. */
struct kanga {
    struct build *b;
    const struct sched_args *args;
    const int32_t *cycle; /* of ranks; pair i is places 2 i and 2 i + 1 */
    bool back;            /* the ring runs against the cycle */
    int32_t channel, npairs, pair;
    int32_t odd; /* whose blocks; all_reduce: 0 */
    bool primary;
    int32_t other, prev, next;    /* ranks: of our pair, of the primaries around */
    int32_t weight, first, width; /* chunks of a block; ours of them */
};

/* Both ways along every cycle, once for each kind of block. */
static int32_t nrings(const struct sched_args *args)
{
    return args->graph->ncycles * (args->coll == SCHED_ALL_REDUCE ? 2 : 4);
}

static const char *refuse(const struct sched_args *args)
{
    const struct sched_graph *g = args->graph;
    if (!g || g->nranks != args->nranks || g->group_size != args->nranks ||
        g->ncycles < 1 || g->per_chip % 2 || args->nranks < 4)
        return "needs cycles through all ranks, and an even number of ranks per chip";
    if (nrings(args) > SCHED_ALGO_CHANNELS)
        return "needs fewer cycles: two channels for each, or four";
    for (int32_t i = 0; i < g->ncycles * g->nranks; i += 2)
        if (g->cycles[i] / 2 != g->cycles[i + 1] / 2)
            return "needs cycles on which pairs of ranks of a chip follow each other";
    return NULL;
}

/* The even or the odd rank of the pair that is `i` pairs on from ours in the ring. */
static int32_t rank_at(const struct kanga *k, int32_t i, int32_t odd)
{
    int32_t place = ranks_mod(k->pair + (k->back ? -i : i), k->npairs);
    return k->cycle[2 * place] / 2 * 2 + odd;
}

/* Against the cycle the odd ranks are primary, so that both do the same work. */
static struct kanga kanga_of(struct build *b, const struct sched_args *args,
                             int32_t channel)
{
    const struct sched_graph *g = args->graph;
    int32_t kinds = args->coll == SCHED_ALL_REDUCE ? 1 : 2, ring = channel / kinds;
    struct kanga k = {.b = b,
                      .args = args,
                      .cycle = g->cycles + ring / 2 * g->nranks,
                      .back = ring % 2,
                      .channel = channel,
                      .npairs = g->nranks / 2,
                      .odd = channel % kinds,
                      .other = args->rank ^ 1,
                      .width = g->cycle_weights[ring / 2]};
    for (int32_t i = 0; i < k.npairs; i++)
        if (k.cycle[2 * i] / 2 == args->rank / 2)
            k.pair = i;
    for (int32_t c = 0; c < 2 * g->ncycles; c++) {
        k.weight += g->cycle_weights[c / 2];
        k.first += c < ring ? g->cycle_weights[c / 2] : 0;
    }
    k.primary = args->rank % 2 == k.back;
    k.prev = rank_at(&k, -1, k.back);
    k.next = rank_at(&k, 1, k.back);
    return k;
}

/* The run of the pair `i` pairs on from ours. */
static int32_t run_of(const struct kanga *k, int32_t i)
{
    if (k->args->coll != SCHED_ALL_REDUCE)
        return rank_at(k, i, k->odd) * k->weight + k->first;
    int32_t place = ranks_mod(k->pair + (k->back ? -i : i), k->npairs);
    return k->first * k->npairs + place * k->width;
}

/* Opens the primary's sum of a run: what came round the ring, the secondary's, its own.
 */
static void combine(const struct kanga *k, bool first, int32_t run)
{
    build_step(k->b, k->channel);
    if (!first)
        build_from(k->b, k->prev);
    build_from(k->b, k->other);
    build_local_in(k->b, SCHED_IN, run);
    build_span(k->b, SCHED_IN, run, k->width);
}

/* The last sum of our own pair's run. */
static void finish(const struct kanga *k, int32_t run)
{
    bool all = k->args->coll == SCHED_ALL_REDUCE;
    build_final(k->b);
    if (all) {
        build_local_out(k->b, SCHED_OUT, run);
        build_to(k->b, k->next);
    } else if (k->odd == k->args->rank % 2) {
        build_local_out(k->b, SCHED_OUT, k->first);
        return;
    }
    build_to(k->b, k->other);
}

/* Sums go round the ring to the pair whose run it is, from the pair behind it on. */
static void reduce(const struct kanga *k)
{
    for (int32_t i = 1; i <= k->npairs; i++) {
        int32_t run = run_of(k, -i);
        if (!k->primary) {
            build_send(k->b, k->channel, SCHED_IN, run, k->width, k->other);
            continue;
        }
        combine(k, i == 1, run);
        if (i < k->npairs)
            build_to(k->b, k->next);
        else
            finish(k, run);
    }
    if (k->primary)
        return;
    if (k->args->coll == SCHED_ALL_REDUCE)
        build_recv(k->b, k->channel, k->other, SCHED_OUT, run_of(k, 0), k->width);
    else if (k->odd == k->args->rank % 2)
        build_recv(k->b, k->channel, k->other, SCHED_OUT, k->first, k->width);
}

/* Runs of other pairs come from the pair before and go on to the next, and by the same
 * step to the secondary. */
static void gather(const struct kanga *k)
{
    for (int32_t i = 1; i < k->npairs; i++) {
        build_recv(k->b, k->channel, k->primary ? k->prev : k->other, SCHED_OUT,
                   run_of(k, -i), k->width);
        if (k->primary && i < k->npairs - 1)
            build_to(k->b, k->next);
        if (k->primary)
            build_to(k->b, k->other);
    }
}

/* Before all_gather goes round: the block of our pair. */
static void gather_own(const struct kanga *k)
{
    int32_t run = run_of(k, 0);
    if (k->odd == k->args->rank % 2) {
        build_copy(k->b, k->channel, SCHED_IN, k->first, SCHED_OUT, run, k->width);
        build_to(k->b, k->other);
    } else {
        build_recv(k->b, k->channel, k->other, SCHED_OUT, run, k->width);
    }
    if (k->primary)
        build_to(k->b, k->next);
}

static void build(struct build *b, const struct sched_args *args)
{
    bool all = args->coll == SCHED_ALL_REDUCE;
    int32_t nchannels = nrings(args), n = args->nranks;
    struct kanga k = kanga_of(b, args, 0);
    build_shape(b, all ? k.weight * n / 2 : k.weight, 0, SCHED_OUT);
    build_credits(b, 2);
    for (int32_t channel = 0; channel < nchannels; channel++) {
        k = kanga_of(b, args, channel);
        if (args->coll == SCHED_ALL_GATHER)
            gather_own(&k);
        else
            reduce(&k);
        if (args->coll != SCHED_REDUCE_SCATTER)
            gather(&k);
    }
}

const struct algo algo_all_gather_kangaring = {
    .name = "kangaring",
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary = "rings of pairs of ranks of a chip, one of which hands on: n/2 rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_reduce_kangaring = {
    .name = "kangaring",
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary = "rings of pairs of ranks of a chip, one of which hands on: n rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_scatter_kangaring = {
    .name = "kangaring",
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "rings of pairs of ranks of a chip, one of which hands on: n/2 rounds",
    .build = build,
    .refuse = refuse,
};
