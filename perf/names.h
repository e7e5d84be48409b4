/* Names of types and reductions as they are typed and printed, sizes with suffixes, and
 * the nearest valid name to a misspelt one. */
#ifndef TRNCCL_PERF_NAMES_H
#define TRNCCL_PERF_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include "trnccl.h"

/* The reductions of the command line: trncclRedOp_t's, then the premultiplied sum, which
 * needs a handle of its own per communicator. */
#define NAMES_OP_MULSUM ((int)trncclNumOps)
#define NAMES_NUM_OPS (NAMES_OP_MULSUM + 1)

/* nccl-tests' name of a type ("float", "half", "f8e4m3") or reduction ("sum"). */
const char *names_type(int type);
const char *names_op(int op);
/* The type or reduction of that name or of a usual synonym ("f32", "bf16"), or -1. */
int names_type_find(const char *name);
int names_op_find(const char *name);
/* Bytes per element; 0 for a type that does not exist. */
size_t names_type_nbytes(int type);
bool names_type_is_float(int type);
/* Bitwise and logical reductions have no meaning for floats. */
bool names_op_takes(int op, int type);

enum names_size {
    NAMES_SIZE_GOOD,
    NAMES_SIZE_NONE, /* the text is not a size, or negative */
    NAMES_SIZE_HUGE, /* more than any address space holds */
};
/* Bytes from "8", "64K", "1.5M", "2G" (powers of 1024; a trailing B or iB is accepted);
 * *nbytes is written if it is good. */
enum names_size names_size_parse(const char *text, size_t *nbytes);
/* "8", "64K", "1.5M": short form of a size, in `text` of at least 32 bytes. */
char *names_size_format(size_t nbytes, char *text, size_t text_nbytes);

/* Edits (insert, delete, replace, swap of neighbours) between two words, case ignored. */
int names_distance(const char *a, const char *b);

#endif
