/* What each collective promises: how many blocks a rank has, which of them alias in
 * place, how long they are, and what every result chunk must hold in the end.
 *
 * This is written down here a second time, apart from sched.c and from the algorithms,
 * because a proof that asked them would inherit their mistakes. */
#ifndef TRNCCL_VERIFY_PROMISE_H
#define TRNCCL_VERIFY_PROMISE_H

#include "verify/model.h"

/* Blocks of IN and OUT that `rank` must have. */
void promise_blocks(const struct model *m, int32_t rank, int32_t *in, int32_t *out);
/* Sets where slot 0 of IN, OUT and TMP lie from block counts and aliases. */
void promise_place(const struct model *m, int32_t rank, struct model_rank *r);
/* A number that is equal for two blocks only if every call gives them the same length. */
int64_t promise_length(const struct model *m, int32_t rank, int space, int32_t block);
/* The contribution promised in an OUT chunk: of IN chunk *chunk of rank *source, or, if
 * *source is -1, of that chunk of every rank. */
void promise_chunk(const struct model *m, int32_t rank, int32_t out_chunk,
                   int32_t *source, int32_t *chunk);
/* After the run: every OUT chunk holds what is promised. *same_bits: a chunk that several
 * ranks receive is the same expression on all of them; required for all-reduce, unless
 * any order is stated. */
trncclResult_t promise_check(struct model *m, bool *same_bits);
/* After the run of a barrier: every rank's entry happens before every rank's exit. */
trncclResult_t promise_check_barrier(struct model *m);

#endif
