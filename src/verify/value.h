/* What a chunk holds, as a symbol: which contributions, combined by which expression.
 *
 * A value is the contribution of one rank (a leaf), or the combination of several values
 * in a stated order. The set of contributions is exact. Two values are the same
 * expression if their hashes are equal: two 64-bit hashes with different mixing, so a
 * chance collision has probability 2^-128. */
#ifndef TRNCCL_VERIFY_VALUE_H
#define TRNCCL_VERIFY_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include "verify/arena.h"

enum { VALUE_NONE = 0 }; /* index of "nothing was written" */

struct value {
    uint64_t hash[2];
    int32_t chunk;  /* of IN, the same for all contributions */
    int32_t rank;   /* of a leaf; -1: a combination, see set */
    int32_t count;  /* contributions */
    int32_t finals; /* SCHED_FINAL steps passed */
    int64_t set;    /* first word of its set of ranks in values.sets */
};

struct values {
    struct value *of; /* [capacity], entry 0 is VALUE_NONE */
    uint64_t *sets;   /* nwords per combination */
    int32_t n, capacity, nwords;
    int64_t nsets;
};

/* Room for `leaves` contributions and `nodes` combinations of nranks ranks. False if
 * there is not enough memory. */
bool values_init(struct values *v, struct arena *a, int32_t nranks, int64_t leaves,
                 int64_t nodes);
/* The contribution that `rank` has in IN chunk `chunk`. */
int32_t values_leaf(struct values *v, int32_t rank, int32_t chunk);

/* Opens a combination whose inputs values_combine_add takes in order; at most one is open
 * at a time. */
int32_t values_combine_begin(struct values *v, int32_t ninputs, bool final);
/* False if the input's contributions are of another chunk or already there; then *rank is
 * the rank that is counted twice, or -1. */
bool values_combine_add(struct values *v, int32_t node, int32_t input, int32_t *rank);
/* Whether both are the same contributions by the same expression. */
bool values_same(const struct values *v, int32_t a, int32_t b);
/* The lowest rank whose contribution is missing, or -1. */
int32_t values_missing(const struct values *v, int32_t value, int32_t nranks);

#endif
