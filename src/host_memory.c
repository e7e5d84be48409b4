/* Memory of other processes: a region's memfd travels over the link before the first
 * message that names it, and is mapped when that message is read. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"
#include "util/clock.h"

/* How long a region that a message names may take to arrive: it was sent before the
 * message, so anything but an instant is a fault. */
#define REGION_WAIT_MS 2000

/* A region of another process, mapped here. */
struct mapping {
    uint32_t id;
    char *base;
    size_t nbytes;
};

/* What this process and one other know of each other's memory. Ids only grow, and both
 * lists are in order of arrival. */
struct host_peer_memory {
    uint32_t *published; /* ids it has been sent */
    size_t npublished, published_capacity;
    struct mapping *mappings;
    size_t nmappings, mappings_capacity;
    size_t recent; /* index of the mapping asked for last */
};

static trncclResult_t append(void **array, size_t n, size_t *capacity, size_t elem)
{
    if (n < *capacity)
        return trncclSuccess;
    size_t grown = *capacity ? 2 * *capacity : 8;
    void *p = realloc(*array, grown * elem);
    if (!p)
        return error_set(trncclSystemError, "out of memory for a table of shared memory");
    *array = p;
    *capacity = grown;
    return trncclSuccess;
}

/* Called with memory_lock held. */
static trncclResult_t peer_memory(struct host *h, int process,
                                  struct host_peer_memory **out)
{
    if (!h->memory) {
        h->memory = calloc((size_t)h->nprocesses, sizeof *h->memory);
        if (!h->memory)
            return error_set(trncclSystemError,
                             "out of memory for a table of shared memory");
    }
    *out = &h->memory[process];
    return trncclSuccess;
}

static trncclResult_t publish_locked(struct host *h, int process,
                                     const struct mem_region *region)
{
    struct host_peer_memory *m = NULL;
    TRY(peer_memory(h, process, &m));
    for (size_t i = m->npublished; i-- > 0;)
        if (m->published[i] == region->id)
            return trncclSuccess;
    TRY(append((void **)&m->published, m->npublished, &m->published_capacity,
               sizeof *m->published));
    struct host_message message = {
        .kind = HOST_REGION, .id = region->id, .nbytes = region->nbytes};
    TRY(links_send(h->links, process, &message, sizeof message, region->fd));
    m->published[m->npublished++] = region->id;
    return trncclSuccess;
}

trncclResult_t host_publish(void *context, int process_index,
                            const struct mem_region *region)
{
    struct host *h = context;
    pthread_mutex_lock(&h->memory_lock);
    trncclResult_t result = publish_locked(h, process_index, region);
    pthread_mutex_unlock(&h->memory_lock);
    return result;
}

static struct mapping *mapping_find(struct host_peer_memory *m, uint32_t id)
{
    if (m->recent < m->nmappings && m->mappings[m->recent].id == id)
        return &m->mappings[m->recent];
    for (size_t i = m->nmappings; i-- > 0;)
        if (m->mappings[i].id == id) {
            m->recent = i;
            return &m->mappings[i];
        }
    return NULL;
}

static trncclResult_t mapping_add(struct host *h, int process, struct host_peer_memory *m,
                                  const struct host_message *message, int fd)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < message->nbytes || seals < 0 ||
        !(seals & F_SEAL_SHRINK))
        return error_set(trncclInternalError,
                         "rank %d offered %llu bytes of shared memory in a file of %lld "
                         "bytes that may shrink",
                         h->process_rank[process], (unsigned long long)message->nbytes,
                         (long long)st.st_size);
    TRY(append((void **)&m->mappings, m->nmappings, &m->mappings_capacity,
               sizeof *m->mappings));
    void *p = mmap(NULL, message->nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return error_set_errno(
            trncclSystemError, errno, "cannot map %llu bytes of rank %d's memory",
            (unsigned long long)message->nbytes, h->process_rank[process]);
    madvise(p, message->nbytes, MADV_HUGEPAGE);
    m->mappings[m->nmappings++] =
        (struct mapping){.id = message->id, .base = p, .nbytes = message->nbytes};
    return trncclSuccess;
}

/* Reads what the process has sent until it has sent region `id`. */
static trncclResult_t mapping_fetch(struct host *h, int process,
                                    struct host_peer_memory *m, uint32_t id)
{
    uint64_t deadline = clock_deadline_ns(REGION_WAIT_MS);
    while (!mapping_find(m, id)) {
        struct host_message message;
        size_t nbytes = sizeof message;
        int fd = -1;
        TRY(links_recv(h->links, process, &message, &nbytes, &fd, deadline));
        trncclResult_t result =
            nbytes == sizeof message && message.kind == HOST_REGION && fd >= 0
                ? mapping_add(h, process, m, &message, fd)
                : error_set(trncclInternalError,
                            "rank %d sent %zu bytes where shared memory was expected",
                            h->process_rank[process], nbytes);
        if (fd >= 0)
            close(fd);
        TRY(result);
    }
    return trncclSuccess;
}

static trncclResult_t resolve_locked(struct host *h, int process, uint32_t id,
                                     uint64_t offset, size_t nbytes, void **address)
{
    struct host_peer_memory *m = NULL;
    TRY(peer_memory(h, process, &m));
    struct mapping *found = mapping_find(m, id);
    if (!found) {
        TRY(mapping_fetch(h, process, m, id));
        found = mapping_find(m, id);
    }
    if (offset > found->nbytes || nbytes > found->nbytes - offset)
        return error_set(trncclInternalError,
                         "rank %d named bytes %llu..+%zu of a shared memory of %zu bytes",
                         h->process_rank[process], (unsigned long long)offset, nbytes,
                         found->nbytes);
    *address = found->base + offset;
    return trncclSuccess;
}

trncclResult_t host_resolve(void *context, int process_index, uint32_t id,
                            uint64_t offset, size_t nbytes, void **address)
{
    struct host *h = context;
    pthread_mutex_lock(&h->memory_lock);
    trncclResult_t result = resolve_locked(h, process_index, id, offset, nbytes, address);
    pthread_mutex_unlock(&h->memory_lock);
    return result;
}

void host_memory_fini(struct host *h)
{
    if (!h->memory)
        return;
    for (int p = 0; p < h->nprocesses; p++) {
        struct host_peer_memory *m = &h->memory[p];
        for (size_t i = 0; i < m->nmappings; i++)
            munmap(m->mappings[i].base, m->mappings[i].nbytes);
        free(m->mappings);
        free(m->published);
    }
    free(h->memory);
    h->memory = NULL;
}
