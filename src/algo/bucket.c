/* Bucket: a ring along one dimension of a torus after the other, for several parts at
 * once, each of which begins with another dimension.
 *
 * A part is scattered and summed along its first dimension, what is left along the next,
 * and so on; then gathered in the opposite order. A part for each dimension to begin with
 * and each direction of the rings uses all the links.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce bucket, 4 ranks, root 0: 64 messages, 4 rounds
 *     round  rank 0   rank 1   rank 2   rank 3
 *         0  2-3>1    0-1>0    2-3>3    0-1>2
 *            6-7>1    4-5>0    6-7>3    4-5>2
 *            10-11>2  10-11>3  8-9>0    8-9>1
 *            14-15>2  14-15>3  12-13>0  12-13>1
 *         1  +0-1=    +2-3=    +0-1=    +2-3=
 *            1>2      3>3      0>0      2>1
 *            +4-5=    +6-7=    +4-5=    +6-7=
 *            5>2      7>3      4>0      6>1
 *            +8-9=    +8-9=    +10-11=  +10-11=
 *            9>1      8>0      11>3     10>2
 *            +12-13=  +12-13=  +14-15=  +14-15=
 *            13>1     12>0     15>3     14>2
 *         2  +0=      +2=      +1=      +3=
 *            0>2      2>3      1>0      3>1
 *            +4=      +6=      +5=      +7=
 *            4>2      6>3      5>0      7>1
 *            +8=      +9=      +10=     +11=
 *            8>1      9>0      10>3     11>2
 *            +12=     +13=     +14=     +15=
 *            12>1     13>0     14>3     15>2
 *         3  1=       3=       0=       2=
 *            0-1>1    2-3>0    0-1>3    2-3>2
 *            5=       7=       4=       6=
 *            4-5>1    6-7>0    4-5>3    6-7>2
 *            9=       8=       11=      10=
 *            8-9>2    8-9>3    10-11>0  10-11>1
 *            13=      12=      15=      14=
 *            12-13>2  12-13>3  14-15>0  14-15>1
 *         4  2-3=     0-1=     2-3=     0-1=
 *            6-7=     4-5=     6-7=     4-5=
 *            10-11=   10-11=   8-9=     8-9=
 *            14-15=   14-15=   12-13=   12-13=
 *
 * rounds   twice the sum of (k - 1) over the dimensions' sizes k
 * bytes    sent by a rank: 2 (n - 1) / n of the vector, the least possible; the links are
 *          loaded alike if the dimensions are equal
 * limits   one group of ranks on a torus, of any sizes. Two channels per dimension; two
 *          messages of credit
 * source   Jain and Sabharwal, Optimal bucket algorithms for large MPI collectives on
 *          torus interconnects, ICS 2010
 */
#include <stdlib.h>

#include "algo/embed.h"
#include "algo/planes.h"
#include "algo/ranks.h"
#include "algo/torus.h"

#define NAME "bucket"

static const char *refuse(const struct sched_args *args)
{
    struct planes planes;
    if (planes_needed(args))
        return planes_find(&planes, args, NAME);
    const struct sched_graph *g = args->graph;
    if (!g || g->nranks != args->nranks || g->per_chip != 1 || torus_nchips(g) < 2)
        return "needs a torus of one group of ranks, one per chip";
    return NULL;
}

/* One part on one channel: `nchunks` chunks that begin at `first` are ours so far. */
struct bucket {
    struct build *b;
    const struct sched_args *args;
    int32_t channel;
    bool back; /* rings run towards lower coordinates */
    int32_t first, nchunks;
    int32_t *line; /* scratch: ranks of a line in ring order */
};

