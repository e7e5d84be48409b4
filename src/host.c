#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transports/cma.h"
#include "util/clock.h"
#include "util/crypto.h"
#include "util/log.h"
#include "util/settings.h"

#define HELLO_MAGIC 0x74726e68u

/* ---- what the ranks of this process share, and a forked child must not ---- */

/* Communicators being created or in use by several ranks of this process. */
struct host_entry {
    uint8_t key[32];
    struct host *host; /* NULL while it is being made */
    trncclResult_t result;
    char text[ERROR_TEXT_BYTES];
    int users; /* ranks that hold or wait for it */
    struct host_entry *next;
};
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t table_changed = PTHREAD_COND_INITIALIZER;
static struct host_entry *table;

static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t process_id[16];
static pid_t process_id_pid; /* a forked child is another process and gets another id */

/* A forked child has copies of its parent's communicators, but none of their threads and
 * sockets: in the child each has a fault from the start. Its own memory, so the parent
 * sees nothing of it. */
static void fork_prepare(void)
{
    pthread_mutex_lock(&table_lock);
    pthread_mutex_lock(&process_lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&process_lock);
    pthread_mutex_unlock(&table_lock);
}

/* Only memory writes: the child of a threaded process may do little else. */
static void fork_child(void)
{
    static const char text[] = "this process was forked from the one that owns the "
                               "communicator and cannot use it";
    for (struct host_entry *e = table; e; e = e->next) {
        if (!e->host)
            continue;
        memcpy(e->host->fault_text, text, sizeof text);
        atomic_store(&e->host->fault, trncclInvalidUsage);
    }
    /* Whoever waited for it does not exist here, but the condition would wait for them.
     */
    table_changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    fork_parent();
}

static void fork_register(void)
{
    /* Fails only without memory; then a child is found out by its missing sockets. */
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* Before any of the locks is taken. */
static void fork_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fork_register);
}

/* ---- who we are ---- */

/* Ranks share memory if they share a kernel, and Unix sockets if they share its network
 * namespace: both make a host. */
static trncclResult_t host_id(uint8_t id[16])
{
    char text[256] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 64);
    if (fd >= 0)
        close(fd);
    struct stat net;
    if (n <= 0 || stat("/proc/self/ns/net", &net) < 0)
        return error_set_errno(trncclSystemError, errno,
                               "cannot tell which host this is: /proc is not readable");
    snprintf(text + n, sizeof text - (size_t)n, "net %llu",
             (unsigned long long)net.st_ino);
    crypto_generichash(id, 16, (const unsigned char *)text, strlen(text), NULL, 0);
    return trncclSuccess;
}

trncclResult_t host_identify(struct host_hello *hello)
{
    TRY(crypto_load());
    hello->magic = HELLO_MAGIC;
    hello->version = TRNCCL_VERSION_CODE;
    hello->pid = getpid();
    if (gethostname(hello->hostname, sizeof hello->hostname - 1) < 0)
        strcpy(hello->hostname, "unknown");
    fork_ready();
    pthread_mutex_lock(&process_lock);
    if (process_id_pid != getpid()) {
        randombytes_buf(process_id, sizeof process_id);
        process_id_pid = getpid();
    }
    memcpy(hello->process, process_id, sizeof process_id);
    hello->identity = settings_int(SETTINGS_CMA) ? (uint64_t)(uintptr_t)process_id : 0;
    pthread_mutex_unlock(&process_lock);
    if (hello->identity)
        cma_permit();
    return host_id(hello->host);
}

/* ---- the fault ---- */

static void wake_local_ranks(struct host *h)
{
    /* Pairs with segment_set: the links tell of a death as soon as they are up. */
    struct segment *s = __atomic_load_n(&h->segment, __ATOMIC_ACQUIRE);
    for (int i = 0; s && i < s->nranks; i++)
        segment_ring_slow(segment_rank(s, i));
}

void host_fault(struct host *h, trncclResult_t result, bool tell, const char *text)
{
    pthread_mutex_lock(&h->fault_lock);
    bool first = atomic_load(&h->fault) == 0;
    if (first) {
        snprintf(h->fault_text, sizeof h->fault_text, "%s", text);
        /* Pairs with the loads in exec/wait.c and host_fault_error. */
        atomic_store_explicit(&h->fault, (int)result, memory_order_release);
    }
    pthread_mutex_unlock(&h->fault_lock);
    if (!first)
        return;
    wake_local_ranks(h);
    if (tell && h->links)
        links_abort(h->links, text);
}

