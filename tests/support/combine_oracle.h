/* What the combine kernels must compute, one element at a time, from the definitions of
 * the formats: nothing is shared with src/mem. Rounding to a 16- or 8-bit format is a
 * search for the nearest entry in the table of all its values. */
#ifndef TRNCCL_TESTS_COMBINE_ORACLE_H
#define TRNCCL_TESTS_COMBINE_ORACLE_H

#include <stdint.h>
#include "mem/combine.h"

/* Builds the tables; once, before anything else here. */
void oracle_init(void);
/* The bits one element of the result must have.
 *   op      a reduction below trncclNumOps, or COMBINE_PREMUL
 *   final   divide an average
 *   nranks  for the average
 *   raw     input to scale, or -1; scalar: bits of one element
 *   in      [nin] bits of the inputs */
uint64_t oracle_combine(int type, int op, bool final, int nranks, int raw,
                        uint64_t scalar, const uint64_t *in, int nin);
bool oracle_is_float(int type);
bool oracle_has(int type, int op);
/* Mantissa bits etc. of a 16- or 8-bit float; the value its bits stand for. */
double oracle_decode(int type, uint64_t bits);
/* The nearest bits of a 16- or 8-bit float, ties to even. */
uint64_t oracle_encode(int type, float value);

#endif
