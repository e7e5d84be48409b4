#include "transports/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transports/transport.h"
#include "util/log.h"

/* Up to eight ranks with four slots a connection; chosen, not measured: it bounds what an
 * idle pair of ranks can cost. */
#define HUGE_SLOTS_NBYTES ((size_t)24 << 20)

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static void segment_layout(struct segment *s, int nranks, int nchannels, int nslots)
{
    size_t nconns = (size_t)nranks * nranks * nchannels;
    *s = (struct segment){.fd = -1,
                          .nranks = nranks,
                          .nchannels = nchannels,
                          .nslots = nslots,
                          /* Five lines more than whole pages: the slots of different
                           * connections must not meet in the same sets of a cache. */
                          .slots_nbytes = segment_slots_total(nslots) + 5 * SEGMENT_LINE};
    s->conns_offset = round_up(nranks * sizeof(struct segment_rank), 4096);
    s->slots_offset =
        round_up(s->conns_offset + nconns * sizeof(struct segment_conn), 2u << 20);
    s->nbytes = s->slots_offset + nconns * s->slots_nbytes;
}

static trncclResult_t segment_map(struct segment *s)
{
    void *p = mmap(NULL, s->nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                   s->fd, 0);
    if (p == MAP_FAILED)
        return error_set_errno(
            trncclSystemError, errno,
            "cannot map the shared segment: %zu bytes of address space "
            "needed for %d ranks",
            s->nbytes, s->nranks);
    s->base = p;
    /* A few ranks' slots are worth huge pages; many ranks' are used too sparsely. */
    size_t first_channel = (size_t)s->nranks * s->nranks * s->slots_nbytes;
    if (first_channel <= HUGE_SLOTS_NBYTES)
        madvise(s->base + s->slots_offset, first_channel, MADV_HUGEPAGE);
    return trncclSuccess;
}

trncclResult_t segment_create(int nranks, int nchannels, int nslots, struct segment **out)
{
    struct segment *s = malloc(sizeof *s);
    if (!s)
        return error_set(trncclSystemError, "out of memory for the segment's handle");
    segment_layout(s, nranks, nchannels, nslots);
    s->fd = memfd_create("trnccl-segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    trncclResult_t result = trncclSuccess;
    if (s->fd < 0)
        result = error_set_errno(trncclSystemError, errno,
                                 "memfd_create for the shared segment failed; raise the "
                                 "limit of open files (ulimit -n) if it is reached");
    else if (ftruncate(s->fd, (off_t)s->nbytes) < 0)
        result =
            error_set_errno(trncclSystemError, errno,
                            "cannot size the shared segment to %zu bytes", s->nbytes);
    else if (fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        result =
            error_set_errno(trncclSystemError, errno, "cannot seal the shared segment");
    else
        result = segment_map(s);
    if (result != trncclSuccess) {
        segment_destroy(s);
        return result;
    }
    *out = s;
    return trncclSuccess;
}

trncclResult_t segment_attach(int fd, int nranks, int nchannels, int nslots,
                              struct segment **out)
{
    struct segment *s = malloc(sizeof *s);
    if (!s) {
        close(fd);
        return error_set(trncclSystemError, "out of memory for the segment's handle");
    }
    segment_layout(s, nranks, nchannels, nslots);
    s->fd = fd;
    struct stat st;
    trncclResult_t result;
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &st) < 0 || (size_t)st.st_size != s->nbytes)
        result =
            error_set(trncclInternalError,
                      "the shared segment has %lld bytes, %zu expected: do all ranks "
                      "run the same version with the same settings?",
                      (long long)st.st_size, s->nbytes);
    else if (seals < 0 || !(seals & F_SEAL_SHRINK))
        result = error_set(trncclInternalError,
                           "the shared segment is not sealed against shrinking");
    else
        result = segment_map(s);
    if (result != trncclSuccess) {
        segment_destroy(s);
        return result;
    }
    *out = s;
    return trncclSuccess;
}

void segment_destroy(struct segment *s)
{
    if (!s)
        return;
    if (s->base)
        munmap(s->base, s->nbytes);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

void segment_ring_slow(struct segment_rank *r)
{
    atomic_fetch_add(&r->bell, 1);
    syscall(SYS_futex, &r->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}
