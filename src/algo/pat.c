/* PAT, parallel aggregated trees: Bruck with its rounds reversed, so that much data goes
 * near and little goes far, in messages of a bounded number of blocks.
 *
 * Every block is gathered along a binomial tree of its own: offset i (the rank i above
 * the block's) gets it from offset i without its lowest bit, farthest first. All ranks
 * work on all blocks at once. Blocks that take the same hop form one message, up to
 * AGGREGATE of them: first a logarithmic phase in which messages grow to that size, then
 * a linear one in which each received message is passed on to its whole subtree at once,
 * so that one message's worth of TMP is enough. Reducing is the same backwards.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_gather pat, 4 ranks, root 0: 8 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  t0=>2   t0=>3   t0=>0   t0=>1
 *         1  2=      3=      0=      1=
 *            t0-1>1  t0-1>2  t0-1>3  t0-1>0
 *         2  t2-3=   t2-3=   t2-3=   t2-3=
 *            3=      0=      1=      2=
 *            1=      2=      3=      0=
 *
 *     reduce_scatter pat, 4 ranks, root 0: 8 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  t2=     t2=     t2=     t2=
 *            t3=     t3=     t3=     t3=
 *            t2-3>3  t2-3>0  t2-3>1  t2-3>2
 *            t0=     t0=     t0=     t0=
 *            t1=     t1=     t1=     t1=
 *         1  +t0-1=  +t0-1=  +t0-1=  +t0-1=
 *            t1>2    t1>3    t1>0    t1>1
 *         2  +0=     +1=     +2=     +3=
 *
 * rounds   ceil(log2 n) up to AGGREGATE ranks; else log2(AGGREGATE) and between
 *          n / (2 AGGREGATE) and n / AGGREGATE. A block takes ceil(log2 n) hops at most
 * bytes    sent by a rank: n - 1 blocks, the least possible
 * limits   not for blocks of different sizes, as they are packed in TMP
 * source   Jeaugey, PAT: a new algorithm for all-gather and reduce-scatter operations at
 *          scale, arXiv:2506.20252 (2025); there the number of blocks to aggregate
 *          follows from the size of the buffers, here it is fixed
 */
#include "algo/algo.h"
#include "algo/ranks.h"

#define AGGREGATE 8  /* blocks in a message, at most */
#define MAX_LEVELS 3 /* log2(AGGREGATE) */

/* Offsets that are multiples of `stride` (the fewest that fit in a message) are the heads
 * of linear trees 0..stride-1 wide. TMP holds a block per head. The order of the heads in
 * TMP is chosen so that in the logarithmic phase every message is one run of TMP, for any
 * n: a level sends the heads so far, without the greatest if its image would be n or
 * more; so the greatest is kept at the end. */
struct plan {
    int32_t n, rank;
    int32_t stride, nheads, nlevels;
    int32_t head[AGGREGATE]; /* offsets in TMP order, the greatest last */
    struct level {
        int32_t distance; /* of the hop, falling: n > distance >= stride */
        int32_t from, to; /* TMP: the run that is sent and the run that is received */
        int32_t count;
    } level[MAX_LEVELS];
};

static void add_level(struct plan *p, int32_t distance)
{
    int32_t held = p->nheads;
    bool partial = p->head[held - 1] + distance >= p->n;
    int32_t count = held - partial, image[AGGREGATE];
    for (int32_t i = 0; i < count; i++)
        image[i] = p->head[i] + distance;
    /* If the greatest is among those held, the new ones go before them. */
    int32_t moved = partial ? count : 0;
    for (int32_t i = held - 1; i >= 0; i--)
        p->head[i + moved] = p->head[i];
    for (int32_t l = 0; l < p->nlevels; l++) {
        p->level[l].from += moved;
        p->level[l].to += moved;
    }
    struct level level = {distance, moved, partial ? 0 : held, count};
    for (int32_t i = 0; i < count; i++)
        p->head[level.to + i] = image[i];
    p->level[p->nlevels++] = level;
    p->nheads = held + count;
}

