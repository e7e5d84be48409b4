/* "Did you mean": the known name closest to a misspelt one. */
#ifndef TRNCCL_UTIL_NEAREST_H
#define TRNCCL_UTIL_NEAREST_H

#include <stddef.h>

/* Letters to insert, delete, replace or swap with a neighbour to get from a to b, case
 * ignored (optimal string alignment distance). Strings of more than 63 bytes are farther
 * than any: SIZE_MAX. */
size_t nearest_distance(const char *a, const char *b);
/* The first of names[n] (NULL entries are skipped) at the least distance from `found`,
 * or NULL if none is within a third of found's length (at least 2 letters): a guess worse
 * than that helps nobody. */
const char *nearest_name(const char *found, const char *const *names, size_t n);

#endif
