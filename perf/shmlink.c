#include "perf/shmlink.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

size_t shmlink_shared_nbytes(int nprocs)
{
    return sizeof(struct shmlink_shared) + 2 * (size_t)nprocs * SHMLINK_CHUNK;
}

void shmlink_shared_init(struct shmlink_shared *shared, int nprocs)
{
    shared->arrived = shared->generation = 0;
    shared->nprocs = nprocs;
}

/* No deadline: whoever started the processes ends them all if one is missing. */
static void barrier(struct shmlink_shared *s)
{
    uint32_t generation = __atomic_load_n(&s->generation, __ATOMIC_SEQ_CST);
    if (__atomic_add_fetch(&s->arrived, 1, __ATOMIC_SEQ_CST) == (uint32_t)s->nprocs) {
        __atomic_store_n(&s->arrived, 0, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&s->generation, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &s->generation, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        return;
    }
    for (int i = 0; i < 20; i++) { /* the others are usually close */
        if (__atomic_load_n(&s->generation, __ATOMIC_SEQ_CST) != generation)
            return;
        sched_yield();
    }
    while (__atomic_load_n(&s->generation, __ATOMIC_SEQ_CST) == generation)
        syscall(SYS_futex, &s->generation, FUTEX_WAIT, generation, NULL, NULL, 0);
}

static void gather(void *context, const void *mine, void *all, size_t nbytes)
{
    struct shmlink *link = context;
    struct shmlink_shared *s = link->shared;
    size_t done = 0;
    do {
        size_t n = nbytes - done < SHMLINK_CHUNK ? nbytes - done : SHMLINK_CHUNK;
        unsigned char *slots =
            s->slots + (size_t)link->parity * (size_t)s->nprocs * SHMLINK_CHUNK;
        if (n)
            memcpy(slots + (size_t)link->proc * SHMLINK_CHUNK, (const char *)mine + done,
                   n);
        /* One barrier per round is enough: the other parity's slots are written only
         * after the next barrier, which needs everybody to have read these. */
        barrier(s);
        for (int p = 0; n && p < s->nprocs; p++)
            memcpy((char *)all + (size_t)p * nbytes + done,
                   slots + (size_t)p * SHMLINK_CHUNK, n);
        link->parity ^= 1;
        done += n;
    } while (done < nbytes);
}

void shmlink_open(struct shmlink *s, struct shmlink_shared *shared, int proc,
                  struct team_link *link)
{
    *s = (struct shmlink){.shared = shared, .proc = proc};
    *link = (struct team_link){
        .nprocs = shared->nprocs, .proc = proc, .allgather = gather, .context = s};
}
