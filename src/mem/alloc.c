#include "mem/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/log.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; the C library may be older */
#endif

#define HUGE_NBYTES ((size_t)2 << 20)

/* All allocations, sorted by address. Guarded by `lock`. `generation` counts the frees: a
 * thread's remembered region is good as long as it has not changed. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct mem_region **regions;
static size_t nregions, capacity;
static uint32_t last_id;
/* Indexes below nindexes that no live region has. Guarded by `lock`; as long as the
 * table, so that giving one back cannot fail. */
static uint32_t *spare_indexes;
static uint32_t nindexes, nspare;
static _Atomic uint64_t generation = 1;

/* Another thread of the parent may have held the lock, or waited for it. */
static void fork_prepare(void)
{
    pthread_rwlock_wrlock(&lock);
}

static void fork_parent(void)
{
    pthread_rwlock_unlock(&lock);
}

static void fork_child(void)
{
    fork_parent();
    lock = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
}

static void fork_register(void)
{
    /* Fails only without memory; then a child of a threaded process may wait for ever. */
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static void lock_to(int (*how)(pthread_rwlock_t *))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fork_register);
    how(&lock);
}

/* What this thread asked for last: nearly every lookup asks for the same buffers again.
 * Two entries, because a call has a send and a receive buffer. */
static _Thread_local struct {
    const struct mem_region *region;
    const char *base;
    size_t nbytes;
    uint64_t generation;
} recent[2];
static _Thread_local unsigned recent_next;

/* What the kernel thinks can be had without swapping; SIZE_MAX if it does not say. */
static size_t available_nbytes(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long kbytes = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu", &kbytes) == 1)
            break;
    if (f)
        fclose(f);
    return kbytes ? (size_t)kbytes * 1024 : SIZE_MAX;
}

