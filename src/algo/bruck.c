/* Bruck: doubling for any number of ranks, by distance instead of by bits.
 *
 * Gathering, round k hands the first 2^k blocks, counted from the own one round the
 * circle, to the rank 2^k below. Reducing is the same backwards: round k hands sums for
 * the blocks of ranks 2^k above and beyond to the rank 2^k above.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_gather bruck, 4 ranks, root 0: 9 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>3    1=>0    2=>1    3=>2
 *         1  1=      2=      3=      0=
 *            0-1>2   1-2>3   2-3>0   3>1
 *                                    0>1
 *         2  2-3=    3=      0-1=    1-2=
 *                    0=
 *
 *     reduce_scatter bruck, 4 ranks, root 0: 9 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3>2   3>3     0-1>0   1-2>1
 *                    0>3
 *         1  +t0-1=  +t1-2=  +t2-3=  +t3=
 *            t1>1    t2>2    t3>3    +t0=
 *                                    t0>0
 *         2  +0=     +1=     +2=     +3=
 *
 * Blocks stay where they belong in OUT and IN; a run that goes round the end of the
 * circle is two messages, and no block is ever rotated into place.
 *
 * rounds   ceil(log2 n)
 * bytes    sent by a rank: n - 1 blocks, the least possible
 * limits   the last round of gathering sends n / 2 blocks the farthest; reducing needs
 *          two messages of credit, as a rank sends all of a round before it receives
 * source   Bruck, Ho, Kipnis, Upfal and Weathersby, Efficient algorithms for all-to-all
 *          communications in multiport message-passing systems, IEEE Trans. Parallel
 *          Distrib. Syst. 8 (1997)
 */
#include "algo/algo.h"
#include "algo/ranks.h"

/* How many blocks move in the round of a distance, a power of two below n. */
static int32_t moved(int32_t n, int32_t distance)
{
    return distance < n - distance ? distance : n - distance;
}

/* One direction of one round: blocks first, first + 1, ... round the circle, cut into
 * messages. Both ends of a connection cut alike. */
struct transfer {
    int32_t first, count; /* blocks */
    int32_t cuts[3];      /* where a new message starts, if within (0, count) */
    int32_t done;         /* blocks dealt with so far */
};

/* Takes the next message: its first block, number of blocks, and place in the transfer.
 */
static bool next_message(struct transfer *t, int32_t n, int32_t *block, int32_t *count,
                         int32_t *place)
{
    if (t->done == t->count)
        return false;
    int32_t end = t->count;
    for (int i = 0; i < 3; i++)
        if (t->cuts[i] > t->done && t->cuts[i] < end)
            end = t->cuts[i];
    *block = ranks_mod(t->first + t->done, n);
    *count = end - t->done;
    *place = t->done;
    t->done = end;
    return true;
}

/* The longest message of a transfer; rank 0's are not cut where the circle ends. */
static int32_t longest(struct transfer t, int32_t n)
{
    int32_t most = 0, block, count, place;
    while (next_message(&t, n, &block, &count, &place))
        most = count > most ? count : most;
    return most;
}

static void build_all_gather(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, r = args->rank;
    int32_t run = 1;
    for (int32_t d = 1; d < n; d *= 2)
        run = moved(n, d) > run ? moved(n, d) : run;
    build_shape(b, 1, 0, SCHED_OUT);
    build_run(b, run);
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, r, 1);
    build_to(b, ranks_mod(r - 1, n));
    for (int32_t d = 1; d < n; d *= 2) {
        int32_t up = ranks_mod(r + d, n), down = ranks_mod(r - d, n);
        struct transfer out = {.first = r, .count = moved(n, d), .cuts = {n - r}};
        struct transfer in = {.first = up, .count = moved(n, d), .cuts = {n - up}};
        if (d == 1)
            out.done = 1; /* with the copy */
        int32_t block, count, place;
        while (next_message(&out, n, &block, &count, &place))
            build_send(b, 0, SCHED_OUT, block, count, down);
        while (next_message(&in, n, &block, &count, &place))
            build_recv(b, 0, up, SCHED_OUT, block, count);
    }
}

/* Places count from a rank's own block. Of those that a round deals with, the first
 * `held` have been summed with something already and lie in TMP, the others in IN. */
static enum sched_space space_of(int32_t place, int32_t held)
{
    return place < held ? SCHED_TMP : SCHED_IN;
}

/* What reaches `rank` in a round: the sums for itself and the blocks above, cut where
 * they go round the circle and where either end's operand moves from TMP to IN. */
static struct transfer sums_to(int32_t rank, int32_t n, int32_t distance, int32_t held)
{
    return (struct transfer){.first = rank,
                             .count = moved(n, distance),
                             .cuts = {n - rank, held, held - distance}};
}

static void reduce_round(struct build *b, const struct sched_args *args, int32_t d,
                         int32_t held)
{
    int32_t n = args->nranks, r = args->rank;
    int32_t up = ranks_mod(r + d, n), down = ranks_mod(r - d, n);
    struct transfer out = sums_to(up, n, d, held), in = sums_to(r, n, d, held);
    int32_t block, count, place;
    while (next_message(&out, n, &block, &count, &place))
        build_send(b, 0, space_of(d + place, held), block, count, up);
    while (next_message(&in, n, &block, &count, &place)) {
        build_step(b, 0);
        build_from(b, down);
        build_local_in(b, space_of(place, held), block);
        build_span(b, SCHED_IN, block, count);
        if (d > 1) {
            build_local_out(b, SCHED_TMP, block);
        } else {
            build_local_out(b, SCHED_OUT, 0);
            build_final(b);
        }
    }
}

static void build_reduce_scatter(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, held = 0, run = 1;
    build_shape(b, 1, n > 2 ? n : 0, SCHED_IN);
    build_credits(b, n > 2 ? 2 : 1);
    for (int32_t d = 1 << (ranks_log2_ceil(n) - 1); d > 0; d /= 2) {
        int32_t most = longest(sums_to(0, n, d, held), n);
        run = most > run ? most : run;
        reduce_round(b, args, d, held);
        if (held < moved(n, d))
            held = moved(n, d);
    }
    build_run(b, run);
}

const struct algo algo_all_gather_bruck = {
    .name = "bruck",
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary =
        "all blocks so far to the rank 1, 2, 4, ... below: log2(n) rounds, n-1 blocks",
    .build = build_all_gather,
};
const struct algo algo_reduce_scatter_bruck = {
    .name = "bruck",
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "sums to the rank ..., 4, 2, 1 above: log2(n) rounds, n-1 blocks sent",
    .build = build_reduce_scatter,
};
