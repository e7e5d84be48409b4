/* Number formats, written from their definitions and on purpose not shared with the
 * library's kernels: this is half of the oracle that judges them.
 *
 * Every value of a type is carried as a double (all finite values of the six float types
 * are doubles) or, for integers, as 64 bits. */
#ifndef TRNCCL_PERF_NUMBER_H
#define TRNCCL_PERF_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Significand bits including the hidden one: integers up to 2^p are exact. 0 for integer
 * types. */
int number_precision(int type);
/* The bit pattern of `value` rounded to nearest even in a float type; overflow becomes
 * infinity, or NaN in e4m3, which has no infinity. */
uint64_t number_encode(int type, double value);
/* The value of a bit pattern of a float type. */
double number_decode(int type, uint64_t bits);
/* Stores and loads the low bytes of `bits` as one element. */
void number_store(void *element, size_t nbytes, uint64_t bits);
uint64_t number_load(const void *element, size_t nbytes);
/* An integer type's bits, sign-extended or zero-extended to 64. */
uint64_t number_extend(int type, uint64_t bits);

#endif
