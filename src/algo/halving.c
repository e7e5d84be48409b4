/* Recursive halving and doubling: partners at every distance of a hypercube swap halves.
 *
 * Halving reduces: a rank sends the half of its run of chunks that its partner will keep
 * and sums the other half, until one chunk is left. Doubling gathers: partners swap what
 * they have, until all is there. All-reduce does both (Rabenseifner).
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce halving_doubling, 4 ranks, root 0: 16 messages, 4 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3>1   0-1>0   2-3>3   0-1>2
 *         1  +t0-1=  +t2-3=  +t0-1=  +t2-3=
 *            t1>2    t3>3    t0>0    t2>1
 *         2  +0=>2   +2=>3   +1=>0   +3=>1
 *         3  1=      3=      0=      2=
 *            0-1>1   2-3>0   0-1>3   2-3>2
 *         4  2-3=    0-1=    2-3=    0-1=
 *
 *     reduce_scatter recursive_halving, 4 ranks, root 0: 8 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3>2   2-3>3   0-1>0   0-1>1
 *         1  +t0-1=  +t0-1=  +t2-3=  +t2-3=
 *            t1>1    t0>0    t3>3    t2>2
 *         2  +0=     +1=     +2=     +3=
 *
 *     all_gather recursive_doubling, 4 ranks, root 0: 8 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>1    1=>0    2=>3    3=>2
 *         1  1=      0=      3=      2=
 *            0-1>2   0-1>3   2-3>0   2-3>1
 *         2  2-3=    2-3=    0-1=    0-1=
 *
 * rounds   log2(n) per phase; if n is not a power of two, the ranks beyond the largest
 *          one hand their part to a neighbour, who stands for both: at most two more
 * bytes    sent by a rank: (n - 1) / n of the whole vector per phase, the least
 *          possible, if n is a power of two; else up to 3 vectors in all_reduce, 2.5 in
 *          the others, for a rank that stands for another one
 * limits   the farthest partner is n / 2 ranks away. all_reduce swaps the largest half
 *          with the nearest rank; the other two cannot, as the blocks of a half would be
 *          scattered. Two messages of credit where two follow each other to one rank: in
 *          all_reduce a last sum is also a first share; in reduce_scatter two blocks end
 *          at one rank if n is not a power of two
 * source   Rabenseifner, Optimization of collective reduction operations, ICCS 2004;
 *          Thakur, Rabenseifner and Gropp, Optimization of collective communication
 *          operations in MPICH, Int. J. High Perform. Comput. Appl. 19 (2005)
 */
#include "algo/algo.h"
#include "algo/ranks.h"

struct cube {
    struct ranks_fold fold;
    int32_t stages;
    int32_t rank, v; /* our rank, and our virtual number if we are in the core */
    bool waits, doubles;
    bool all_reduce; /* a chunk per virtual rank, nearest first; else a block per rank */
};

struct run {
    int32_t first, n;
};

static struct cube cube_of(const struct sched_args *args)
{
    struct cube c = {.fold = ranks_fold_of(args->nranks),
                     .rank = args->rank,
                     .all_reduce = args->coll == SCHED_ALL_REDUCE};
    c.stages = ranks_log2_floor(c.fold.core);
    c.waits = ranks_fold_waits(c.fold, c.rank);
    c.doubles = ranks_fold_doubles(c.fold, c.rank);
    /* Who waits looks at the schedule of the rank that stands for it. */
    c.v = ranks_fold_virtual(c.fold, c.rank + c.waits);
    return c;
}

/* The bit in which partners differ at a stage of halving; doubling goes backwards. */
static int32_t bit_of(const struct cube *c, int32_t stage)
{
    return c->all_reduce ? 1 << stage : c->fold.core >> (stage + 1);
}

static int32_t partner_of(const struct cube *c, int32_t stage)
{
    return ranks_fold_rank(c->fold, c->v ^ bit_of(c, stage));
}

/* The chunks that virtual rank v is left with after so many stages of halving. */
static struct run run_of(const struct cube *c, int32_t v, int32_t stages)
{
    int32_t size = c->fold.core, lo = 0;
    for (int32_t s = 0; s < stages; s++) {
        size /= 2;
        if (v & bit_of(c, s))
            lo += size;
    }
    if (c->all_reduce)
        return (struct run){lo, size};
    int32_t first = ranks_fold_first(c->fold, lo);
    return (struct run){first, ranks_fold_first(c->fold, lo + size) - first};
}

/* Lower ranks stand for more blocks: the lower half is the longest run of any message. */
static int32_t longest_run(const struct cube *c)
{
    return run_of(c, 0, 1).n;
}

static struct run own_run(const struct cube *c, int32_t stages)
{
    return run_of(c, c->v, stages);
}

static struct run partner_run(const struct cube *c, int32_t stage)
{
    return run_of(c, c->v ^ bit_of(c, stage), stage + 1);
}

/* Opens the step that adds what `peer` sends to a run of ours; lower ranks come first. */
static void combine(struct build *b, int32_t peer, bool peer_first, enum sched_space mine,
                    struct run run)
{
    build_step(b, 0);
    if (peer_first)
        build_from(b, peer);
    build_local_in(b, mine, run.first);
    if (!peer_first)
        build_from(b, peer);
    build_span(b, mine, run.first, run.n);
}

