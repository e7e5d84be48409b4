/* Halving and doubling along any sequence of partners, for one part of the data on one
 * channel: what recursive halving on a hypercube and Swing have in common.
 *
 * Every rank has a position of nsteps bits. In step t of halving, ranks whose positions
 * agree in the first t bits share a run of positions; a rank and its partner differ in
 * the next bit and share all before it, so they swap halves of the run. Doubling goes
 * back. */
#ifndef TRNCCL_ALGO_SWAPS_H
#define TRNCCL_ALGO_SWAPS_H

#include "sched/build.h"

#define SWAPS_MAX_STEPS 16

struct swaps {
    int32_t rank, channel;
    /* The part: in an all-reduce, `weight` chunks per position from chunk `first` on;
     * else chunks [first, first + weight) of every block of nsub. */
    int32_t nsub, first, weight;
    int32_t nsteps;                   /* 2^nsteps ranks */
    int32_t partner[SWAPS_MAX_STEPS]; /* ranks */
    int32_t position;
    const int32_t *rank_at; /* [2^nsteps] rank of each position; borrowed */
};

/* All take two messages of credit: in an all-reduce the last sum is also the first share,
 * and blocks are sent one ahead. All-reduce: TMP like OUT, if there are two steps or
 * more. Reduce-scatter: TMP like IN, likewise; a message per block. All-gather: a message
 * per block. */
void swaps_all_reduce(struct build *b, const struct swaps *s);
void swaps_reduce_scatter(struct build *b, const struct swaps *s);
void swaps_all_gather(struct build *b, const struct swaps *s);

#endif