/* Index of the first region whose base is above ptr. */
static size_t upper_bound(const void *ptr)
{
    size_t low = 0, high = nregions;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if ((const char *)ptr < regions[mid]->base)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Maps the memfd, at a 2 MiB boundary where huge pages can serve it. */
static void *map_aligned(int fd, size_t nbytes)
{
    if (nbytes < HUGE_NBYTES)
        return mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *room = mmap(NULL, nbytes + HUGE_NBYTES, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return MAP_FAILED;
    char *base =
        (char *)(((uintptr_t)room + HUGE_NBYTES - 1) & ~(uintptr_t)(HUGE_NBYTES - 1));
    void *p = mmap(base, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    if (p == MAP_FAILED) {
        munmap(room, nbytes + HUGE_NBYTES);
        return MAP_FAILED;
    }
    if (base > room)
        munmap(room, (size_t)(base - room));
    munmap(base + nbytes, HUGE_NBYTES - (size_t)(base - room));
    madvise(base, nbytes, MADV_HUGEPAGE); /* only a wish: small pages work as well */
    return base;
}

/* Makes the pages exist now, huge ones where the mapping asked for them: a machine
 * without room says so here instead of killing the process at first touch. Returns an
 * errno value. */
static int populate(const struct mem_region *r)
{
    if (madvise(r->base, r->nbytes, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL) /* which a kernel before 5.14 says */
        return errno == EFAULT ? ENOMEM : errno;
    return posix_fallocate(r->fd, 0, (off_t)r->nbytes);
}

static trncclResult_t region_create(size_t nbytes, struct mem_region **out)
{
    struct mem_region *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(trncclSystemError, "out of memory for an allocation's handle");
    r->nbytes = nbytes;
    r->owner = getpid();
    r->fd = memfd_create("trnccl-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (r->fd < 0) {
        trncclResult_t result = error_set_errno(
            trncclSystemError, errno,
            "memfd_create for %zu bytes failed; each allocation needs one "
            "open file (ulimit -n)",
            nbytes);
        free(r);
        return result;
    }
    int err = nbytes > available_nbytes() ? ENOMEM : 0;
    if (!err && ftruncate(r->fd, (off_t)nbytes) < 0)
        err = errno;
    /* A peer that maps it must never meet a shorter file (SIGBUS). */
    if (!err && fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        err = errno;
    r->base = err ? MAP_FAILED : map_aligned(r->fd, nbytes);
    if (r->base != MAP_FAILED && (err = populate(r))) {
        munmap(r->base, nbytes);
        r->base = MAP_FAILED;
    }
    if (r->base == MAP_FAILED) {
        trncclResult_t result =
            error_set_errno(trncclSystemError, err ? err : errno,
                            "cannot allocate %zu bytes of shared memory (%zu available)",
                            nbytes, available_nbytes());
        close(r->fd);
        free(r);
        return result;
    }
    *out = r;
    return trncclSuccess;
}

static void region_destroy(struct mem_region *r)
{
    munmap(r->base, r->nbytes);
    /* Peers may still map it; the pages themselves go now. */
    if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  (off_t)r->nbytes) < 0)
        log_info("mem", "cannot punch out %zu freed bytes: %s", r->nbytes,
                 strerror(errno));
    close(r->fd);
    free(r);
}

/* ---- the table; all called with the lock held ---- */

static bool table_grow(void)
{
    size_t grown = capacity ? 2 * capacity : 16;
    void *p = realloc(regions, grown * sizeof *regions);
    if (!p)
        return false;
    regions = p;
    p = realloc(spare_indexes, grown * sizeof *spare_indexes);
    if (!p)
        return false;
    spare_indexes = p;
    capacity = grown;
    return true;
}

static bool table_add(struct mem_region *r)
{
    if (nregions == capacity && !table_grow())
        return false;
    size_t at = upper_bound(r->base);
    memmove(regions + at + 1, regions + at, (nregions - at) * sizeof *regions);
    regions[at] = r;
    nregions++;
    if (++last_id == 0) /* which names no region */
        last_id = 1;
    r->id = last_id;
    r->index = nspare ? spare_indexes[--nspare] : nindexes++;
    /* A remembered "not ours" could now be wrong. */
    atomic_fetch_add_explicit(&generation, 1, memory_order_release);
    return true;
}

static struct mem_region *table_take(size_t at)
{
    struct mem_region *r = regions[at];
    nregions--;
    memmove(regions + at, regions + at + 1, (nregions - at) * sizeof *regions);
    spare_indexes[nspare++] = r->index;
    if (nregions == 0) {
        free(regions);
        free(spare_indexes);
        regions = NULL;
        spare_indexes = NULL;
        capacity = 0;
        nindexes = nspare = 0;
    }
    atomic_fetch_add_explicit(&generation, 1, memory_order_release);
    return r;
}

trncclResult_t alloc_create(void **ptr, size_t nbytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (nbytes > SIZE_MAX / 2 - HUGE_NBYTES)
        return error_set(trncclInvalidArgument,
                         "size %zu is more than the address space holds", nbytes);
    size_t rounded = nbytes ? (nbytes + page - 1) / page * page : page;
    /* The kernel would hand out pages until it has to kill someone. */
    size_t physical = (size_t)sysconf(_SC_PHYS_PAGES) * page;
    if (rounded > physical)
        return error_set(trncclSystemError,
                         "cannot allocate %zu bytes of shared memory: the system has %zu "
                         "(%zu available)",
                         nbytes, physical, available_nbytes());
    struct mem_region *r = NULL;
    TRY(region_create(rounded, &r));
    lock_to(pthread_rwlock_wrlock);
    bool added = table_add(r);
    pthread_rwlock_unlock(&lock);
    if (!added) {
        region_destroy(r);
        return error_set(trncclSystemError, "out of memory for the allocation table");
    }
    *ptr = r->base;
    return trncclSuccess;
}

/* A forked child would punch out pages that its parent and the parent's peers use. */
static trncclResult_t refuse_child(const void *ptr, int owner)
{
    return error_set(trncclInvalidUsage,
                     "%p was allocated by process %d, which alone can free it: process "
                     "%d was forked from it and shares the memory",
                     ptr, owner, (int)getpid());
}

trncclResult_t alloc_destroy(void *ptr)
{
    lock_to(pthread_rwlock_wrlock);
    size_t at = upper_bound(ptr);
    if (at == 0 || regions[at - 1]->base != (char *)ptr) {
        pthread_rwlock_unlock(&lock);
        return error_set(
            trncclInvalidArgument,
            "%p is not the start of memory from trncclMemAlloc (or was freed "
            "already)",
            ptr);
    }
    int owner = regions[at - 1]->owner;
    if (owner != getpid()) {
        pthread_rwlock_unlock(&lock);
        return refuse_child(ptr, owner);
    }
    struct mem_region *r = table_take(at - 1);
    pthread_rwlock_unlock(&lock);
    region_destroy(r);
    return trncclSuccess;
}

const struct mem_region *alloc_find(const void *ptr, size_t nbytes)
{
    uint64_t now = atomic_load_explicit(&generation, memory_order_acquire);
    const char *p = ptr;
    for (unsigned i = 0; i < 2; i++)
        if (recent[i].generation == now &&
            (recent[i].region
                 ? p >= recent[i].base && p + nbytes <= recent[i].base + recent[i].nbytes
                 : p == recent[i].base && nbytes == recent[i].nbytes))
            return recent[i].region;
    lock_to(pthread_rwlock_rdlock);
    size_t at = upper_bound(ptr);
    const struct mem_region *r = at ? regions[at - 1] : NULL;
    if (r && p + nbytes > r->base + r->nbytes)
        r = NULL;
    pthread_rwlock_unlock(&lock);
    /* Remember "not ours" for exactly the range asked about. */
    unsigned slot = recent_next++ % 2;
    recent[slot].region = r;
    recent[slot].base = r ? r->base : p;
    recent[slot].nbytes = r ? r->nbytes : nbytes;
    recent[slot].generation = now;
    return r;
}
