/* The event queue: a heap of four children per node, smallest first.
 *
 * Events are ordered by time, then by label. The order of simultaneous
 * events is thus a property of the events and not of who pushed first, so that ranks that
 * are equivalent see the same order at the links around them (see fold.h). */
#ifndef TRNCCL_SIM_HEAP_H
#define TRNCCL_SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/error.h"

struct heap_event {
    double time_us; /* >= 0 */
    uint64_t label;
    int32_t id; /* what it is about, and of which version of that; the owner's affair */
    uint32_t version;
};

struct heap {
    struct heap_event *events; /* [capacity], owned */
    size_t nevents, capacity;
};

void heap_fini(struct heap *h); /* of a zeroed heap too */
/* Allocates only when there have never been as many events at once. */
trncclResult_t heap_push(struct heap *h, const struct heap_event *event);
/* Takes the first event; false if there is none. */
bool heap_pop(struct heap *h, struct heap_event *event);

#endif
