/* Swing: halving and doubling with partners that stay near on a ring, on every ring of a
 * torus of any power of two.
 *
 * In step s of a dimension a rank swaps with the one 1, -1, 3, -5, ... places away, those
 * of odd coordinate with the opposite sign: |1 - (-2)^(s + 1)| / 3 places, where halving
 * goes 2^s. Dimensions take turns. A part for each dimension to begin with and each sense
 * uses all the links.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce swing, 4 ranks, root 0: 64 messages, 4 rounds
 *     round  rank 0    rank 1    rank 2    rank 3
 *         0  2-3>1     0-1>0     2-3>3     0-1>2
 *            6-7>1     4-5>0     6-7>3     4-5>2
 *            10-11>2   10-11>3   8-9>0     8-9>1
 *            14-15>2   14-15>3   12-13>0   12-13>1
 *         1  +t0-1=    +t2-3=    +t0-1=    +t2-3=
 *            t1>2      t3>3      t0>0      t2>1
 *            +t4-5=    +t6-7=    +t4-5=    +t6-7=
 *            t5>2      t7>3      t4>0      t6>1
 *            +t8-9=    +t8-9=    +t10-11=  +t10-11=
 *            t9>1      t8>0      t11>3     t10>2
 *            +t12-13=  +t12-13=  +t14-15=  +t14-15=
 *            t13>1     t12>0     t15>3     t14>2
 *         2  +0=>2     +2=>3     +1=>0     +3=>1
 *            +4=>2     +6=>3     +5=>0     +7=>1
 *            +8=>1     +9=>0     +10=>3    +11=>2
 *            +12=>1    +13=>0    +14=>3    +15=>2
 *         3  1=        3=        0=        2=
 *            0-1>1     2-3>0     0-1>3     2-3>2
 *            5=        7=        4=        6=
 *            4-5>1     6-7>0     4-5>3     6-7>2
 *            9=        8=        11=       10=
 *            8-9>2     8-9>3     10-11>0   10-11>1
 *            13=       12=       15=       14=
 *            12-13>2   12-13>3   14-15>0   14-15>1
 *         4  2-3=      0-1=      2-3=      0-1=
 *            6-7=      4-5=      6-7=      4-5=
 *            10-11=    10-11=    8-9=      8-9=
 *            14-15=    14-15=    12-13=    12-13=
 *
 *     reduce_scatter swing, 4 ranks, root 0: 48 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  4>1     0>0     4>3     0>2
 *            12>1    8>0     12>3    8>2
 *            5>1     1>0     5>3     1>2
 *            13>1    9>0     13>3    9>2
 *            10>2    10>3    2>0     2>1
 *            14>2    14>3    6>0     6>1
 *            11>2    11>3    3>0     3>1
 *            15>2    15>3    7>0     7>1
 *         1  +t0=    +t4=    +t0=    +t4=
 *            +t8=    +t12=   +t8=    +t12=
 *            t8>2    t12>3   t0>0    t4>1
 *            +t1=    +t5=    +t1=    +t5=
 *            +t9=    +t13=   +t9=    +t13=
 *            t9>2    t13>3   t1>0    t5>1
 *            +t2=    +t2=    +t10=   +t10=
 *            +t6=    +t6=    +t14=   +t14=
 *            t6>1    t2>0    t14>3   t10>2
 *            +t3=    +t3=    +t11=   +t11=
 *            +t7=    +t7=    +t15=   +t15=
 *            t7>1    t3>0    t15>3   t11>2
 *         2  +0=     +4=     +8=     +12=
 *            +1=     +5=     +9=     +13=
 *            +2=     +6=     +10=    +14=
 *            +3=     +7=     +11=    +15=
 *
 *     all_gather swing, 4 ranks, root 0: 48 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>2    4=>3    8=>0    12=>1
 *            1=>2    5=>3    9=>0    13=>1
 *            2=>1    6=>0    10=>3   14=>2
 *            3=>1    7=>0    11=>3   15=>2
 *         1  8=      12=     0=      4=
 *            0>1     4>0     0>3     4>2
 *            8>1     12>0    8>3     12>2
 *            9=      13=     1=      5=
 *            1>1     5>0     1>3     5>2
 *            9>1     13>0    9>3     13>2
 *            6=      2=      14=     10=
 *            2>2     2>3     10>0    10>1
 *            6>2     6>3     14>0    14>1
 *            7=      3=      15=     11=
 *            3>2     3>3     11>0    11>1
 *            7>2     7>3     15>0    15>1
 *         2  4=      0=      4=      0=
 *            12=     8=      12=     8=
 *            5=      1=      5=      1=
 *            13=     9=      13=     9=
 *            10=     10=     2=      2=
 *            14=     14=     6=      6=
 *            11=     11=     3=      3=
 *            15=     15=     7=      7=
 *
 * On rings of four it is rotated halving with other labels.
 *
 * rounds   log2(n) for reduce_scatter and all_gather, 2 log2(n) for all_reduce; the
 *          blocks of a step go one by one in reduce_scatter and all_gather, as in
 *          rotated_halving.c
 * bytes    sent by a rank: (n - 1) / n of the whole vector per phase
 * limits   dimensions are powers of two; links are shared from the third step of a
 *          dimension on. Two channels per dimension; two messages of credit
 * source   De Sensi, Bonato, Saam and Hoefler, Swing: short-cutting rings for higher
 *          bandwidth allreduce, NSDI 2024
 */
#include <stdlib.h>

#include "algo/planes.h"
#include "algo/ranks.h"
#include "algo/swaps.h"
#include "algo/torus.h"