/* The rank that waits sends first what its stand-in has to pass on in the first stage. */
static void fold_in(struct build *b, const struct cube *c)
{
    struct run away = partner_run(c, 0), keep = own_run(c, 1);
    if (c->waits) {
        build_send(b, 0, SCHED_IN, away.first, away.n, c->rank + 1);
        build_send(b, 0, SCHED_IN, keep.first, keep.n, c->rank + 1);
    } else if (c->doubles) {
        combine(b, c->rank - 1, true, SCHED_IN, away);
        build_to(b, partner_of(c, 0));
        combine(b, c->rank - 1, true, SCHED_IN, keep);
        build_local_out(b, SCHED_TMP, keep.first);
    }
}

/* The last sum of a run of chunks: result number i of this rank. */
static void finish(struct build *b, const struct cube *c, struct run run, int32_t i)
{
    int32_t last = c->stages - 1;
    build_final(b);
    if (c->all_reduce) {
        build_local_out(b, SCHED_OUT, run.first);
        build_to(b, partner_of(c, last));
        if (c->doubles)
            build_to(b, c->rank - 1);
    } else if (c->doubles && i == 0) {
        build_to(b, c->rank - 1);
    } else {
        build_local_out(b, SCHED_OUT, 0);
    }
}

/* The i-th message of a stage's run. In the last stage a block travels by itself, because
 * two of one run go to different ranks. */
static bool piece_of(struct run run, bool last, int32_t i, struct run *piece)
{
    *piece = last ? (struct run){run.first + i, 1} : run;
    return i < (last ? run.n : 1);
}

static void halve(struct build *b, const struct cube *c)
{
    for (int32_t stage = 0; stage < c->stages; stage++) {
        struct run away = partner_run(c, stage), keep = own_run(c, stage + 1), piece;
        int32_t peer = partner_of(c, stage);
        bool last = stage == c->stages - 1;
        bool sent = stage == 0 && c->doubles; /* by fold_in */
        enum sched_space mine = stage == 0 && !c->doubles ? SCHED_IN : SCHED_TMP;
        for (int32_t i = 0; !sent && piece_of(away, last, i, &piece); i++)
            build_send(b, 0, mine, piece.first, piece.n, peer);
        for (int32_t i = 0; piece_of(keep, last, i, &piece); i++) {
            combine(b, peer, c->v & bit_of(c, stage), mine, piece);
            if (last)
                finish(b, c, piece, i);
            else
                build_local_out(b, SCHED_TMP, piece.first);
        }
    }
}

/* From the own run in OUT to all of it. `sent`: the first swap's send has been done. */
static void twice(struct build *b, const struct cube *c, bool sent)
{
    for (int32_t stage = c->stages - 1; stage >= 0; stage--) {
        struct run mine = own_run(c, stage + 1), theirs = partner_run(c, stage);
        if (c->waits) {
            build_recv(b, 0, c->rank + 1, SCHED_OUT, theirs.first, theirs.n);
            continue;
        }
        if (!sent)
            build_send(b, 0, SCHED_OUT, mine.first, mine.n, partner_of(c, stage));
        sent = false;
        build_recv(b, 0, partner_of(c, stage), SCHED_OUT, theirs.first, theirs.n);
        if (c->doubles)
            build_to(b, c->rank - 1);
    }
}

static void build_all_reduce(struct build *b, const struct sched_args *args)
{
    struct cube c = cube_of(args);
    build_shape(b, c.fold.core, args->nranks > 2 ? c.fold.core : 0, SCHED_OUT);
    build_credits(b, 2);
    fold_in(b, &c);
    if (c.waits)
        build_recv(b, 0, c.rank + 1, SCHED_OUT, own_run(&c, c.stages).first, 1);
    else
        halve(b, &c);
    twice(b, &c, true);
}

static void build_reduce_scatter(struct build *b, const struct sched_args *args)
{
    struct cube c = cube_of(args);
    build_shape(b, 1, args->nranks > 2 ? args->nranks : 0, SCHED_IN);
    build_run(b, longest_run(&c));
    build_credits(b, c.fold.extra > 0 ? 2 : 1);
    fold_in(b, &c);
    if (c.waits)
        build_recv(b, 0, c.rank + 1, SCHED_OUT, 0, 1);
    else
        halve(b, &c);
}

static void build_all_gather(struct build *b, const struct sched_args *args)
{
    struct cube c = cube_of(args);
    build_shape(b, 1, 0, SCHED_OUT);
    build_run(b, longest_run(&c));
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, c.rank, 1);
    if (c.waits) {
        build_to(b, c.rank + 1);
        build_recv(b, 0, c.rank + 1, SCHED_OUT, c.rank + 1, 1);
    } else if (c.doubles) {
        build_to(b, c.rank - 1);
        build_recv(b, 0, c.rank - 1, SCHED_OUT, c.rank - 1, 1);
    } else {
        build_to(b, partner_of(&c, c.stages - 1));
    }
    twice(b, &c, !c.doubles);
}

const struct algo algo_all_reduce_halving_doubling = {
    .name = "halving_doubling",
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary =
        "recursive halving, then doubling: 2 log2(n) rounds, 2(n-1)/n of the bytes",
    .build = build_all_reduce,
};
const struct algo algo_all_gather_recursive_doubling = {
    .name = "recursive_doubling",
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary =
        "swap all blocks so far at distance 1, 2, 4, ...: log2(n) rounds, n-1 blocks",
    .build = build_all_gather,
};
const struct algo algo_reduce_scatter_recursive_halving = {
    .name = "recursive_halving",
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "swap halves at distance n/2, n/4, ...: log2(n) rounds, n-1 blocks sent",
    .build = build_reduce_scatter,
};
