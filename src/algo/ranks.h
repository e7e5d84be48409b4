/* Arithmetic on ranks that several algorithms share. */
#ifndef TRNCCL_ALGO_RANKS_H
#define TRNCCL_ALGO_RANKS_H

#include <stdint.h>

/* (a mod n) in 0..n-1, for a > -n and n < 2^30. */
static inline int32_t ranks_mod(int32_t a, int32_t n)
{
    return (a % n + n) % n;
}
/* The largest k with 2^k <= n, n >= 1. */
static inline int32_t ranks_log2_floor(int32_t n)
{
    return 31 - __builtin_clz((uint32_t)n);
}
/* The smallest k with 2^k >= n, n >= 1. */
static inline int32_t ranks_log2_ceil(int32_t n)
{
    return n <= 1 ? 0 : ranks_log2_floor(n - 1) + 1;
}

/* Folds n ranks onto the largest power of two `core` <= n: of the first 2 * extra ranks,
 * the even ones hand their part to the next rank and wait. The remaining core ranks are
 * numbered 0..core-1 ("virtual"), in rank order, so that every aligned run of virtual
 * ranks stands for a contiguous run of ranks. */
struct ranks_fold {
    int32_t core, extra;
};

static inline struct ranks_fold ranks_fold_of(int32_t nranks)
{
    int32_t core = 1 << ranks_log2_floor(nranks);
    return (struct ranks_fold){.core = core, .extra = nranks - core};
}
/* Whether a rank waits outside the core; rank + 1 then stands for it. */
static inline int ranks_fold_waits(struct ranks_fold f, int32_t rank)
{
    return rank < 2 * f.extra && rank % 2 == 0;
}
/* Whether a core rank stands for rank - 1 as well. */
static inline int ranks_fold_doubles(struct ranks_fold f, int32_t rank)
{
    return rank < 2 * f.extra && rank % 2 == 1;
}
/* The virtual number of a core rank, and back. */
static inline int32_t ranks_fold_virtual(struct ranks_fold f, int32_t rank)
{
    return rank < 2 * f.extra ? rank / 2 : rank - f.extra;
}
static inline int32_t ranks_fold_rank(struct ranks_fold f, int32_t v)
{
    return v < f.extra ? 2 * v + 1 : v + f.extra;
}
/* The first rank of those that virtual ranks v, v + 1, … stand for; nranks for v = core.
 */
static inline int32_t ranks_fold_first(struct ranks_fold f, int32_t v)
{
    return v < f.extra ? 2 * v : v + f.extra;
}

#endif