trncclResult_t host_fault_error(struct host *h)
{
    int result = atomic_load_explicit(&h->fault, memory_order_acquire);
    if (!result)
        return trncclSuccess;
    return error_set((trncclResult_t)result, "%s", h->fault_text);
}

/* From the links thread. */
static void on_link_event(void *context, int process, pid_t pid, enum links_event event,
                          const char *reason)
{
    struct host *h = context;
    char text[ERROR_TEXT_BYTES];
    int rank = h->process_rank[process];
    switch (event) {
    case LINKS_GOODBYE:
        return; /* its ranks have marked their pages; whoever waits for them sees that */
    case LINKS_FULL:
        host_memory_take(h, process);
        return;
    case LINKS_DIED:
        snprintf(text, sizeof text, "rank %d (host %s, pid %d) died", rank, h->hostname,
                 (int)pid);
        break;
    case LINKS_ABORTED:
        snprintf(text, sizeof text, "rank %d (host %s, pid %d) gave up: %s", rank,
                 h->hostname, (int)pid, reason ? reason : "no reason given");
        break;
    }
    host_fault(h, trncclRemoteError, false, text);
}

/* ---- making one ---- */

static void host_free(struct host *h)
{
    links_close(h->links);
    host_memory_fini(h);
    segment_destroy(h->segment);
    free(h->process_pid);
    free(h->process_rank);
    pthread_mutex_destroy(&h->fault_lock);
    pthread_mutex_destroy(&h->publish_lock);
    pthread_mutex_destroy(&h->memory_lock);
    free(h);
}

/* Finds the processes of this host, in order of their lowest rank. */
static trncclResult_t host_processes(struct host *h, const struct host_args *a,
                                     struct links_address **addresses, int *nlocal)
{
    h->process_pid = calloc(a->nranks, sizeof(int));
    h->process_rank = calloc(a->nranks, sizeof(int));
    *addresses = calloc(a->nranks, sizeof **addresses);
    if (!h->process_pid || !h->process_rank || !*addresses)
        return error_set(trncclSystemError, "out of memory for a table of %d ranks",
                         a->nranks);
    const struct host_hello *mine = &a->hellos[a->rank];
    *nlocal = 0;
    for (int r = 0; r < a->nranks; r++) {
        const struct host_hello *o = &a->hellos[r];
        if (memcmp(o->host, mine->host, sizeof o->host) != 0)
            continue;
        ++*nlocal;
        if (a->places[r].process_index < h->nprocesses)
            continue;
        h->process_pid[h->nprocesses] = o->pid;
        h->process_rank[h->nprocesses] = r;
        (*addresses)[h->nprocesses++] = o->address;
    }
    h->process_index = a->places[a->rank].process_index;
    return trncclSuccess;
}

static void segment_set(struct host *h, struct segment *s)
{
    __atomic_store_n(&h->segment, s, __ATOMIC_RELEASE);
}

/* The first process makes the segment and hands it to the others. */
static trncclResult_t host_segment(struct host *h, const struct host_args *a, int nlocal)
{
    const struct host_hello *mine = &a->hellos[a->rank];
    struct host_message m = {.kind = HOST_SEGMENT};
    struct segment *s = NULL;
    if (h->process_index == 0) {
        TRY(segment_create(nlocal, mine->nchannels, mine->nslots, &s));
        segment_set(h, s);
        m.nbytes = h->segment->nbytes;
        for (int p = 1; p < h->nprocesses; p++)
            TRY(links_send(h->links, p, &m, sizeof m, h->segment->fd));
        return trncclSuccess;
    }
    size_t nbytes = sizeof m;
    int fd = -1;
    TRY(links_recv(h->links, 0, &m, &nbytes, &fd, a->deadline_ns));
    if (nbytes != sizeof m || m.kind != HOST_SEGMENT || fd < 0) {
        if (fd >= 0)
            close(fd);
        return error_set(trncclInternalError,
                         "rank %d sent %zu bytes of kind %u where the shared segment was "
                         "expected",
                         h->process_rank[0], nbytes, m.kind);
    }
    TRY(segment_attach(fd, nlocal, mine->nchannels, mine->nslots, &s));
    segment_set(h, s);
    return trncclSuccess;
}

