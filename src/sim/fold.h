/* Folding: of ranks that are equivalent one is simulated.
 *
 * A generator is a permutation of the ranks that maps boxes to equal boxes, seat by seat,
 * and every step of a rank to the same step of its image, with peers mapped and equal
 * lengths. The generators commute, each has an order, and no product of their powers but
 * the identity leaves a box where it is: then nothing ever tells a rank from its images,
 * and the orbits of boxes are as large as the group. One box of each orbit is simulated.
 * What a rank sends to a peer in another box arrives there as the message of the rank
 * that stands to the representative of that peer as the sender stands to the peer.
 *
 * A job of 7,812 equal boxes whose schedule looks the same from each of them (a ring of
 * boxes, say: one generator of order 7,812) thus costs as much as one box; the messages
 * between boxes leave by its NICs and arrive at its NICs.
 *
 * Times are the same to the last bit as without folding: simultaneous events are ordered
 * by labels that equivalent ranks share (machine.h). Only for SIM_FIFO: with fair sharing
 * sums would be taken in another order. */
#ifndef TRNCCL_SIM_FOLD_H
#define TRNCCL_SIM_FOLD_H

#include "sim/sim.h"

enum { FOLD_MAX_GENERATORS = 32 };

struct sim_generator {
    int32_t order; /* applied so often it is the identity; >= 2 */
    int32_t (*map)(void *context, int32_t rank);
    void *context;
};

enum fold_check {
    FOLD_CHECK_ALL,  /* all steps of all ranks: a proof, in time for all of them */
    FOLD_CHECK_SOME, /* all seats, and all steps of the representatives and of some 64
                        other ranks: against mistakes */
};

struct sim_fold;

/* Checks the generators against the seats and steps of args. trncclInvalidArgument, with
 * the generator, rank and step, if they are not a symmetry. Borrows nothing. */
trncclResult_t fold_create(const struct sim_args *args,
                           const struct sim_generator *generators, int32_t ngenerators,
                           enum fold_check check, struct sim_fold **out);
void fold_destroy(struct sim_fold *f); /* NULL is allowed */

/* How many ranks one representative stands for. */
int64_t fold_size(const struct sim_fold *f);
int32_t fold_nranks(const struct sim_fold *f);
/* Which rank, or box, is simulated in place of this one. */
int32_t fold_representative(const struct sim_fold *f, int32_t rank);
int32_t fold_representative_box(const struct sim_fold *f, int32_t box);
/* The rank that stands to the representative of `to` as `from` stands to `to`. */
int32_t fold_seen(const struct sim_fold *f, int32_t from, int32_t to);

/* As sim_run with the same args, with the same result, but that trace and link_use see
 * representatives only. */
trncclResult_t sim_run_folded(const struct sim_args *args, const struct sim_fold *fold,
                              struct sim_result *out);

#endif
