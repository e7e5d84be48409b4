/* Ranks of one host: staged through the communicator's segment; memory from
 * trncclMemAlloc is lent by naming its region, which the peer maps once; plain memory is
 * lent by naming its address, where the system lets the peer read it (cma.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/cma.h"
#include "transports/ring.h"

/* The region id of plain memory, named by its address in the sender. */
#define SHM_PLAIN 0
/* Smallest message of plain memory that is read where it lies; below, the call into the
 * system costs more than staging. Measured: all-gather of 2 ranks, AMD EPYC 9004 (Zen 4),
 * a cache line taking 58 ns one way, blocks of 8, 16, 32 KiB: read 2.7, 3.6, 4.9 us,
 * staged 1.5, 2.8, 5.5. Messages that are combined on arrival would have to be read into
 * a buffer first, and lose (reduce-scatter of 16 MiB: 2500 us, staged 1650). */
#define SHM_PLAIN_NBYTES ((size_t)32 << 10)

extern const struct transport_ops transport_shm;

static bool shm_inside(const struct transport_source *src, size_t nbytes)
{
    const struct mem_region *r = src->region;
    const char *p = src->at;
    return r && p >= r->base && p + nbytes <= r->base + r->nbytes;
}

/* Whether to name plain memory: where staging is possible it must be worth it. */
static bool shm_names_plain(const struct ring_conn *c, const struct transport_source *src,
                            size_t nbytes)
{
    const bool *readable = c->env->plain_readable;
    bool worth = nbytes >= SHM_PLAIN_NBYTES && src->stored;
    return c->base.outgoing && readable && *readable &&
           (worth || nbytes > TRANSPORT_MAX_MESSAGE);
}

static bool shm_describe(struct ring_conn *c, const struct transport_source *src,
                         size_t nbytes, uint64_t *id, uint64_t *offset)
{
    const struct transport_env *env = c->env;
    const struct mem_region *region = src->region;
    if (!shm_inside(src, nbytes)) {
        *id = SHM_PLAIN;
        *offset = (uint64_t)(uintptr_t)src->at;
        return shm_names_plain(c, src, nbytes);
    }
    trncclResult_t result =
        env->publish(env->context, env->places[c->base.peer].process_index, region);
    if (result != trncclSuccess) {
        c->base.error = result;
        return false;
    }
    *id = region->id;
    *offset = (uint64_t)((const char *)src->at - region->base);
    return true;
}

/* Reads a peer's plain memory to `landing`, or into the connection's bounce buffer. */
static void *shm_read_plain(struct ring_conn *c, uint64_t address, size_t nbytes,
                            void *landing)
{
    int peer = c->base.peer;
    if (!landing && nbytes <= TRANSPORT_MAX_MESSAGE) {
        if (!c->bounce)
            c->bounce = aligned_alloc(4096, TRANSPORT_MAX_MESSAGE);
        landing = c->bounce;
    }
    if (!landing) {
        c->base.error =
            error_set(trncclSystemError, "no memory to copy %zu bytes of rank %d's into",
                      nbytes, peer);
        return NULL;
    }
    pid_t pid = c->env->places[peer].pid;
    int error = cma_read(pid, landing, address, nbytes);
    if (error == ESRCH)
        c->base.error =
            error_set(trncclRemoteError, "rank %d (pid %d) died", peer, (int)pid);
    else if (error)
        c->base.error =
            error_set_errno(trncclSystemError, error,
                            "cannot read %zu bytes of rank %d (pid %d) with "
                            "process_vm_readv, which worked when the communicator was "
                            "created; TRNCCL_CMA=0 does without",
                            nbytes, peer, (int)pid);
    return error ? NULL : landing;
}

static void *shm_find(struct ring_conn *c, uint64_t id, uint64_t offset, size_t nbytes,
                      void *landing)
{
    const struct transport_env *env = c->env;
    void *address;
    if (id == SHM_PLAIN && env->plain_readable && *env->plain_readable)
        return shm_read_plain(c, offset, nbytes, landing);
    trncclResult_t result =
        env->resolve(env->context, env->places[c->base.peer].process_index, (uint32_t)id,
                     offset, nbytes, &address);
    if (result == trncclSuccess)
        return address;
    c->base.error = result;
    return NULL;
}

static const struct ring_memory shm_memory = {.describe = shm_describe, .find = shm_find};

static int shm_reach(const struct transport_place *mine,
                     const struct transport_place *peer)
{
    return memcmp(mine->host, peer->host, sizeof mine->host) == 0 ? 2 : -1;
}

static trncclResult_t shm_open_transport(const struct transport_env *env,
                                         struct transport **out)
{
    return ring_open(env, &transport_shm, &shm_memory, out);
}

const struct transport_ops transport_shm = {
    .name = "shm",
    .caps = TRANSPORT_ZERO_COPY,
    .reach = shm_reach,
    .open = shm_open_transport,
    .close = ring_close,
    .connect = ring_connect,
    .reserve = ring_reserve,
    .commit = ring_commit,
    .drained = ring_drained,
    .post = ring_post,
    .peek = ring_peek,
    .release = ring_release,
};