static trncclResult_t host_create(const struct host_args *a, struct links *links,
                                  struct host **out)
{
    struct host *h = calloc(1, sizeof *h);
    if (!h) {
        links_close(links);
        return error_set(trncclSystemError, "out of memory for a communicator");
    }
    pthread_mutex_init(&h->fault_lock, NULL);
    pthread_mutex_init(&h->publish_lock, NULL);
    pthread_mutex_init(&h->memory_lock, NULL);
    memcpy(h->hostname, a->hellos[a->rank].hostname, sizeof h->hostname);
    h->links = links;
    int nlocal = 0;
    struct links_address *addresses = NULL;
    trncclResult_t result = host_processes(h, a, &addresses, &nlocal);
    if (result == trncclSuccess && h->nprocesses == 1) {
        links_close(h->links);
        h->links = NULL;
    }
    if (result == trncclSuccess)
        result = host_memory_init(h);
    if (result == trncclSuccess && h->links)
        result = links_connect(h->links, addresses, h->nprocesses, h->process_index,
                               a->deadline_ns, a->abort, on_link_event, h);
    if (result == trncclSuccess)
        result = host_segment(h, a, nlocal);
    free(addresses);
    if (result != trncclSuccess) {
        host_free(h);
        return result;
    }
    *out = h;
    return trncclSuccess;
}

static struct host_entry *table_find(const uint8_t key[32])
{
    struct host_entry *e = table;
    while (e && memcmp(e->key, key, sizeof e->key) != 0)
        e = e->next;
    return e;
}

/* Called with the table locked. */
static void table_leave(struct host_entry *e)
{
    if (--e->users > 0)
        return;
    struct host_entry **at = &table;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    free(e);
}

static bool wait_over(const struct host_args *a, struct timespec *until)
{
    if (a->abort && atomic_load(a->abort))
        return true;
    clock_gettime(CLOCK_REALTIME, until);
    until->tv_nsec += 20000000;
    until->tv_sec += until->tv_nsec / 1000000000;
    until->tv_nsec %= 1000000000;
    return clock_now_ns() > a->deadline_ns;
}

/* A rank that is not the lowest of its process waits for that one's work. */
static trncclResult_t table_wait(struct host_entry *e, const struct host_args *a,
                                 struct host **out)
{
    struct timespec until;
    while (!e->host && e->result == trncclSuccess) {
        if (wait_over(a, &until)) {
            table_leave(e);
            return error_set(trncclTimeout,
                             "the first rank of this process did not finish "
                             "creating the communicator in time");
        }
        pthread_cond_timedwait(&table_changed, &table_lock, &until);
    }
    if (e->result != trncclSuccess) {
        trncclResult_t result = error_set(e->result, "%s", e->text);
        table_leave(e);
        return result;
    }
    *out = e->host;
    e->host->refs++;
    return trncclSuccess;
}

/* Called with the table locked; unlocks it while it works. */
static trncclResult_t table_make(struct host_entry *e, const struct host_args *a,
                                 struct links *links, struct host **out)
{
    struct host *h = NULL;
    pthread_mutex_unlock(&table_lock);
    trncclResult_t result = host_create(a, links, &h);
    pthread_mutex_lock(&table_lock);
    e->result = result;
    if (result == trncclSuccess) {
        memcpy(h->key, e->key, sizeof h->key);
        h->refs = 1;
        e->host = *out = h;
    } else {
        snprintf(e->text, sizeof e->text, "%s", error_text());
    }
    pthread_cond_broadcast(&table_changed);
    if (result != trncclSuccess)
        table_leave(e);
    return result;
}

trncclResult_t host_get(const struct host_args *a, struct links *links, struct host **out)
{
    fork_ready();
    uint8_t key[32];
    crypto_generichash(key, sizeof key, (const unsigned char *)a->hellos,
                       a->nranks * sizeof *a->hellos, NULL, 0);
    bool lowest = true;
    for (int r = 0; r < a->rank; r++)
        lowest &= memcmp(a->hellos[r].process, a->hellos[a->rank].process, 16) != 0;
    pthread_mutex_lock(&table_lock);
    struct host_entry *e = table_find(key);
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e) {
            pthread_mutex_unlock(&table_lock);
            links_close(links);
            return error_set(trncclSystemError, "out of memory for a communicator");
        }
        memcpy(e->key, key, sizeof key);
        e->next = table;
        table = e;
    }
    e->users++;
    trncclResult_t result;
    if (lowest)
        result = table_make(e, a, links, out);
    else
        result = table_wait(e, a, out);
    pthread_mutex_unlock(&table_lock);
    if (!lowest)
        links_close(links);
    return result;
}

void host_put(struct host *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&table_lock);
    bool last = --h->refs == 0;
    table_leave(table_find(h->key));
    pthread_mutex_unlock(&table_lock);
    if (last)
        host_free(h);
}
