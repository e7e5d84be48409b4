/* How a rank ends when it cannot go on: the reason is told once, everything ends. */
#ifndef TRNCCL_PERF_FAIL_H
#define TRNCCL_PERF_FAIL_H

#include <stdbool.h>
#include <stdnoreturn.h>
#include "trnccl.h"

#define PERF_NAME "trn-collective-perf"

/* Exit statuses, documented in the manual page. */
enum perf_exit {
    PERF_EXIT_OK = 0,
    PERF_EXIT_WRONG = 1, /* wrong values, or bandwidth below --min-bw */
    PERF_EXIT_USAGE = 2,
    PERF_EXIT_FAILED = 3, /* a call failed */
    PERF_EXIT_DIED = 4,   /* a rank was killed or vanished */
};

struct failure {
    const char *sentence;
    enum perf_exit status;
    bool secondary; /* only the echo of another rank's */
};
/* Called with a failure instead of printing its sentence; it must not return. */
typedef void (*fail_sink)(void *context, const struct failure *f);
/* Set once, before threads are started. */
void fail_sink_set(fail_sink sink, void *context);

/* Ends this process with PERF_EXIT_FAILED. If several threads fail, the first one's
 * sentence counts. */
noreturn void fail_with(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with PERF_EXIT_USAGE, for what only the library can find wrong. */
noreturn void fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* fail_with() with the library's own words if result is not trncclSuccess. comm may be
 * NULL.
 */
void fail_unless(trncclResult_t result, const char *call, int rank, trncclComm_t comm);
/* malloc and calloc that fail_with() instead of returning NULL. */
void *fail_malloc(size_t nbytes);
void *fail_calloc(size_t n, size_t nbytes);

#endif