/* Our line along a dimension, in the order of the ring; returns our place. */
static int32_t line_of(const struct bucket *w, int32_t dim)
{
    const struct sched_graph *g = w->args->graph;
    int32_t size = g->dims[dim], mine = torus_coordinate(g, w->args->rank, dim);
    for (int32_t i = 0; i < size; i++)
        w->line[i] = torus_move(g, w->args->rank, dim, (w->back ? -i : i) - mine);
    return w->back ? ranks_mod(-mine, size) : mine;
}

/* One phase: a ring along a dimension among whose ranks `nchunks` chunks from `first` on
 * are divided. */
static void run_ring(const struct bucket *w, enum sched_coll coll, int32_t dim,
                     enum sched_space from, bool final)
{
    int32_t size = w->args->graph->dims[dim], width = w->nchunks / size;
    bool reduces = coll == SCHED_REDUCE_SCATTER;
    struct sched_args ring = {.coll = coll,
                              .nranks = size,
                              .rank = line_of(w, dim),
                              .inplace = from == SCHED_OUT || w->args->inplace};
    struct sched *part = compose_part(w->b, algo_find(coll, "ring"), &ring);
    if (!part)
        return;
    int32_t mine = w->first + ring.rank * width;
    struct embed e = {
        .ranks = w->line,
        .in = {.space = from, .first = reduces ? w->first : mine, .stride = width},
        .out = {.space = SCHED_OUT, .first = reduces ? mine : w->first, .stride = width},
        .width = width,
        .tmp_repeat = 1,
        .channel = w->channel,
        .final = final,
        .after = {-1, -1},
    };
    embed_emit(w->b, part, &e);
    sched_destroy(part);
}

/* Dimensions from `start` on, those of one chip left out. */
static int32_t order_dims(const struct sched_graph *g, int32_t start, int32_t *dims)
{
    int32_t n = 0;
    for (int32_t i = 0; i < g->ndims; i++)
        if (g->dims[(start + i) % g->ndims] > 1)
            dims[n++] = (start + i) % g->ndims;
    return n;
}

static void build_part(struct bucket *w, int32_t start)
{
    const struct sched_graph *g = w->args->graph;
    int32_t dims[SCHED_MAX_DIMS], ndims = order_dims(g, start, dims);
    int32_t firsts[SCHED_MAX_DIMS];
    for (int32_t i = 0; i < ndims; i++) {
        run_ring(w, SCHED_REDUCE_SCATTER, dims[i], i == 0 ? SCHED_IN : SCHED_OUT,
                 i == ndims - 1);
        firsts[i] = w->first;
        w->nchunks /= g->dims[dims[i]];
        w->first += line_of(w, dims[i]) * w->nchunks;
    }
    for (int32_t i = ndims - 1; i >= 0; i--) {
        w->first = firsts[i];
        w->nchunks *= g->dims[dims[i]];
        run_ring(w, SCHED_ALL_GATHER, dims[i], SCHED_OUT, false);
    }
}

static void build(struct build *b, const struct sched_args *args)
{
    const struct sched_graph *g = args->graph;
    struct planes planes;
    if (planes_needed(args)) {
        if (!planes_find(&planes, args, NAME))
            compose_build(b, args, &planes.compose);
        return;
    }
    int32_t n = args->nranks, nparts = 2 * g->ndims;
    int32_t *line = malloc((size_t)n * sizeof *line);
    if (!line) {
        build_abort(b,
                    error_set(trncclSystemError, "no memory for a line of %d ranks", n));
        return;
    }
    build_shape(b, nparts * n, 0, SCHED_OUT);
    build_credits(b, 2);
    for (int32_t part = 0; part < nparts; part++) {
        struct bucket w = {.b = b,
                           .args = args,
                           .channel = part,
                           .back = part % 2,
                           .first = part * n,
                           .nchunks = n,
                           .line = line};
        build_part(&w, part / 2);
    }
    free(line);
}

const struct algo algo_all_reduce_bucket = {
    .name = NAME,
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary = "rings along one dimension of a torus after the other, rotated over them",
    .build = build,
    .refuse = refuse,
};