static struct plan plan_of(const struct sched_args *args)
{
    struct plan p = {.n = args->nranks, .rank = args->rank, .stride = 1, .nheads = 1};
    while ((p.n - 1) / p.stride + 1 > AGGREGATE)
        p.stride *= 2;
    for (int32_t d = 1 << (ranks_log2_ceil(p.n) - 1); d >= p.stride; d /= 2)
        add_level(&p, d);
    return p;
}

/* The block that this rank handles at an offset. */
static int32_t block_at(const struct plan *p, int32_t offset)
{
    return ranks_mod(p->rank - offset, p->n);
}

static int32_t above(const struct plan *p, int32_t distance)
{
    return ranks_mod(p->rank + distance, p->n);
}

static int32_t below(const struct plan *p, int32_t distance)
{
    return ranks_mod(p->rank - distance, p->n);
}

/* How many heads have an offset `shift` above them: all, or all but the last. */
static int32_t heads_at(const struct plan *p, int32_t shift)
{
    return p->nheads - (p->head[p->nheads - 1] + shift >= p->n);
}

/* The children of place `shift` of the linear trees: shift + 1, + 2, + 4, ... below this.
 * Place 0 has as many as there are. */
static int32_t reach_of(const struct plan *p, int32_t shift)
{
    return shift == 0 ? p->stride : shift & -shift;
}

static bool any_child_takes(const struct plan *p, int32_t shift, int32_t count)
{
    for (int32_t d = 1; d < reach_of(p, shift); d *= 2)
        if (heads_at(p, shift + d) == count)
            return true;
    return false;
}

/* ---- Gathering ----------------------------------------------------------------------
 */

/* Copies what lies in TMP to where it belongs, but for what came there with the message.
 */
static void unpack(struct build *b, const struct plan *p, int32_t count, int32_t shift)
{
    for (int32_t i = 0; i < count; i++) {
        int32_t offset = p->head[i] + shift;
        if (offset > 0 && offset != p->level[0].distance)
            build_copy(b, 0, SCHED_TMP, i, SCHED_OUT, block_at(p, offset), 1);
    }
}

/* Outputs of the open step, which has `count` blocks: the children that take all of them.
 * The others, which take one less, then get a message of their own. */
static void pass_up(struct build *b, const struct plan *p, int32_t shift, int32_t count)
{
    for (int32_t d = 1; d < reach_of(p, shift); d *= 2)
        if (heads_at(p, shift + d) == count)
            build_to(b, above(p, d));
    if (!any_child_takes(p, shift, count - 1))
        return;
    build_step(b, 0);
    build_local_in(b, SCHED_TMP, 0);
    build_span(b, SCHED_TMP, 0, count - 1);
    for (int32_t d = 1; d < reach_of(p, shift); d *= 2)
        if (heads_at(p, shift + d) == count - 1)
            build_to(b, above(p, d));
}

static void gather_level(struct build *b, const struct plan *p, int32_t i)
{
    const struct level *l = &p->level[i];
    if (i == 0) {
        build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, p->rank, 1);
        build_local_out(b, SCHED_TMP, l->from);
        build_to(b, above(p, l->distance));
        build_recv(b, 0, below(p, l->distance), SCHED_TMP, l->to, 1);
        build_local_out(b, SCHED_OUT, block_at(p, l->distance));
    } else {
        build_send(b, 0, SCHED_TMP, l->from, l->count, above(p, l->distance));
        build_recv(b, 0, below(p, l->distance), SCHED_TMP, l->to, l->count);
    }
}

