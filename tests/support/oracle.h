/* What collectives must produce, computed without any code of src.
 *
 * Values repeat with a prime period, so that one table serves every size and a slice that
 * lands in the wrong place is still seen. They are chosen so that the result does not
 * depend on the order in which ranks are combined: integers are random and wrap; floats
 * are small integers (products: powers of two) of which every partial result is exact in
 * the type. An average is then the exact sum divided in the precision that combines the
 * type, rounded once. */
#ifndef TRNCCL_TESTS_SUPPORT_ORACLE_H
#define TRNCCL_TESTS_SUPPORT_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "trnccl.h"

#define ORACLE_PERIOD 4093

/* Operations besides trncclRedOp_t's. */
enum { ORACLE_COPY = -1, ORACLE_PREMUL = -2 };

struct oracle {
    trncclDataType_t type;
    int op; /* trncclRedOp_t, ORACLE_COPY or ORACLE_PREMUL */
    int nranks;
    size_t elem;
    uint8_t *raw;      /* owned [nranks][ORACLE_PERIOD] elements: contributions */
    uint8_t *reduced;  /* owned [ORACLE_PERIOD] elements: all of them combined */
    uint8_t scalar[8]; /* of ORACLE_PREMUL, one element */
};

/* A number that depends on every bit of its arguments. */
uint64_t oracle_hash(uint64_t seed, uint64_t a, uint64_t b);

size_t oracle_type_nbytes(trncclDataType_t type);
bool oracle_type_is_float(trncclDataType_t type);
const char *oracle_type_name(trncclDataType_t type);
const char *oracle_op_name(int op);
/* Whether the operation has a meaning for the type. */
bool oracle_op_fits(trncclDataType_t type, int op);
/* The number nearest to x, ties to even, as an element of a float type. x is in range. */
void oracle_encode(trncclDataType_t type, double x, void *element);

/* Aborts the program if there is no memory. */
void oracle_init(struct oracle *o, trncclDataType_t type, int op, int nranks,
                 uint64_t seed);
void oracle_fini(struct oracle *o);
/* count elements of the endless sequence of a rank's contributions, from element `at`. */
void oracle_raw(const struct oracle *o, int rank, size_t at, size_t count, void *to);
void oracle_reduced(const struct oracle *o, size_t at, size_t count, void *to);

#endif
