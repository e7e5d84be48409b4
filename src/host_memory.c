/* Memory of other processes: a region's memfd travels over the link before the first
 * message that names it, and is mapped when that message is read.
 *
 * Nobody is told when a region is freed. Its index goes to a later region, and when that
 * one comes along, the mapping of the old one goes: as many are mapped here as the other
 * process ever had at a time. Nobody here uses the old one any more. A call of its owner
 * succeeds only when all it lent has been given back and all it waited for has landed; one
 * that fails has set the fault before it returns, and a call that begins after that, which
 * could bring a later region along, is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
    uint32_t id, index;
    char *base;
    size_t nbytes;
};

/* What this process and one other know of each other's memory. */
struct host_peer_memory {
    uint32_t *published; /* by index: id of the region it was sent last, 0: none */
    size_t npublished;
    struct mapping *mappings; /* in order of id; no index twice */
    size_t nmappings, capacity;
    size_t recent; /* place of the mapping asked for last */
};

/* Grows an array to more than n elements. */
static trncclResult_t grow(void **array, size_t n, size_t *capacity, size_t elem)
{
    if (n < *capacity)
        return trncclSuccess;
    size_t grown = n < 8 ? 8 : 2 * n;
    char *p = realloc(*array, grown * elem);
    if (!p)
        return error_set(trncclSystemError, "out of memory for a table of shared memory");
    memset(p + *capacity * elem, 0, (grown - *capacity) * elem);
    *array = p;
    *capacity = grown;
    return trncclSuccess;
}

trncclResult_t host_memory_init(struct host *h)
{
    h->memory = calloc((size_t)h->nprocesses, sizeof *h->memory);
    return h->memory
               ? trncclSuccess
               : error_set(trncclSystemError, "out of memory for tables of %d processes",
                           h->nprocesses);
}

/* ---- this process's memory ---- */

static trncclResult_t publish_locked(struct host *h, int process,
                                     const struct mem_region *region)
{
    struct host_peer_memory *m = &h->memory[process];
    if (region->index < m->npublished && m->published[region->index] == region->id)
        return trncclSuccess;
    TRY(grow((void **)&m->published, region->index, &m->npublished,
             sizeof *m->published));
    struct host_message message = {.kind = HOST_REGION,
                                   .id = region->id,
                                   .index = region->index,
                                   .nbytes = region->nbytes};
    TRY(links_send(h->links, process, &message, sizeof message, region->fd));
    m->published[region->index] = region->id;
    return trncclSuccess;
}

/* A lock of its own: while this waits for room at the other process, that one may wait
 * for room here. */
trncclResult_t host_publish(void *context, int process_index,
                            const struct mem_region *region)
{
    struct host *h = context;
    pthread_mutex_lock(&h->publish_lock);
    trncclResult_t result = publish_locked(h, process_index, region);
    pthread_mutex_unlock(&h->publish_lock);
    return result;
}

/* ---- the others' memory ---- */

/* Where the mapping of that id is, or would be. */
static size_t mapping_place(const struct host_peer_memory *m, uint32_t id)
{
    size_t low = 0, high = m->nmappings;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (m->mappings[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct mapping *mapping_find(struct host_peer_memory *m, uint32_t id)
{
    if (m->recent >= m->nmappings || m->mappings[m->recent].id != id)
        m->recent = mapping_place(m, id);
    bool found = m->recent < m->nmappings && m->mappings[m->recent].id == id;
    return found ? &m->mappings[m->recent] : NULL;
}

/* The region that had this index has been freed. */
static void mapping_drop(struct host_peer_memory *m, uint32_t index)
{
    for (size_t i = 0; i < m->nmappings; i++) {
        if (m->mappings[i].index != index)
            continue;
        munmap(m->mappings[i].base, m->mappings[i].nbytes);
        m->nmappings--;
        memmove(m->mappings + i, m->mappings + i + 1,
                (m->nmappings - i) * sizeof *m->mappings);
        return;
    }
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
    mapping_drop(m, message->index);
    TRY(grow((void **)&m->mappings, m->nmappings, &m->capacity, sizeof *m->mappings));
    void *p = mmap(NULL, message->nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return error_set_errno(
            trncclSystemError, errno, "cannot map %llu bytes of rank %d's memory",
            (unsigned long long)message->nbytes, h->process_rank[process]);
    madvise(p, message->nbytes, MADV_HUGEPAGE);
    size_t at = mapping_place(m, message->id);
    memmove(m->mappings + at + 1, m->mappings + at,
            (m->nmappings - at) * sizeof *m->mappings);
    m->mappings[at] = (struct mapping){
        .id = message->id, .index = message->index, .base = p, .nbytes = message->nbytes};
    m->nmappings++;
    return trncclSuccess;
}

/* Takes one message of the process, which must be a region, and maps that. */
static trncclResult_t mapping_take(struct host *h, int process, uint64_t deadline_ns)
{
    struct host_message message;
    size_t nbytes = sizeof message;
    int fd = -1;
    TRY(links_recv(h->links, process, &message, &nbytes, &fd, deadline_ns));
    trncclResult_t result =
        nbytes == sizeof message && message.kind == HOST_REGION && fd >= 0
            ? mapping_add(h, process, &h->memory[process], &message, fd)
            : error_set(trncclInternalError,
                        "rank %d sent %zu bytes where shared memory was expected",
                        h->process_rank[process], nbytes);
    if (fd >= 0)
        close(fd);
    return result;
}

void host_memory_take(struct host *h, int process)
{
    trncclResult_t result = trncclSuccess;
    pthread_mutex_lock(&h->memory_lock);
    while (result == trncclSuccess && links_pending(h->links, process))
        result = mapping_take(h, process, clock_deadline_ns(REGION_WAIT_MS));
    pthread_mutex_unlock(&h->memory_lock);
    if (result != trncclSuccess)
        host_fault(h, result, true, error_text());
}

static trncclResult_t resolve_locked(struct host *h, int process, uint32_t id,
                                     uint64_t offset, size_t nbytes, void **address)
{
    struct host_peer_memory *m = &h->memory[process];
    struct mapping *found = mapping_find(m, id);
    if (!found) {
        uint64_t deadline_ns = clock_deadline_ns(REGION_WAIT_MS);
        while (!(found = mapping_find(m, id)))
            TRY(mapping_take(h, process, deadline_ns));
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
    for (int p = 0; h->memory && p < h->nprocesses; p++) {
        struct host_peer_memory *m = &h->memory[p];
        for (size_t i = 0; i < m->nmappings; i++)
            munmap(m->mappings[i].base, m->mappings[i].nbytes);
        free(m->mappings);
        free(m->published);
    }
    free(h->memory);
    h->memory = NULL;
}