static void build_all_gather(struct build *b, const struct sched_args *args)
{
    struct plan p = plan_of(args);
    build_shape(b, 1, p.nheads, SCHED_OUT);
    for (int32_t i = 0; i < p.nlevels; i++)
        gather_level(b, &p, i);
    if (any_child_takes(&p, 0, p.nheads)) {
        build_step(b, 0);
        build_local_in(b, SCHED_TMP, 0);
        build_span(b, SCHED_TMP, 0, p.nheads);
    }
    pass_up(b, &p, 0, p.nheads);
    unpack(b, &p, p.nheads, 0);
    /* Rising shifts: who passes a shift on has received it before, on every rank. */
    for (int32_t shift = 1; shift < p.stride; shift++) {
        int32_t count = heads_at(&p, shift);
        build_recv(b, 0, below(&p, shift & -shift), SCHED_TMP, 0, count);
        pass_up(b, &p, shift, count);
        unpack(b, &p, count, shift);
    }
}

/* ---- Reducing: the same backwards ---------------------------------------------------
 */

static void pack(struct build *b, const struct plan *p, int32_t first, int32_t count,
                 int32_t shift)
{
    for (int32_t i = first; i < first + count; i++)
        build_copy(b, 0, SCHED_IN, block_at(p, p->head[i] + shift), SCHED_TMP, i, 1);
}

/* Opens the step that adds to TMP what the children send who have `count` blocks. */
static void add_children(struct build *b, const struct plan *p, int32_t shift,
                         int32_t count)
{
    build_step(b, 0);
    build_local_in(b, SCHED_TMP, 0);
    for (int32_t d = 1; d < reach_of(p, shift); d *= 2)
        if (heads_at(p, shift + d) == count)
            build_from(b, above(p, d));
    build_span(b, SCHED_TMP, 0, count);
}

/* Leaves in TMP, or sends below, the sums of all `count` blocks over a subtree. */
static void sum_subtree(struct build *b, const struct plan *p, int32_t shift)
{
    int32_t count = heads_at(p, shift);
    if (any_child_takes(p, shift, count - 1)) {
        add_children(b, p, shift, count - 1);
        build_local_out(b, SCHED_TMP, 0);
    }
    if (shift > 0) {
        add_children(b, p, shift, count);
        build_to(b, below(p, shift & -shift));
    } else if (any_child_takes(p, shift, count)) {
        add_children(b, p, shift, count);
        build_local_out(b, SCHED_TMP, 0);
    }
}

static void reduce_level(struct build *b, const struct plan *p, int32_t i)
{
    const struct level *l = &p->level[i];
    bool packed = i < p->nlevels - 1 || p->stride > 1;
    if (!packed)
        pack(b, p, l->to, l->count, 0);
    build_send(b, 0, SCHED_TMP, l->to, l->count, below(p, l->distance));
    if (!packed)
        pack(b, p, l->to ? 0 : l->count, p->nheads - l->count, 0);
    build_step(b, 0);
    build_from(b, above(p, l->distance));
    build_local_in(b, SCHED_TMP, l->from);
    build_span(b, SCHED_TMP, l->from, l->count);
    if (i > 0) {
        build_local_out(b, SCHED_TMP, l->from);
    } else {
        build_local_out(b, SCHED_OUT, 0);
        build_final(b);
    }
}

static void build_reduce_scatter(struct build *b, const struct sched_args *args)
{
    struct plan p = plan_of(args);
    build_shape(b, 1, p.nheads, SCHED_IN);
    for (int32_t shift = p.stride - 1; shift > 0; shift--) {
        pack(b, &p, 0, heads_at(&p, shift), shift);
        sum_subtree(b, &p, shift);
    }
    if (p.stride > 1) {
        pack(b, &p, 0, p.nheads, 0);
        sum_subtree(b, &p, 0);
    }
    for (int32_t i = p.nlevels - 1; i >= 0; i--)
        reduce_level(b, &p, i);
}

const struct algo algo_all_gather_pat = {
    .name = "pat",
    .coll = SCHED_ALL_GATHER,
    .summary = "a tree per block, farthest hop first, hops in common: log2(n) deep",
    .build = build_all_gather,
};
const struct algo algo_reduce_scatter_pat = {
    .name = "pat",
    .coll = SCHED_REDUCE_SCATTER,
    .summary = "a tree per block, nearest hop first, hops in common: log2(n) deep",
    .build = build_reduce_scatter,
};
