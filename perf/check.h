/* Filling one rank's buffers before a checked call and judging them after it: the result,
 * everything that had to stay as it was, and guard zones around both areas. */
#ifndef TRNCCL_PERF_CHECK_H
#define TRNCCL_PERF_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "perf/data.h"
#include "perf/ops.h"

/* Bytes on each side of an area that the library must not touch. */
#define CHECK_GUARD_BYTES 128

struct check {
    const struct op_layout *layout; /* borrowed */
    struct data *data;              /* borrowed */
    bool in_place;
    unsigned char *send, *recv; /* areas with guard zones around; equal when in place */
};

/* Where the first wrong element was found. */
struct check_wrong {
    size_t nwrong; /* elements (bytes, in a guard zone) */
    char where[48];
    size_t index; /* element in the area, or byte in the zone */
    uint64_t expected, found;
};

/* Fills receive area and guards with a filler that depends on the data's repetition, and
 * the send data. False if memory ran out. */
bool check_prepare(const struct check *c);
/* Adds up what is wrong. nwrong is SIZE_MAX if memory ran out. */
void check_verify(const struct check *c, struct check_wrong *wrong);

#endif
