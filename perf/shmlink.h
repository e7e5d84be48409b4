/* A team link between processes forked by one parent, in anonymous shared memory. */
#ifndef TRNCCL_PERF_SHMLINK_H
#define TRNCCL_PERF_SHMLINK_H

#include <stdbool.h>
#include <stdint.h>
#include "perf/team.h"

/* Bytes of a process's record that travel per round. */
#define SHMLINK_CHUNK 8192

/* Shared by all processes. The barrier counts arrivals of one generation; a waiter sleeps
 * on `generation` (futex). */
struct shmlink_shared {
    uint32_t arrived, generation; /* atomics */
    int nprocs;
    unsigned char slots[]; /* [2][nprocs][SHMLINK_CHUNK], by parity of the round */
};

/* One process's end of it. */
struct shmlink {
    struct shmlink_shared *shared; /* borrowed: lives in the parent's mapping */
    int proc;
    unsigned parity;
};

size_t shmlink_shared_nbytes(int nprocs);
void shmlink_shared_init(struct shmlink_shared *shared, int nprocs);
/* Makes `link` use this process's end. */
void shmlink_open(struct shmlink *s, struct shmlink_shared *shared, int proc,
                  struct team_link *link);

#endif
