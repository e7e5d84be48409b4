#include "util/clock.h"

#include <time.h>

uint64_t clock_now_ns(void)
{
    struct timespec now;
    /* Cannot fail: CLOCK_MONOTONIC exists on every Linux and the pointer is valid. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_deadline_ns(int64_t ms)
{
    if (ms <= 0)
        return UINT64_MAX;
    uint64_t now = clock_now_ns();
    if ((uint64_t)ms > (UINT64_MAX - now) / 1000000u)
        return UINT64_MAX;
    return now + (uint64_t)ms * 1000000u;
}
