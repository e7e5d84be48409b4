#include "call_check.h"

#include <stdio.h>
#include <string.h>

/* A peer may be just about to write its record; after this long it is compared. */
#define COMPARE_AFTER_NS 1000000

struct record {
    uint64_t seq, count;
    uint32_t sig;
    int coll, type, op, v, root;
};

static struct segment_rank *page_of(const struct trncclComm *c, int rank)
{
    return segment_rank(c->host->segment, c->places[rank].local_index);
}

/* A peer's record of collective `seq`, if it is still there; torn copies are refused. */
static bool record_read(const struct segment_rank *page, uint64_t seq, struct record *out)
{
    const struct segment_record *r = &page->records[seq % SEGMENT_RECORDS];
    /* Pairs with the store in call.c's write_record. */
    if (atomic_load_explicit(&r->seq, memory_order_acquire) != seq)
        return false;
    *out = (struct record){.seq = seq,
                           .count = r->count,
                           .sig = r->sig,
                           .coll = r->coll,
                           .type = r->type,
                           .op = r->op,
                           .v = r->v,
                           .root = r->root};
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&r->seq, memory_order_relaxed) == seq;
}

static const char *known(const char *name)
{
    return name ? name : "unknown";
}

static void describe(char *text, size_t nbytes, const struct record *r)
{
    size_t n = (size_t)snprintf(text, nbytes, "%s%s of %llu %s",
                                sched_coll_name((enum sched_coll)r->coll),
                                r->v ? "_v" : "", (unsigned long long)r->count,
                                known(combine_type_name((trncclDataType_t)r->type)));
    if (n < nbytes && r->op != COMBINE_COPY)
        n +=
            (size_t)snprintf(text + n, nbytes - n, ", %s", known(combine_op_name(r->op)));
    if (n < nbytes && sched_coll_rooted((enum sched_coll)r->coll))
        snprintf(text + n, nbytes - n, ", root %d", (int)r->root);
}

static void describe_call(char *text, size_t nbytes, const struct call *c)
{
    struct record r = {.count = c->count,
                       .coll = (int)c->coll,
                       .type = (int)c->type,
                       .op = c->op,
                       .v = c->v,
                       .root = c->root};
    if (c->kind == CALL_COLLECTIVE) {
        describe(text, nbytes, &r);
        return;
    }
    snprintf(text, nbytes, "%s of %zu %s %s rank %d",
             c->kind == CALL_SEND ? "send" : "receive", c->count,
             known(combine_type_name(c->type)), c->kind == CALL_SEND ? "to" : "from",
             c->root);
}

static void append(char *text, size_t nbytes, const char *field)
{
    size_t n = strlen(text);
    snprintf(text + n, nbytes - n, "%s%s", n ? ", " : "", field);
}

/* The fields in which two records differ, by name. */
static void differences(char *text, size_t nbytes, const struct record *a,
                        const struct record *b)
{
    text[0] = 0;
    if (a->coll != b->coll || a->v != b->v)
        append(text, nbytes, "operation");
    if (a->count != b->count)
        append(text, nbytes, "count");
    if (a->type != b->type)
        append(text, nbytes, "type");
    if (a->op != b->op)
        append(text, nbytes, "reduction");
    if (a->root != b->root)
        append(text, nbytes, "root");
    if (!text[0])
        append(text, nbytes, "counts of the ranks or pairs");
}

static trncclResult_t mismatch(const struct call *c, int peer, const struct record *mine,
                               const struct record *theirs)
{
    char a[160], b[160], fields[120];
    describe(a, sizeof a, mine);
    describe(b, sizeof b, theirs);
    differences(fields, sizeof fields, mine, theirs);
    return error_set(
        trncclInvalidUsage,
        "ranks disagree in %s: collective #%llu is %s on rank %d (pid %d) and %s "
        "on rank %d (host %s, pid %d)",
        fields, (unsigned long long)mine->seq, a, c->comm->rank, c->comm->pid, b, peer,
        c->comm->host->hostname, c->comm->places[peer].pid);
}

/* Compares what a peer says it runs under this number with what this rank runs. */
static trncclResult_t compare_with(const struct call *c, int peer)
{
    struct record theirs, mine = {.seq = c->seq,
                                  .count = c->count,
                                  .coll = (int)c->coll,
                                  .type = (int)c->type,
                                  .op = c->op,
                                  .v = c->v,
                                  .root = c->root};
    if (c->kind != CALL_COLLECTIVE ||
        !record_read(page_of(c->comm, peer), c->seq, &theirs) || theirs.sig == c->sig)
        return trncclSuccess;
    return mismatch(c, peer, &mine, &theirs);
}

