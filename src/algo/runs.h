/* Runs of chunks on a circle. */
#ifndef TRNCCL_ALGO_RUNS_H
#define TRNCCL_ALGO_RUNS_H

#include <stdint.h>

struct run {
    int32_t first, n;
};

/* Cuts the n <= size places from `first` on, on a circle of `size`, at its seam: into
 * pieces[0] and pieces[1], either of which may be empty.
 *   first  0 or more; places beyond the circle go round it */
static inline void runs_cut(int32_t size, int32_t first, int32_t n, struct run pieces[2])
{
    first %= size;
    int32_t head = n < size - first ? n : size - first;
    pieces[0] = (struct run){.first = first, .n = head > 0 ? head : 0};
    pieces[1] = (struct run){.first = 0, .n = n > head ? n - head : 0};
}

#endif
