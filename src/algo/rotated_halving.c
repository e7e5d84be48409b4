/* Rotated halving and doubling: recursive halving on a torus, for several parts of the
 * data at once, each of which begins with another of the links.
 *
 * A ring of four chips is a square, so a torus whose dimensions have 2 or 4 chips is a
 * hypercube of d = log2(chips) dimensions: with a Gray code of the coordinates every bit
 * of a chip's label is one hop. Part j uses bit (j + t) mod d in step t, on a channel of
 * its own. All d links of a chip are busy in every step, and over all steps alike.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce rotated_halving, 4 ranks, root 0: 32 messages, 4 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3>1   0-1>0   2-3>3   0-1>2
 *            6-7>2   6-7>3   4-5>0   4-5>1
 *         1  +t0-1=  +t2-3=  +t0-1=  +t2-3=
 *            t1>2    t3>3    t0>0    t2>1
 *            +t4-5=  +t4-5=  +t6-7=  +t6-7=
 *            t5>1    t4>0    t7>3    t6>2
 *         2  +0=>2   +2=>3   +1=>0   +3=>1
 *            +4=>1   +5=>0   +6=>3   +7=>2
 *         3  1=      3=      0=      2=
 *            0-1>1   2-3>0   0-1>3   2-3>2
 *            5=      4=      7=      6=
 *            4-5>2   4-5>3   6-7>0   6-7>1
 *         4  2-3=    0-1=    2-3=    0-1=
 *            6-7=    6-7=    4-5=    4-5=
 *
 *     reduce_scatter rotated_halving, 4 ranks, root 0: 24 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2>1     0>0     2>3     0>2
 *            6>1     4>0     6>3     4>2
 *            5>2     5>3     1>0     1>1
 *            7>2     7>3     3>0     3>1
 *         1  +t0=    +t2=    +t0=    +t2=
 *            +t4=    +t6=    +t4=    +t6=
 *            t4>2    t6>3    t0>0    t2>1
 *            +t1=    +t1=    +t5=    +t5=
 *            +t3=    +t3=    +t7=    +t7=
 *            t3>1    t1>0    t7>3    t5>2
 *         2  +0=     +2=     +4=     +6=
 *            +1=     +3=     +5=     +7=
 *
 *     all_gather rotated_halving, 4 ranks, root 0: 24 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>2    2=>3    4=>0    6=>1
 *            1=>1    3=>0    5=>3    7=>2
 *         1  4=      6=      0=      2=
 *            0>1     2>0     0>3     2>2
 *            4>1     6>0     4>3     6>2
 *            3=      1=      7=      5=
 *            1>2     1>3     5>0     5>1
 *            3>2     3>3     7>0     7>1
 *         2  2=      0=      2=      0=
 *            6=      4=      6=      4=
 *            5=      5=      1=      1=
 *            7=      7=      3=      3=
 *
 * Where dimensions differ in rate, bits of slow ones lie between fast ones, and parts
 * have weights that load each link by its rate (torus.h): for 4x4x4 with a third
 * dimension at half rate the order is x1 x2 z1 y1 y2 z2, and parts that begin with x1,
 * x2, y1, y2 weigh 3, 2, 3, 2. Steps of different parts then differ in length, so slices
 * must pipeline.
 *
 * Where a chip has several ranks, they exchange directly in the chip, and the ranks of
 * one number run this among the chips, each number beginning with another bit (planes.h).
 *
 * rounds   log2(n) for reduce_scatter and all_gather, 2 log2(n) for all_reduce; the
 *          blocks of a step go one by one in reduce_scatter and all_gather, where they do
 *          not lie together, two at a time: about n / 2 rounds of messages
 * bytes    sent by a rank: (n - 1) / n of the whole vector per phase, the least possible,
 *          spread over the links by rate
 * limits   one group of ranks on a torus of 2 or 4 chips in every dimension; a slow link
 *          has half the rate of a fast one or more. d channels; two messages of credit,
 *          since a last sum is also a first share, and blocks are sent one ahead
 * source   Johnsson and Ho, Optimum broadcasting and personalized communication in
 *          hypercubes, IEEE Trans. Comput. 38 (1989), for the rotation; the weights are
 *          derived in torus.h
 */
#include "algo/planes.h"
#include "algo/swaps.h"
#include "algo/torus.h"

#define NAME "rotated_halving"

static const char *refuse(const struct sched_args *args)
{
    struct torus_cube cube;
    struct planes planes;
    if (planes_needed(args))
        return planes_find(&planes, args, NAME);
    if (args->graph && args->graph->nranks != args->nranks)
        return "needs a graph of as many ranks";
    return torus_cube_init(args->graph, false, &cube);
}

/* Where every chip stands in a part that begins with bit `start`: the first bit that is
 * used is the highest. */
static int32_t position_of(const struct torus_cube *cube, int32_t start, int32_t chip)
{
    int32_t position = 0;
    for (int32_t t = 0; t < cube->nbits; t++)
        position = 2 * position + torus_bit(cube, chip, (start + t) % cube->nbits);
    return position;
}

static void build_part(struct build *b, const struct sched_args *args,
                       const struct torus_cube *cube, int32_t part, int32_t before,
                       int32_t *rank_at)
{
    int32_t start = cube->starts[part], n = args->nranks;
    struct swaps s = {.rank = args->rank,
                      .channel = part,
                      .nsub = cube->weight,
                      .first = before,
                      .weight = cube->weights[part],
                      .nsteps = cube->nbits,
                      .rank_at = rank_at};
    for (int32_t chip = 0; chip < n; chip++)
        rank_at[position_of(cube, start, chip)] = chip;
    s.position = position_of(cube, start, args->rank);
    for (int32_t t = 0; t < cube->nbits; t++)
        s.partner[t] = torus_flip(cube, args->rank, (start + t) % cube->nbits);
    if (args->coll == SCHED_ALL_GATHER) {
        swaps_all_gather(b, &s);
    } else if (args->coll == SCHED_REDUCE_SCATTER) {
        swaps_reduce_scatter(b, &s);
    } else {
        s.first *= n;
        swaps_all_reduce(b, &s);
    }
}

static void build(struct build *b, const struct sched_args *args)
{
    struct torus_cube cube;
    struct planes planes;
    int32_t rank_at[1 << TORUS_MAX_BITS], n = args->nranks;
    if (planes_needed(args)) {
        if (!planes_find(&planes, args, NAME))
            compose_build(b, args, &planes.compose);
        return;
    }
    if (torus_cube_init(args->graph, false, &cube))
        return;
    bool all = args->coll == SCHED_ALL_REDUCE, in = args->coll == SCHED_REDUCE_SCATTER;
    int32_t nsub = all ? n * cube.weight : cube.weight;
    int32_t tmp = cube.nbits < 2 ? 0 : all ? nsub : in ? n * nsub : 0;
    build_shape(b, nsub, tmp, in ? SCHED_IN : SCHED_OUT);
    build_credits(b, 2);
    for (int32_t part = 0, before = 0; part < cube.nparts; part++) {
        build_part(b, args, &cube, part, before, rank_at);
        before += cube.weights[part];
    }
}

const struct algo algo_all_gather_rotated_halving = {
    .name = NAME,
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary = "doubling on a torus, parts begin with different links: log2(n) rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_reduce_rotated_halving = {
    .name = NAME,
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary = "halving and doubling on a torus, all links at once: 2 log2(n) rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_scatter_rotated_halving = {
    .name = NAME,
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "halving on a torus, parts begin with different links: log2(n) rounds",
    .build = build,
    .refuse = refuse,
};
