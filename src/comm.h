/* A communicator: one rank's ranks, transports, connections, schedules and calls.
 *
 * Created by comm_create (comm.c); calls are prepared and run by call.c; api.c, group.c
 * and stream.c decide when and on which thread. */
#ifndef TRNCCL_COMM_H
#define TRNCCL_COMM_H

#include <pthread.h>

#include "exec/wait.h"
#include "host.h"
#include "plan/plan.h"
#include "turn.h"

#define COMM_MAGIC 0x636f6d6d /* "comm" */
/* Connections per pair of ranks: this many links for the schedules of algorithms, or as
 * many as an imported schedule names; one more for sends and receives. Each costs address
 * space in the segment (340 KiB with 4 slots) but no memory before it is used, and 8
 * bytes in the table of a peer that something is exchanged with. */
#define COMM_LINKS SCHED_ALGO_CHANNELS
#define COMM_MAX_REDOPS 1024

struct call;
struct call_cache;

/* A live registration; its address is the handle. */
struct comm_registration {
    struct comm_registration *next;
};

/* A pre-multiplied sum: a handle of trncclRedOpCreatePreMulSum. Calls copy it when they
 * are made: streams never look here. */
struct comm_redop {
    bool used;
    trncclDataType_t type;
    const void *device; /* read when the operation runs, or NULL: */
    uint8_t immediate[8];
};

struct trncclComm {
    uint32_t magic;
    int rank, nranks, device;
    int timeout_ms;
    char name[64];
    char token[2]; /* what a barrier sends and receives; nobody reads it */
    int pid;       /* of the process that made it: a forked child must not use it */

    struct host *host;              /* counted */
    struct transport_place *places; /* owned [nranks] */
    struct transport *
        *transports; /* owned, by index in transport_list; NULL: not opened */
    const struct transport_ops **reach; /* owned [nranks]: how each rank is reached */
    int nlinks; /* per pair of ranks; link number nlinks is of sends and receives */
    /* Owned [2 * nranks], of arrays [nlinks + 1] or NULL; all made on first use. */
    struct transport_conn ***conns;
    struct segment_rank *mine; /* this rank's page in the segment */
    struct exec_patience patience;
    size_t slice_nbytes, lend_nbytes;
    size_t copy_nbytes;  /* slice_nbytes for schedules that only copy */
    bool plain_readable; /* every process may read every other's memory */

    struct imported *imported; /* owned, of TRNCCL_SCHEDULE; or NULL */
    struct plan *plan;         /* owned */
    struct call_cache *cache;  /* owned: calls bound before */
    struct exec_run run;       /* the collective in progress */
    char *scratch;             /* TMP, owned */
    size_t scratch_nbytes;
    uint64_t seq;     /* collectives started */
    uint64_t history; /* hash of them all */
    const char *last_algo;

    struct turns turns;  /* of its calls; guards cache, run, scratch, seq, conns */
    struct call *newest; /* the last call_issue has seen; only within that */
    atomic_int kept;     /* calls that open groups keep: they have no ticket yet */

    struct comm_registration *registrations; /* owned list */
    struct comm_redop *redops;               /* owned [nredops] */
    int nredops;

    atomic_bool ready; /* created: all above is in place */
    atomic_int aborted;
    atomic_int async_result; /* of creation in the background and of queued calls */
    pthread_t creator;       /* when created in the background */
    bool has_creator;
    bool finalized;
    bool disagreed; /* found, and said, by trncclCommFinalize */
    pthread_mutex_t error_lock;
    char error_text[ERROR_TEXT_BYTES];
};

struct comm_args {
    int nranks, rank, device, nids;
    const trncclUniqueId *ids;
    int timeout_ms, init_timeout_ms;
    const char *name, *algo, *transport; /* may be NULL */
    trncclOobAllgather_t oob;
    void *oob_context;
};

/* A handle that knows who it is and nobody else, so that creation can go on in the
 * background and be aborted. */
trncclResult_t comm_allocate(const struct comm_args *args, struct trncclComm **out);
/* Joins the other ranks. On error the handle is left to be freed by comm_free. */
trncclResult_t comm_connect(struct trncclComm *c, const struct comm_args *args);
/* Frees everything; tells the others by the goodbye of the links. NULL is allowed. */
void comm_free(struct trncclComm *c);
/* After an abort: ends the calls of this process's ranks and tells the other processes.
 */
void comm_tell_abort(struct trncclComm *c);
/* Why comm_usable() refused. */
trncclResult_t comm_unusable(struct trncclComm *c);
/* trncclSuccess if calls may be made: created, not finalized, aborted or failed. */
static inline trncclResult_t comm_usable(struct trncclComm *c)
{
    if (__builtin_expect(/* Pairs with the store in comm_connect. */
                         atomic_load_explicit(&c->ready, memory_order_acquire) &&
                             !c->finalized &&
                             !atomic_load_explicit(&c->aborted, memory_order_relaxed) &&
                             /* Pairs with the store in host_fault. */
                             !atomic_load_explicit(&c->host->fault, memory_order_acquire),
                         1))
        return trncclSuccess;
    return comm_unusable(c);
}
/* Whether this is the process that made it, not a forked child: there its locks may be
 * held by threads that do not exist. */
bool comm_owned(const struct trncclComm *c);
/* Keeps `result`'s text (this thread's) as the communicator's last error; returns result.
 */
trncclResult_t comm_note(struct trncclComm *c, trncclResult_t result);
/* The connection to or from a peer over a link; an exec_connect_fn with context the
 * communicator. */
trncclResult_t comm_conn(struct trncclComm *c, int peer, int link, bool outgoing,
                         struct transport_conn **out);
/* What the library exchanges over a communicator itself. Such a call has a signature and
 * a name of its own, so it never meets one of the caller's. */
enum comm_exchange {
    COMM_NO_EXCHANGE, /* the caller's */
    COMM_SPLIT_CHOICES,
    COMM_SPLIT_IDS,
    COMM_WINDOW_SIZES,
};
/* The public function it is part of. */
const char *comm_exchange_name(enum comm_exchange exchange);
/* Gathers nbytes of every rank (blocking). */
trncclResult_t comm_allgather(struct trncclComm *c, enum comm_exchange exchange,
                              const void *mine, void *all, size_t nbytes);

#endif
