/* All-to-all by Bruck: blocks hop towards their rank by powers of two, many in one
 * message.
 *
 * A block for the rank d places behind its owner has distance d. In round k each rank
 * sends all blocks it holds whose distance has bit k, its own and those passing through,
 * to the rank 2^k places behind it. A block has arrived when all bits of its distance are
 * done.
 *
 * t0-1 is the message of a round (distances 3 and 1, then 3 and 2), t2-3 and t4-5 are
 * what the rounds received:
 *
 *     all_to_all bruck, 4 ranks, root 0: 8 messages, 2 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  t0=     t0=     t0=     t0=
 *            t1=     t1=     t1=     t1=
 *            t0-1>1  t0-1>2  t0-1>3  t0-1>0
 *         1  t2-3=   t2-3=   t2-3=   t2-3=
 *            t0=     t0=     t0=     t0=
 *            t1=     t1=     t1=     t1=
 *            t0-1>2  t0-1>3  t0-1>0  t0-1>1
 *         2  t4-5=   t4-5=   t4-5=   t4-5=
 *            0=      1=      2=      3=
 *            1-2=    2-3=    3=      0-1=
 *            3=      0=      0=      2=
 *                            1=
 *
 * The blocks of a round are scattered, but a message is one run: they are packed into
 * scratch, since one message instead of many is the point of it. They are not unpacked:
 * every round keeps what it receives where it landed, and the next ones, and the final
 * copies to OUT, take it from there. Blocks are packed from the largest distance down, so
 * that those which arrive in one round lie in the order of OUT. Nothing is written to OUT
 * before all of IN has been packed, so in place differs in nothing.
 *
 * rounds   ceil(log2 n)
 * bytes    sent by a rank: about n / 2 blocks in each round; each block is copied once
 *          per hop besides
 * limits   blocks of one size; scratch of n / 2 (1 + ceil(log2 n)) blocks: for short ones
 * source   Bruck, Ho, Kipnis, Upfal and Weathersby, Efficient algorithms for all-to-all
 *          communications in multiport message-passing systems, IEEE Trans. Parallel
 *          Distrib. Syst. 8 (1997)
 */
#include "algo/algo.h"
#include "algo/ranks.h"

/* How many of the distances below `end` have bit k. */
static int32_t count_below(int32_t end, int32_t k)
{
    int32_t bit = 1 << k, rest = end & (2 * bit - 1);
    return (end >> (k + 1) << k) + (rest > bit ? rest - bit : 0);
}

/* The place of a distance that has bit k among all of these, from the largest down. */
static int32_t place_of(int32_t n, int32_t distance, int32_t k)
{
    return count_below(n, k) - 1 - count_below(distance, k);
}

/* Scratch: the message to be sent, then what each round received. */
static int32_t landing_of(int32_t n, int32_t k)
{
    int32_t first = count_below(n, 0);
    for (int32_t i = 0; i < k; i++)
        first += count_below(n, i);
    return first;
}

/* Copies of single blocks that are side by side, made one. */
struct copies {
    struct build *b;
    enum sched_space from_space, to_space;
    int32_t from, to, n;
};

static void copies_flush(struct copies *c)
{
    if (c->n > 0)
        build_copy(c->b, 0, c->from_space, c->from, c->to_space, c->to, c->n);
    c->n = 0;
}

static void copies_add(struct copies *c, enum sched_space from_space, int32_t from,
                       int32_t to)
{
    if (c->n > 0 && from_space == c->from_space && from == c->from + c->n &&
        to == c->to + c->n) {
        c->n++;
        return;
    }
    copies_flush(c);
    c->from_space = from_space;
    c->from = from;
    c->to = to;
    c->n = 1;
}

/* Packs the blocks that have bit k: each is where it landed in the round of its highest
 * bit below k, or still in IN. */
static void pack(struct build *b, const struct sched_args *args, int32_t k)
{
    int32_t n = args->nranks;
    struct copies copies = {.b = b, .to_space = SCHED_TMP};
    for (int32_t d = n - 1; d > 0; d--) {
        if (!(d >> k & 1))
            continue;
        int32_t done = d & ((1 << k) - 1), to = place_of(n, d, k);
        if (done == 0) {
            copies_add(&copies, SCHED_IN, ranks_mod(args->rank + d, n), to);
        } else {
            int32_t last = ranks_log2_floor(done);
            copies_add(&copies, SCHED_TMP, landing_of(n, last) + place_of(n, d, last),
                       to);
        }
    }
    copies_flush(&copies);
}

/* Every block has landed for good in the round of its highest bit; the own one in IN. */
static void unpack(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks;
    struct copies copies = {.b = b, .to_space = SCHED_OUT};
    copies_add(&copies, SCHED_IN, args->rank, args->rank);
    for (int32_t d = n - 1; d > 0; d--) {
        int32_t last = ranks_log2_floor(d);
        copies_add(&copies, SCHED_TMP, landing_of(n, last) + place_of(n, d, last),
                   ranks_mod(args->rank - d, n));
    }
    copies_flush(&copies);
}

static void build_all_to_all(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, r = args->rank, rounds = ranks_log2_ceil(n);
    build_shape(b, 1, landing_of(n, rounds), SCHED_IN);
    for (int32_t k = 0; k < rounds; k++) {
        int32_t count = count_below(n, k);
        pack(b, args, k);
        build_send(b, 0, SCHED_TMP, 0, count, ranks_mod(r + (1 << k), n));
        build_recv(b, 0, ranks_mod(r - (1 << k), n), SCHED_TMP, landing_of(n, k), count);
    }
    unpack(b, args);
}

const struct algo algo_all_to_all_bruck = {
    .name = "bruck",
    .coll = SCHED_ALL_TO_ALL,
    .summary = "blocks hop by powers of two: log2(n) rounds, n/2 blocks sent in each",
    .build = build_all_to_all,
};
