/* Ranks of one host: staged through the communicator's segment; memory from
 * trncclMemAlloc is lent by naming its region, which the peer maps once. */
#include <string.h>

#include "transports/ring.h"

extern const struct transport_ops transport_shm;

static bool shm_describe(struct ring_conn *c, const void *p, size_t nbytes,
                         const struct mem_region *region, uint64_t *id, uint64_t *offset)
{
    if (!region || (const char *)p < region->base ||
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

static void *shm_find(struct ring_conn *c, uint64_t id, uint64_t offset, size_t nbytes)
{
    const struct transport_env *env = c->env;
    void *address;
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
