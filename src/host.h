/* What the ranks of one communicator that live in one process share: the segment of this
 * host, the links to its other processes, the memory of theirs that is mapped here, and
 * the first fault. Made by the lowest rank of the process, found by the others through a
 * table.
 *
 * The fault is how a wait ends badly: a process that died, a rank that gave up, an abort.
 * It is set once, with its sentence; every waiting task looks at the flag. */
#ifndef TRNCCL_HOST_H
#define TRNCCL_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "boot/boot.h"
#include "transports/segment.h"
#include "transports/transport.h"
#include "watch/links.h"

/* What each rank tells the others while a communicator is created. Plain bytes. */
struct host_hello {
    uint32_t magic, version;
    int32_t nranks, rank;
    uint8_t host[16], process[16];
    int32_t pid, ncores, nchannels, nslots;
    uint32_t algo_digest, transport_digest; /* of what is forced; all ranks must agree */
    char algo[64], transport[64];           /* the same for messages, perhaps cut */
    uint32_t schedule_digest;               /* of the imported schedule, 0: none */
    uint64_t slice_nbytes, lend_nbytes;
    uint64_t identity; /* where `process` lies, for others to read; 0: they must not */
    char hostname[64];
    struct links_address address;
};

struct host {
    uint8_t key[32]; /* names the communicator in this process's table */
    int refs;        /* guarded by the table's lock */
    struct segment *segment;
    struct links *links; /* NULL if all local ranks are in this process */
    int nprocesses, process_index;
    int *process_pid;  /* [nprocesses] */
    int *process_rank; /* [nprocesses] lowest rank of each */
    char hostname[64];

    atomic_int
        fault; /* trncclResult_t, 0: none; fault_text is complete before it is set */
    pthread_mutex_t fault_lock;
    char fault_text[ERROR_TEXT_BYTES];

    /* What was published to whom is guarded by publish_lock, what of others is mapped by
     * memory_lock. */
    pthread_mutex_t publish_lock, memory_lock;
    struct host_peer_memory *memory; /* owned [nprocesses] */
};

/* Fills what is the same for every rank of this process: host, process, pid, hostname. */
trncclResult_t host_identify(struct host_hello *hello);

struct host_args {
    const struct host_hello *hellos;      /* [nranks], of all ranks */
    const struct transport_place *places; /* [nranks] */
    int nranks, rank;
    uint64_t deadline_ns;
    const atomic_int *abort;
};

/* Joins or makes the process's share. links is this rank's listening end: taken over
 * (used if this is the lowest rank of its process, else closed). */
trncclResult_t host_get(const struct host_args *args, struct links *links,
                        struct host **out);
/* Gives it back; the last one says goodbye to the other processes. NULL is allowed. */
void host_put(struct host *h);

/* Sets the first fault (later ones are ignored), wakes the sleeping ranks of this process
 * and, if `tell`, lets the other processes know. */
void host_fault(struct host *h, trncclResult_t result, bool tell, const char *text);
/* The fault as this thread's error text; returns its code. */
trncclResult_t host_fault_error(struct host *h);

/* What travels over the links, with one file descriptor. */
enum host_message_kind { HOST_SEGMENT = 1, HOST_REGION = 2 };
struct host_message {
    uint32_t kind;
    uint32_t id, index; /* of the region: mem/region.h */
    uint32_t unused;    /* no padding: all bytes travel */
    uint64_t nbytes;
};

/* The transport environment's calls; context is the host. Any thread. */
trncclResult_t host_publish(void *host, int process_index,
                            const struct mem_region *region);
trncclResult_t host_resolve(void *host, int process_index, uint32_t id, uint64_t offset,
                            size_t nbytes, void **address);
/* Takes in what that process has published. From the links thread, when it waits. */
void host_memory_take(struct host *h, int process);
/* The tables; once nprocesses is known. */
trncclResult_t host_memory_init(struct host *h);
/* Unmaps everything; called by host_put. */
void host_memory_fini(struct host *h);

#endif
