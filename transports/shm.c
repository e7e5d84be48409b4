/* Ranks of one host: staged through the communicator's segment; memory from
 * trncclMemAlloc is lent by naming its region, which the peer maps once.
 *
 * With TRNCCL_CMA=1 plain memory is lent too: the peer reads it with process_vm_readv.
 * Off by default: an early comparison had it lose to staging (2.3 us a call, pages pinned
 * each time), and here it goes through a bounce buffer. That is not the last word: Open
 * MPI's single copy beats our staging in all-gather of 64 KiB and more when a cache line
 * takes 250 ns between cores (make bench, 2 ranks). */
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <string.h>

#include "transports/ring.h"
#include "util/settings.h"

/* The region id of plain memory, named by its address in the sender. */
#define SHM_PLAIN 0

extern const struct transport_ops transport_shm;

static bool shm_describe(struct ring_conn *c, const void *p, size_t nbytes,
                         const struct mem_region *region, uint64_t *id, uint64_t *offset)
{
    if (!region) {
        *id = SHM_PLAIN;
        *offset = (uint64_t)(uintptr_t)p;
        return settings_int(SETTINGS_CMA);
    }
    if ((const char *)p < region->base ||
        (const char *)p + nbytes > region->base + region->nbytes)
        return false;
    const struct transport_env *env = c->env;
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

/* Reads a peer's plain memory into the connection's bounce buffer. */
static void *shm_read_plain(struct ring_conn *c, uint64_t address, size_t nbytes)
{
    if (!c->bounce)
        c->bounce = malloc(TRANSPORT_MAX_MESSAGE);
    struct iovec here = {c->bounce, nbytes}, there = {(void *)(uintptr_t)address, nbytes};
    pid_t pid = c->env->places[c->base.peer].pid;
    if (!c->bounce || nbytes > TRANSPORT_MAX_MESSAGE)
        c->base.error =
            error_set(trncclSystemError, "no memory to copy %zu bytes of rank %d's into",
                      nbytes, c->base.peer);
    else if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)nbytes)
        c->base.error =
            error_set_errno(trncclSystemError, errno,
                            "cannot read %zu bytes of rank %d (pid %d) with "
                            "process_vm_readv; unset TRNCCL_CMA where the system "
                            "does not permit it",
                            nbytes, c->base.peer, (int)pid);
    return c->base.error ? NULL : c->bounce;
}

static void *shm_find(struct ring_conn *c, uint64_t id, uint64_t offset, size_t nbytes)
{
    const struct transport_env *env = c->env;
    void *address;
    if (id == SHM_PLAIN && settings_int(SETTINGS_CMA))
        return shm_read_plain(c, offset, nbytes);
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
    /* Where Yama guards process memory the reader needs the owner's leave. */
    if (settings_int(SETTINGS_CMA))
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
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
