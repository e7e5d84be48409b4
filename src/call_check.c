#include "call_check.h"

#include <stdio.h>
#include <string.h>

#include "record.h"

/* A peer may be just about to write its record; after this long it is compared. */
#define COMPARE_AFTER_NS 1000000
/* Room for a cause inside a sentence about it. */
#define CAUSE_BYTES (ERROR_TEXT_BYTES - 300)

static void describe_call(char *text, size_t nbytes, const struct call *c)
{
    struct record r = {.count = c->count,
                       .coll = (int)c->coll,
                       .type = (int)c->type,
                       .op = c->op,
                       .v = c->v,
                       .exchange = (int)c->exchange,
                       .root = c->root};
    if (c->kind == CALL_COLLECTIVE) {
        record_describe(text, nbytes, &r);
        return;
    }
    snprintf(text, nbytes, "%s of %zu %s %s rank %d",
             c->kind == CALL_SEND ? "send" : "receive", c->count,
             combine_type_name(c->type), c->kind == CALL_SEND ? "to" : "from", c->root);
}

/* The same with its number, which only collectives have. */
static void describe_numbered(char *text, size_t nbytes, const struct call *c)
{
    describe_call(text, nbytes, c);
    size_t n = strlen(text);
    if (c->kind == CALL_COLLECTIVE)
        snprintf(text + n, nbytes - n, " #%llu", (unsigned long long)c->seq);
}

static trncclResult_t transfer_failed(const struct exec_blocked *b)
{
    char cause[CAUSE_BYTES];
    return error_set(b->conn->error, "%s rank %d failed: %s", b->what, b->conn->peer,
                     error_cut(cause, sizeof cause, error_text()));
}

/* What is wrong with a message that carries `found` where `expected` was. */
static const char *strangeness(const struct call *c, uint32_t found, uint32_t expected)
{
    if (c->kind != CALL_COLLECTIVE)
        return "which has another count or type";
    if (found == expected) /* a v-form whose counts only two ranks know */
        return "which does not fit the counts of this rank";
    return "which belongs to another operation, count or type, or follows a collective "
           "in which the two disagreed";
}

/* The transport refused a message, or failed. */
static trncclResult_t conn_failed(const struct call *c, const struct exec_blocked *b,
                                  uint32_t sig)
{
    int peer = b->conn->peer;
    if (b->conn->error != trncclInvalidUsage)
        return transfer_failed(b);
    TRY(record_compare(c->comm, peer));
    char text[160];
    describe_call(text, sizeof text, c);
    return error_set(trncclInvalidUsage,
                     "ranks disagree: %s on rank %d met a message of %u bytes from rank "
                     "%d (host %s, pid %d), %s",
                     text, c->comm->rank, b->conn->found_nbytes, peer,
                     c->comm->host->hostname, c->comm->places[peer].pid,
                     strangeness(c, b->conn->found_sig, sig));
}

static trncclResult_t peer_left(const struct call *c, const struct exec_blocked *b)
{
    TRY(record_compare_all(c->comm));
    char text[160];
    describe_call(text, sizeof text, c);
    return error_set(
        trncclRemoteError,
        "rank %d (host %s, pid %d) has left the communicator, but rank %d waits "
        "for %s it in %s",
        b->peer, c->comm->host->hostname, c->comm->places[b->peer].pid, c->comm->rank,
        b->what, text);
}

/* What a peer was last seen doing. */
static void last_seen(char *text, size_t nbytes, const struct call *c, int peer)
{
    const struct segment_rank *page = record_page(c->comm, peer);
    uint64_t started = atomic_load(&page->started),
             completed = atomic_load(&page->completed);
    struct record r;
    char what[160] = "a collective";
    if (started && record_read(page, started, &r))
        record_describe(what, sizeof what, &r);
    if (!started)
        snprintf(text, nbytes, "has not started any collective");
    else
        snprintf(text, nbytes, "was last seen %s #%llu (%s)",
                 started == completed ? "completing" : "in", (unsigned long long)started,
                 what);
}

/* The rank to blame: the peer waited for, unless that waits itself in this collective and
 * another has not come to it yet. */
static int laggard(const struct call *c, int peer)
{
    if (c->kind != CALL_COLLECTIVE)
        return peer;
    const struct trncclComm *comm = c->comm;
    uint64_t least = atomic_load(&record_page(comm, peer)->started);
    for (int r = 0; r < comm->nranks; r++) {
        bool here = memcmp(comm->places[r].host, comm->places[comm->rank].host,
                           sizeof comm->places[r].host) == 0;
        uint64_t started =
            here ? atomic_load(&record_page(comm, r)->started) : UINT64_MAX;
        if (started < least && started < c->seq) {
            least = started;
            peer = r;
        }
    }
    return peer;
}

static trncclResult_t timed_out(const struct call *c, const struct exec_blocked *b)
{
    TRY(record_compare_all(c->comm));
    char text[192], seen[260] = "";
    describe_numbered(text, sizeof text, c);
    if (b->peer < 0)
        return error_set(trncclTimeout, "%s made no progress for %d ms on rank %d", text,
                         c->comm->timeout_ms, c->comm->rank);
    int late = laggard(c, b->peer);
    last_seen(seen, sizeof seen, c, late);
    /* The laggard comes first: others are told only the beginning. */
    return error_set(trncclTimeout,
                     "%s made no progress for %d ms: rank %d (host %s, pid %d) %s; "
                     "rank %d waits for %s rank %d (channel %d, step %d, round %d)",
                     text, c->comm->timeout_ms, late, c->comm->host->hostname,
                     c->comm->places[late].pid, seen, c->comm->rank, b->what, b->peer,
                     b->channel, b->step, b->round);
}

trncclResult_t call_check(void *context, const struct exec_run *run, uint64_t waited_ns)
{
    struct call *c = context;
    struct trncclComm *comm = c->comm;
    if (atomic_load(&comm->aborted))
        return error_set(trncclAborted, "rank %d: %s was ended by trncclCommAbort",
                         comm->rank, c->name);
    struct exec_blocked b = exec_run_blocked(run);
    if (b.conn && b.conn->error)
        return conn_failed(c, &b, run->sig);
    if (b.peer >= 0 && waited_ns > COMPARE_AFTER_NS)
        TRY(record_compare(comm, b.peer));
    if (atomic_load_explicit(&comm->host->fault, memory_order_acquire)) {
        char text[192], cause[CAUSE_BYTES];
        describe_numbered(text, sizeof text, c);
        return error_set((trncclResult_t)atomic_load(&comm->host->fault),
                         "%s (while rank %d was in %s)",
                         error_cut(cause, sizeof cause, comm->host->fault_text),
                         comm->rank, text);
    }
    if (b.peer >= 0 && waited_ns > COMPARE_AFTER_NS &&
        atomic_load(&record_page(comm, b.peer)->left)) {
        /* It may have left right after the message we wait for: look for that once more.
         */
        if (c->left_seen)
            return peer_left(c, &b);
        c->left_seen = true;
    }
    if (comm->timeout_ms > 0 && waited_ns > (uint64_t)comm->timeout_ms * 1000000)
        return timed_out(c, &b);
    return trncclSuccess;
}