#define NAME "swing"

/* One part: the order in which dimensions take their steps, and the sense of the swing.
 */
struct swing {
    const struct sched_graph *graph;
    int32_t nsteps;
    int8_t dim[SWAPS_MAX_STEPS];
    int32_t hop[SWAPS_MAX_STEPS]; /* of even coordinates; odd ones go the other way */
};

static const char *refuse(const struct sched_args *args)
{
    struct planes planes;
    if (planes_needed(args))
        return planes_find(&planes, args, NAME);
    const struct sched_graph *g = args->graph;
    if (!g || g->nranks != args->nranks || g->per_chip != 1 || torus_nchips(g) < 2)
        return "needs a torus of one group of ranks, one per chip";
    for (int32_t k = 0; k < g->ndims; k++)
        if (g->dims[k] & (g->dims[k] - 1))
            return "needs a torus whose dimensions are powers of two";
    return NULL;
}

/* Dimensions take turns from `first` on, as long as they have steps left. Step s of a
 * dimension goes (1 - (-2)^(s + 1)) / 3 places: 1, -1, 3, -5, ... */
static void swing_init(struct swing *w, const struct sched_graph *g, int32_t first,
                       bool mirrored)
{
    int32_t taken[SCHED_MAX_DIMS] = {0}, next[SCHED_MAX_DIMS];
    for (int32_t k = 0; k < g->ndims; k++)
        next[k] = mirrored ? -1 : 1;
    *w = (struct swing){.graph = g};
    for (bool more = true; more;) {
        more = false;
        for (int32_t i = 0; i < g->ndims; i++) {
            int32_t k = (first + i) % g->ndims;
            if (1 << taken[k] >= g->dims[k])
                continue;
            w->dim[w->nsteps] = (int8_t)k;
            w->hop[w->nsteps++] = next[k];
            next[k] += (mirrored ? -1 : 1) * (taken[k] % 2 ? 1 : -1) * (2 << taken[k]);
            taken[k]++;
            more = true;
        }
    }
}

static int32_t partner_of(const struct swing *w, int32_t chip, int32_t step)
{
    int32_t dim = w->dim[step];
    bool odd = torus_coordinate(w->graph, chip, dim) % 2;
    return torus_move(w->graph, chip, dim, odd ? -w->hop[step] : w->hop[step]);
}

/* Positions, from the last step back: those who meet in later steps only are a set, whose
 * first rank names it; a step joins two of them, and its bit says which one a rank is in.
 *   name  [n] scratch */
static void place_all(const struct swing *w, int32_t n, int32_t *position, int32_t *name)
{
    for (int32_t r = 0; r < n; r++) {
        position[r] = 0;
        name[r] = r;
    }
    for (int32_t t = w->nsteps - 1; t >= 0; t--) {
        for (int32_t r = 0; r < n; r++)
            if (name[r] > name[partner_of(w, r, t)])
                position[r] |= 1 << (w->nsteps - 1 - t);
        /* The set that a rank's set is joined with does not depend on the rank, so a
         * partner's name, read after it changed, is the lower one all the same. */
        for (int32_t r = 0; r < n; r++) {
            int32_t other = name[partner_of(w, r, t)];
            name[r] = other < name[r] ? other : name[r];
        }
    }
}

static void build_part(struct build *b, const struct sched_args *args, int32_t part,
                       int32_t *scratch)
{
    const struct sched_graph *g = args->graph;
    int32_t n = args->nranks, nparts = 2 * g->ndims;
    int32_t *position = scratch, *rank_at = scratch + n;
    struct swing w;
    swing_init(&w, g, part / 2, part % 2);
    place_all(&w, n, position, rank_at);
    struct swaps s = {.rank = args->rank,
                      .channel = part,
                      .nsub = nparts,
                      .first = part,
                      .weight = 1,
                      .nsteps = w.nsteps,
                      .position = position[args->rank],
                      .rank_at = rank_at};
    for (int32_t r = 0; r < n; r++)
        rank_at[position[r]] = r;
    for (int32_t t = 0; t < w.nsteps; t++)
        s.partner[t] = partner_of(&w, args->rank, t);
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
    struct planes planes;
    int32_t n = args->nranks, nparts = 2 * args->graph->ndims;
    if (planes_needed(args)) {
        if (!planes_find(&planes, args, NAME))
            compose_build(b, args, &planes.compose);
        return;
    }
    int32_t *scratch = malloc(2 * (size_t)n * sizeof *scratch);
    if (!scratch) {
        build_abort(b, error_set(trncclSystemError, "no memory for %d positions", n));
        return;
    }
    bool all = args->coll == SCHED_ALL_REDUCE, in = args->coll == SCHED_REDUCE_SCATTER;
    int32_t nsub = all ? n * nparts : nparts;
    int32_t tmp = n < 4 ? 0 : all ? nsub : in ? n * nsub : 0;
    build_shape(b, nsub, tmp, in ? SCHED_IN : SCHED_OUT);
    build_credits(b, 2);
    for (int32_t part = 0; part < nparts; part++)
        build_part(b, args, part, scratch);
    free(scratch);
}

const struct algo algo_all_gather_swing = {
    .name = NAME,
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary = "doubling with partners near on every ring of a torus: log2(n) rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_reduce_swing = {
    .name = NAME,
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary = "halving, doubling with partners near on a torus: 2 log2(n) rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_scatter_swing = {
    .name = NAME,
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "halving with partners near on every ring of a torus: log2(n) rounds",
    .build = build,
    .refuse = refuse,
};
