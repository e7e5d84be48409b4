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
 * system costs more than staging. Measured: see HACKING. */
#define SHM_PLAIN_NBYTES 8192

extern const struct transport_ops transport_shm;

static bool shm_inside(const struct mem_region *region, const void *p, size_t nbytes)
{
    return region && (const char *)p >= region->base &&
           (const char *)p + nbytes <= region->base + region->nbytes;
}

static bool shm_describe(struct ring_conn *c, const void *p, size_t nbytes,
                         const struct mem_region *region, uint64_t *id, uint64_t *offset)
{
    const struct transport_env *env = c->env;
    if (!shm_inside(region, p, nbytes)) {
        *id = SHM_PLAIN;
        *offset = (uint64_t)(uintptr_t)p;

        return nbytes >= SHM_PLAIN_NBYTES && c->base.outgoing && env->plain_readable &&
               *env->plain_readable;
    }
    trncclResult_t result =
        env->publish(env->context, env->places[c->base.peer].process_index, region);
    if (result != trncclSuccess) {
        c->base.error = result;
        return false;
    }
    *id = region->id;
    *offset = (uint64_t)((const char *)p - region->base);
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
