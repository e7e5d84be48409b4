/* One set of kernels: the same source compiled for one instruction set.
 *
 * combine_<set>.c defines the vector width and what the instruction set does better than
 * the plain vector code, then includes combine_kernels.h, which fills this table. */
#ifndef TRNCCL_MEM_COMBINE_SET_H
#define TRNCCL_MEM_COMBINE_SET_H

#include "mem/combine.h"

/* Rows of the table: the public operations in their order, then pre-mul-sum. */
#define COMBINE_SET_PREMUL trncclNumOps
#define COMBINE_SET_OPS (trncclNumOps + 1)

struct combine_set {
    const char *name;
    bool (*usable)(void); /* does this CPU have it */
    /* NULL where the pair has no meaning. */
    combine_fn run[trncclNumTypes][COMBINE_SET_OPS];
    /* Copies nbytes > 0 to one output that is not the input. */
    void (*copy)(void *out, const void *in, size_t nbytes, bool stream);
    /* The same to nout outputs, each either the input itself or apart from it. */
    void (*spread)(void *const *out, int nout, const void *in, size_t nbytes,
                   bool stream);
};

/* The kernel of one input that nothing scales. */
void combine_run_copy(const struct combine *c, const struct combine_args *a);

extern const struct combine_set combine_set_portable;
#ifdef __x86_64__
extern const struct combine_set combine_set_avx2;
extern const struct combine_set combine_set_avx512;
#endif

#endif