/* The same for the collectives before this one: two roots of a small broadcast both
 * finish before anyone can object. */
static trncclResult_t compare_past(const struct call *c, int peer)
{
    uint64_t last = atomic_load_explicit(&c->comm->mine->started, memory_order_relaxed);
    uint64_t seq = last < SEGMENT_RECORDS ? 1 : last - SEGMENT_RECORDS + 1;
    for (; seq <= last; seq++) {
        struct record mine, theirs;
        if (record_read(c->comm->mine, seq, &mine) &&
            record_read(page_of(c->comm, peer), seq, &theirs) && mine.sig != theirs.sig)
            return mismatch(c, peer, &mine, &theirs);
    }
    return trncclSuccess;
}

/* The transport refused a message, or failed. */
static trncclResult_t conn_failed(const struct call *c, const struct exec_blocked *b)
{
    int peer = b->conn->peer;
    if (b->conn->error != trncclInvalidUsage)
        return error_set(b->conn->error, "%s rank %d failed: %.700s", b->what, peer,
                         error_text());
    TRY(compare_past(c, peer));
    TRY(compare_with(c, peer));
    char text[160];
    describe_call(text, sizeof text, c);
    return error_set(
        trncclInvalidUsage,
        "ranks disagree: %s on rank %d met a message of %u bytes from rank %d "
        "(host %s, pid %d) that belongs to another operation, count or type",
        text, c->comm->rank, b->conn->found_nbytes, peer, c->comm->host->hostname,
        c->comm->places[peer].pid);
}

static trncclResult_t peer_left(const struct call *c, const struct exec_blocked *b)
{
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
    const struct segment_rank *page = page_of(c->comm, peer);
    uint64_t started = atomic_load(&page->started),
             completed = atomic_load(&page->completed);
    struct record r;
    char what[160] = "a collective";
    if (started && record_read(page, started, &r))
        describe(what, sizeof what, &r);
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
    uint64_t least = atomic_load(&page_of(comm, peer)->started);
    for (int r = 0; r < comm->nranks; r++) {
        bool here = memcmp(comm->places[r].host, comm->places[comm->rank].host,
                           sizeof comm->places[r].host) == 0;
        uint64_t started = here ? atomic_load(&page_of(comm, r)->started) : UINT64_MAX;
        if (started < least && started < c->seq) {
            least = started;
            peer = r;
        }
    }
    return peer;
}

static trncclResult_t timed_out(const struct call *c, const struct exec_blocked *b)
{
    char text[160], number[32] = "", seen[260] = "";
    describe_call(text, sizeof text, c);
    if (c->kind == CALL_COLLECTIVE)
        snprintf(number, sizeof number, " #%llu", (unsigned long long)c->seq);
    if (b->peer < 0)
        return error_set(trncclTimeout, "%s%s made no progress for %d ms on rank %d",
                         text, number, c->comm->timeout_ms, c->comm->rank);
    int late = laggard(c, b->peer);
    last_seen(seen, sizeof seen, c, late);
    /* The laggard comes first: others are told only the beginning. */
    return error_set(trncclTimeout,
                     "%s%s made no progress for %d ms: rank %d (host %s, pid %d) %s; "
                     "rank %d waits for %s rank %d (channel %d, step %d, round %d)",
                     text, number, c->comm->timeout_ms, late, c->comm->host->hostname,
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
        return conn_failed(c, &b);
    if (b.peer >= 0 && waited_ns > COMPARE_AFTER_NS)
        TRY(compare_with(c, b.peer));
    if (atomic_load_explicit(&comm->host->fault, memory_order_acquire)) {
        char text[160];
        describe_call(text, sizeof text, c);
        return error_set((trncclResult_t)atomic_load(&comm->host->fault),
                         "%.700s (while rank %d was in %s #%llu)", comm->host->fault_text,
                         comm->rank, text, (unsigned long long)c->seq);
    }
    if (b.peer >= 0 && waited_ns > COMPARE_AFTER_NS &&
        atomic_load(&page_of(comm, b.peer)->left)) {
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
