/* How many elements each rank gets in the v-forms: weights of the command line scaled to
 * the size of a row. */
#ifndef TRNCCL_PERF_VSIZES_H
#define TRNCCL_PERF_VSIZES_H

#include <stdbool.h>
#include <stddef.h>

/* What --variable-size asked for. */
struct vsizes {
    double spread;   /* used if there are no weights: from 1 - spread to 1 + spread */
    double *weights; /* owned; NULL for a spread */
    size_t nweights; /* n for a vector, n * n for a matrix by rows (sender, receiver) */
};

#define VSIZES_DEFAULT_SPREAD 0.5

/* Parses "0.5" (a spread in [0, 1]), "1,0,3" (one weight per rank), or the name of a file
 * with n or n * n numbers separated by blanks, commas or lines. On failure returns false
 * with the reason in `why`. */
bool vsizes_parse(const char *text, struct vsizes *v, char *why, size_t why_nbytes);
void vsizes_fini(struct vsizes *v);
/* NULL if v fits n ranks, else a sentence in `why`. */
const char *vsizes_misfit(const struct vsizes *v, int n, bool matrix_allowed, char *why,
                          size_t why_nbytes);
/* counts[n]: each rank's share of `total` elements, rounded down. */
void vsizes_counts(const struct vsizes *v, int n, size_t total, size_t *counts);
/* matrix[n * n], sender by receiver, for all-to-all: the busiest sender sends at most
 * `total`. A vector w gives sender i, receiver j the weight w[(j - i) mod n]. */
void vsizes_matrix(const struct vsizes *v, int n, size_t total, size_t *matrix);

#endif
