/* Monotonic time. Logic that must be tested takes its times as arguments instead. */
#ifndef TRNCCL_UTIL_CLOCK_H
#define TRNCCL_UTIL_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t clock_now_ns(void);
/* now + ms, or UINT64_MAX ("never") for ms <= 0. */
uint64_t clock_deadline_ns(int64_t ms);

#endif
