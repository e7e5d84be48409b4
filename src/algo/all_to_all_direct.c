/* All-to-all, direct: every block goes straight to its rank.
 *
 * In stage i a rank exchanges blocks with the two ranks that are i places away, behind
 * and before it: both messages of a pair of ranks are in one stage, and every rank sends
 * to and receives from two others at a time, so nobody is fallen upon by all.
 *
 *     all_to_all direct, 4 ranks, root 0: 12 messages, 2 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  1>1     2>2     3>3     0>0
 *            3>3     0>0     1>1     2>2
 *            0=      1=      2=      3=
 *         1  1=      0=      1=      0=
 *            3=      2=      3=      2=
 *            2>2     3>3     0>0     1>1
 *         2  2=      3=      0=      1=
 *
 * In place, the block from a rank replaces the block for it. Of two ranks that exchange,
 * the lower one holds back what it receives until its own block has left; the higher one
 * puts its own block aside first, or each would wait for the other for ever. Ranks
 * receive from lower ones first: that never has to wait, so what waits for it gets its
 * turn.
 *
 * rounds   1 of n - 1 messages per rank, in n / 2 stages
 * bytes    sent by a rank: n - 1 blocks, the least possible; in place n / 2 blocks on
 *          average are copied
 * limits   n (n - 1) connections; cost per message binds for short blocks. In place
 *          blocks of one size only
 * source   Thakur, Rabenseifner and Gropp, Optimization of collective communication
 *          operations in MPICH, Int. J. High Perform. Comput. Appl. 19 (2005), for
 *          exchange in pairs
 */
#include "algo/algo.h"
#include "algo/ranks.h"

/* Scratch: a place for what a rank sends to either side in one stage. */
enum { ASIDE = 2 };

static void send_block(struct build *b, const struct sched_args *args, int32_t peer,
                       int32_t side)
{
    if (args->inplace && peer < args->rank) {
        build_copy(b, 0, SCHED_IN, peer, SCHED_TMP, side, 1);
        build_send(b, 0, SCHED_TMP, side, 1, peer);
    } else {
        build_send(b, 0, SCHED_IN, peer, 1, peer);
    }
}

static void build_all_to_all(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, r = args->rank;
    build_shape(b, 1, args->inplace ? ASIDE : 0, SCHED_IN);
    for (int32_t i = 1; i <= n / 2; i++) {
        int32_t behind = ranks_mod(r + i, n), before = ranks_mod(r - i, n);
        int32_t low = behind < before ? behind : before;
        int32_t high = behind < before ? before : behind;
        send_block(b, args, behind, 0);
        if (before != behind)
            send_block(b, args, before, 1);
        if (i == 1) /* while the first messages travel */
            build_copy(b, 0, SCHED_IN, r, SCHED_OUT, r, 1);
        build_recv(b, 0, low, SCHED_OUT, low, 1);
        if (high != low)
            build_recv(b, 0, high, SCHED_OUT, high, 1);
    }
}

const struct algo algo_all_to_all_direct = {
    .name = "direct",
    .coll = SCHED_ALL_TO_ALL,
    .flags = ALGO_V,
    .summary = "each block straight to its rank: n/2 stages, n-1 blocks sent per rank",
    .build = build_all_to_all,
};
