/* Rotated doubling: recursive doubling on a torus for several parts of the data at once,
 * each of which begins with another of the links.
 *
 * The torus is the hypercube of rotated_halving.c. Part j swaps its whole sum along bit
 * (j + t) mod d in step t, on a channel of its own, so that all links are busy in every
 * step.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce rotated_doubling, 4 ranks, root 0: 16 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0>1     0>0     0>3     0>2
 *            1>2     1>3     1>0     1>1
 *         1  +t0=>2  +t0=>3  +t0=>0  +t0=>1
 *            +t1=>1  +t1=>0  +t1=>3  +t1=>2
 *         2  +0=     +0=     +0=     +0=
 *            +1=     +1=     +1=     +1=
 *
 * Both ranks of a swap put the sum of the one whose bit is 0 first: all ranks evaluate
 * the same expression. Where a chip has several ranks, they run it in planes (planes.h).
 *
 * rounds   log2(n), the diameter of a torus of dimensions of 4; two more with several
 *          ranks per chip
 * bytes    sent by a rank: log2(n) vectors, each link one
 * limits   for small vectors. One group of ranks on a torus of 2 or 4 chips in every
 *          dimension; slow links bind. log2(n) channels
 * source   Johnsson and Ho, Optimum broadcasting and personalized communication in
 *          hypercubes, IEEE Trans. Comput. 38 (1989), for the rotation;
 *          recursive_doubling.c
 */
#include "algo/planes.h"
#include "algo/torus.h"

#define NAME "rotated_doubling"

static const char *refuse(const struct sched_args *args)
{
    struct torus_cube cube;
    struct planes planes;
    if (planes_needed(args))
        return planes_find(&planes, args, NAME);
    if (args->graph && args->graph->nranks != args->nranks)
        return "needs a graph of as many ranks";
    return torus_cube_init(args->graph, true, &cube);
}

/* The part is one chunk, which everybody sums up along the bits from `start` on. */
static void build_part(struct build *b, const struct sched_args *args,
                       const struct torus_cube *cube, int32_t part, bool detour)
{
    int32_t start = cube->starts[part], last = cube->nbits - 1, rank = args->rank;
    build_send(b, part, SCHED_IN, part, 1, torus_flip(cube, rank, start));
    for (int32_t t = 0; t <= last; t++) {
        int32_t p = (start + t) % cube->nbits, peer = torus_flip(cube, rank, p);
        bool peer_first = torus_bit(cube, rank, p);
        build_step(b, part);
        if (peer_first)
            build_from(b, peer);
        build_local_in(b, t == 0 ? SCHED_IN : SCHED_TMP, part);
        if (!peer_first)
            build_from(b, peer);
        build_local_out(b, t == last && !detour ? SCHED_OUT : SCHED_TMP, part);
        if (t < last)
            build_to(b, torus_flip(cube, rank, (p + 1) % cube->nbits));
        else
            build_final(b);
        build_span(b, SCHED_IN, part, 1);
    }
    if (detour)
        build_copy(b, part, SCHED_TMP, part, SCHED_OUT, part, 1);
}

/* Two ranks in place would wait for each other to give back IN, which the sum overwrites:
 * it goes to scratch first. */
static void build(struct build *b, const struct sched_args *args)
{
    struct torus_cube cube;
    struct planes planes;
    if (planes_needed(args)) {
        if (!planes_find(&planes, args, NAME))
            compose_build(b, args, &planes.compose);
        return;
    }
    if (torus_cube_init(args->graph, true, &cube))
        return;
    bool detour = cube.nbits == 1 && args->inplace;
    build_shape(b, cube.nparts, cube.nbits > 1 || detour ? cube.nparts : 0, SCHED_OUT);
    for (int32_t part = 0; part < cube.nparts; part++)
        build_part(b, args, &cube, part, detour);
}

const struct algo algo_all_reduce_rotated_doubling = {
    .name = NAME,
    .coll = SCHED_ALL_REDUCE,
    .summary = "doubling on a torus, all links at once: log2(n) rounds, log2(n) vectors",
    .build = build,
    .refuse = refuse,
};
