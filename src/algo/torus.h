/* Coordinates on the torus of a graph, and the torus whose dimensions have 2 or 4 chips
 * as a hypercube: a ring of four is a square, so that every bit of a label is one hop. */
#ifndef TRNCCL_ALGO_TORUS_H
#define TRNCCL_ALGO_TORUS_H

#include "sched/build.h"
#include "sched/graph.h"

/* The chip whose coordinate in `dim` is `step` (of any sign) farther round. */
int32_t torus_move(const struct sched_graph *g, int32_t chip, int32_t dim, int32_t step);
int32_t torus_coordinate(const struct sched_graph *g, int32_t chip, int32_t dim);
/* Chips of the torus; 0 if there is none, or its dimensions do not give nranks / per_chip
 * of one group. */
int32_t torus_nchips(const struct sched_graph *g);

#define TORUS_MAX_BITS (2 * SCHED_MAX_DIMS)

/* The bits of a chip's label in the order in which parts of the data use them: part p
 * begins with bit starts[p] and goes on round the circle. */
struct torus_cube {
    const struct sched_graph *graph;
    int32_t nbits;
    struct {
        int8_t dim, bit;
    } bits[TORUS_MAX_BITS];
    int32_t nparts;
    int32_t starts[TORUS_MAX_BITS], weights[TORUS_MAX_BITS];
    int32_t weight; /* of all parts */
};

/* NULL if the graph is one torus with one rank per chip and dimensions of 2 or 4 chips,
 * else why it is not.
 *
 * Halving parts load bit p by L(p) = sum over starts s of w(s) / 2^(1 + (p - s) mod d),
 * so L(p) - L(p - 1) / 2 is proportional to w(p): weights w(p) = 2 r(p) - r(p - 1) load
 * every bit by its rate r(p). They are not negative as long as the rate falls by no more
 * than half from one bit to the next. Doubling parts send the same bytes over each bit,
 * so they all weigh the same: even. */
const char *torus_cube_init(const struct sched_graph *g, bool even,
                            struct torus_cube *cube);
/* Bit p of the chip's label; the chip whose label differs in it. */
int32_t torus_bit(const struct torus_cube *cube, int32_t chip, int32_t p);
int32_t torus_flip(const struct torus_cube *cube, int32_t chip, int32_t p);

#endif
