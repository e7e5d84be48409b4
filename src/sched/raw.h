/* A schedule while it is described: what build.c collects and finish.c turns into a
 * sched. Private to those two. */
#ifndef TRNCCL_SCHED_RAW_H
#define TRNCCL_SCHED_RAW_H

#include "sched/build.h"

/* Far beyond any algorithm; keeps every product of this file inside int32_t. */
enum { BUILD_MAX_CHUNKS = 1 << 24, BUILD_MAX_REFS = 1 << 28 };

/* A step as it was described: operands in the order of the calls. */
struct raw_step {
    int32_t first, nrefs; /* in build.refs */
    int32_t span_chunk, span_n;
    struct build_mark after;
    int32_t final; /* the step it became, or the last one before it, or -1 */
    uint8_t span_space, flags, in_link, out_link;
    bool dropped; /* it only copies onto itself */
    bool whole;   /* so does this, but it stays, with those copies */
};

struct raw_ref {
    struct sched_ref ref;
    bool out;
};

struct raw_channel {
    struct raw_step *steps; /* owned */
    int32_t nsteps, capacity;
};

struct build {
    struct sched head; /* everything of the result but its arrays and channels */
    bool shaped;
    int32_t nchannels;
    struct raw_channel channels[SCHED_MAX_CHANNELS];
    struct raw_ref *refs; /* owned */
    int32_t nrefs, refs_capacity;
    int32_t open_channel; /* of the step being described; -1: none */
    trncclResult_t result;
    char text[400];              /* the first error's sentence */
    struct build_mark text_step; /* which step it is about; step -1: none */
};

/* Keeps the first error; its sentence begins with the schedule's name. */
void build_fail(struct build *b, trncclResult_t result, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#endif
