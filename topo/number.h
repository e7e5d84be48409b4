/* Decimal numbers in text, the same in every locale. */
#ifndef TRNCCL_TOPO_NUMBER_H
#define TRNCCL_TOPO_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#define TOPO_NUMBER_BYTES 32

/* Reads digits with sign, point and exponent from the start of `text`; *end is behind
 * them. False if there is no finite number; nothing is written then. */
bool topo_number_parse(const char *text, const char **end, double *out);
/* Reads a count without sign; false if there is none or it is above INT32_MAX. */
bool topo_count_parse(const char *text, const char **end, int32_t *out);
/* The shortest text that reads back as the same number. Returns `text`. */
const char *topo_number_print(char text[TOPO_NUMBER_BYTES], double value);

#endif
