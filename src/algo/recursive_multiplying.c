/* Recursive multiplying: recursive doubling with larger steps. Ranks are numbered in a
 * mixed radix; in round k the ranks that differ in digit k only swap their sums, all at
 * once.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce recursive_multiplying, 4 ranks, root 0: 8 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0>1     0>0     0>3     0>2
 *         1  +t0=>2  +t0=>3  +t0=>0  +t0=>1
 *         2  +0=     +0=     +0=     +0=
 *
 * Sums always cover an aligned run of ranks and are combined in order of the digit: all
 * ranks evaluate the same expression, with the contributions in rank order.
 *
 * rounds   one per radix: 2 for 4 to 64 ranks, log8(n) beyond; 2 more if no product of
 *          radices up to 8 equals n: then the ranks beyond the largest product hand
 *          their contribution to a neighbour and wait for the result
 * bytes    sent by a rank: the sum of (radix - 1) vectors
 * limits   for small vectors where ranks outnumber cores: a round costs a turn of every
 *          rank on its core, so fewer rounds pay for more messages
 * source   Ruefenacht, Bull and Booth, Generalisation of recursive doubling for
 *          AllReduce, Parallel Computing 69 (2017)
 */
#include "algo/algo.h"
#include "algo/ranks.h"

#define MAX_RADIX 8
#define MAX_STAGES 6 /* 8^6 ranks and more */

struct radices {
    int32_t nstages, product, sum;
    int32_t radix[MAX_STAGES];
};

/* Tries all radices for the stages from `stage` on, each at most the one before; keeps
 * the largest product that does not exceed nranks, of those the smallest sum. */
static void radices_search(int32_t nranks, struct radices *r, int32_t stage,
                           struct radices *best)
{
    if (stage == r->nstages) {
        if (r->product > best->product ||
            (r->product == best->product && r->sum < best->sum))
            *best = *r;
        return;
    }
    int32_t most = stage ? r->radix[stage - 1] : MAX_RADIX;
    for (int32_t k = 2; k <= most && r->product <= nranks / k; k++) {
        struct radices next = *r;
        next.radix[stage] = k;
        next.product *= k;
        next.sum += k;
        radices_search(nranks, &next, stage + 1, best);
    }
}

static struct radices radices_of(int32_t nranks)
{
    struct radices start = {.nstages = 1, .product = 1}, best = {.product = 0};
    for (int64_t reach = MAX_RADIX; nranks > 3 && (reach < nranks || start.nstages < 2);
         reach *= MAX_RADIX)
        start.nstages++;
    radices_search(nranks, &start, 0, &best);
    return best;
}

/* The ranks whose number differs from virtual rank v in one digit only. */
struct digit {
    int32_t radix, stride, mine, first; /* first: v with that digit 0 */
};

static struct digit digit_of(const struct radices *r, int32_t v, int32_t stage)
{
    int32_t stride = 1;
    for (int32_t i = 0; i < stage; i++)
        stride *= r->radix[i];
    int32_t mine = v / stride % r->radix[stage];
    return (struct digit){r->radix[stage], stride, mine, v - mine * stride};
}

/* Outputs of the open step: the other ranks of the stage, nearest above first. */
static void send_to_others(struct build *b, struct ranks_fold f, struct digit d)
{
    for (int32_t i = 1; i < d.radix; i++)
        build_to(b, ranks_fold_rank(f, d.first + (d.mine + i) % d.radix * d.stride));
}

/* Inputs of the open step: everybody's sum of the stage, in order of the digit. */
static void take_in_order(struct build *b, struct ranks_fold f, struct digit d,
                          enum sched_space mine)
{
    for (int32_t i = 0; i < d.radix; i++) {
        if (i == d.mine)
            build_local_in(b, mine, 0);
        else
            build_from(b, ranks_fold_rank(f, d.first + i * d.stride));
    }
    build_span(b, mine, 0, 1);
}

static void wait_outside(struct build *b, int32_t stand_in)
{
    build_send(b, 0, SCHED_IN, 0, 1, stand_in);
    build_recv(b, 0, stand_in, SCHED_OUT, 0, 1);
}

static void build_all_reduce(struct build *b, const struct sched_args *args)
{
    struct radices r = radices_of(args->nranks);
    struct ranks_fold f = {.core = r.product, .extra = args->nranks - r.product};
    int32_t rank = args->rank;
    /* With one round in place, ranks would wait for each other to give back IN, which the
     * sum overwrites: it goes to scratch first. */
    bool detour = r.nstages == 1 && args->inplace;
    build_shape(b, 1, 1, SCHED_OUT);
    if (ranks_fold_waits(f, rank)) {
        wait_outside(b, rank + 1);
        return;
    }
    int32_t v = ranks_fold_virtual(f, rank);
    bool doubles = ranks_fold_doubles(f, rank);
    build_step(b, 0);
    if (doubles)
        build_from(b, rank - 1);
    build_local_in(b, SCHED_IN, 0);
    if (doubles)
        build_local_out(b, SCHED_TMP, 0);
    send_to_others(b, f, digit_of(&r, v, 0));
    build_span(b, SCHED_IN, 0, 1);
    for (int32_t stage = 0; stage < r.nstages; stage++) {
        build_step(b, 0);
        take_in_order(b, f, digit_of(&r, v, stage),
                      stage == 0 && !doubles ? SCHED_IN : SCHED_TMP);
        if (stage + 1 < r.nstages) {
            build_local_out(b, SCHED_TMP, 0);
            send_to_others(b, f, digit_of(&r, v, stage + 1));
        } else {
            build_local_out(b, detour ? SCHED_TMP : SCHED_OUT, 0);
            if (doubles)
                build_to(b, rank - 1);
            build_final(b);
        }
    }
    if (detour)
        build_copy(b, 0, SCHED_TMP, 0, SCHED_OUT, 0, 1);
}

const struct algo algo_all_reduce_recursive_multiplying = {
    .name = "recursive_multiplying",
    .coll = SCHED_ALL_REDUCE,
    .summary = "swap whole sums in groups of up to 8: two rounds for 4 to 64 ranks",
    .build = build_all_reduce,
};
