#include "record.h"

#include <stdio.h>
#include <string.h>

bool record_read(const struct segment_rank *page, uint64_t seq, struct record *out)
{
    const struct segment_record *r = &page->records[seq % SEGMENT_RECORDS];
    /* Pairs with the store in record_write. */
    uint64_t mark = atomic_load_explicit(&r->mark, memory_order_acquire);
    if (mark >> 32 != (uint32_t)seq)
        return false;
    uint32_t what = atomic_load_explicit(&r->what, memory_order_relaxed);
    *out = (struct record){.seq = seq,
                           .count = atomic_load_explicit(&r->count, memory_order_relaxed),
                           .sig = atomic_load_explicit(&r->sig, memory_order_relaxed),
                           .history = (uint32_t)mark,
                           .coll = (int)(what & 0xff),
                           .type = (int)(what >> 8 & 0xff),
                           .op = (int)(what >> 16 & 0xff),
                           .v = (int)(what >> 24 & 1),
                           .exchange = (int)(what >> 25),
                           .root = atomic_load_explicit(&r->root, memory_order_relaxed)};
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&r->mark, memory_order_relaxed) == mark;
}

static const char *known(const char *name)
{
    return name ? name : "unknown";
}

void record_describe(char *text, size_t nbytes, const struct record *r)
{
    const char *name = sched_coll_name((enum sched_coll)r->coll);
    const char *type = known(combine_type_name((trncclDataType_t)r->type));
    size_t n;
    if (r->exchange)
        n = (size_t)snprintf(text, nbytes, "an exchange of %s",
                             comm_exchange_name(r->exchange));
    else if (r->coll == SCHED_BARRIER)
        n = (size_t)snprintf(text, nbytes, "%s", name);
    else if (r->v) /* each rank has a count of its own */
        n = (size_t)snprintf(text, nbytes, "%s_v of %s", name, type);
    else
        n = (size_t)snprintf(text, nbytes, "%s of %llu %s", name,
                             (unsigned long long)r->count, type);
    if (n < nbytes && r->op != COMBINE_COPY)
        n +=
            (size_t)snprintf(text + n, nbytes - n, ", %s", known(combine_op_name(r->op)));
    if (n < nbytes && sched_coll_rooted((enum sched_coll)r->coll))
        snprintf(text + n, nbytes - n, ", root %d", (int)r->root);
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
    if (a->coll != b->coll || a->v != b->v || a->exchange != b->exchange) {
        append(text, nbytes, "operation"); /* whose arguments cannot be compared */
        return;
    }
    if (!a->v && a->count != b->count)
        append(text, nbytes, "count");
    if (a->type != b->type)
        append(text, nbytes, "type");
    if (a->op != b->op)
        append(text, nbytes, "reduction");
    if (a->root != b->root)
        append(text, nbytes, "root");
    if (!text[0])
        append(text, nbytes, a->v ? "the counts of the ranks" : "pairs");
}

static trncclResult_t mismatch(const struct trncclComm *c, int peer,
                               const struct record *mine, const struct record *theirs)
{
    char a[160], b[160], fields[120];
    record_describe(a, sizeof a, mine);
    record_describe(b, sizeof b, theirs);
    differences(fields, sizeof fields, mine, theirs);
    return error_set(trncclInvalidUsage,
                     "ranks disagree in %s: collective #%llu is %s on rank %d (pid %d) "
                     "and %s on rank %d (host %s, pid %d)",
                     fields, (unsigned long long)mine->seq, a, c->rank, c->pid, b, peer,
                     c->host->hostname, c->places[peer].pid);
}

/* They differ in what is on record, but only because they did so before. */
static trncclResult_t mismatch_before(const struct trncclComm *c, int peer, uint64_t seq)
{
    return error_set(trncclInvalidUsage,
                     "ranks disagree in some collective before #%llu, of which there is "
                     "no record any more: rank %d (pid %d) and rank %d (host %s, pid %d)",
                     (unsigned long long)seq, c->rank, c->pid, peer, c->host->hostname,
                     c->places[peer].pid);
}

trncclResult_t record_compare(const struct trncclComm *c, int peer)
{
    const struct segment_rank *page = record_page(c, peer);
    uint64_t newest = atomic_load_explicit(&c->mine->started, memory_order_relaxed);
    /* Its mark is the one that counts; this says only where to look. */
    uint64_t theirs_newest = atomic_load_explicit(&page->started, memory_order_relaxed);
    newest = theirs_newest < newest ? theirs_newest : newest;
    struct record mine, theirs;
    if (!record_read(c->mine, newest, &mine) || !record_read(page, newest, &theirs) ||
        mine.history == theirs.history)
        return trncclSuccess;
    uint64_t seq = newest < SEGMENT_RECORDS ? 1 : newest - SEGMENT_RECORDS + 1;
    for (; seq <= newest; seq++)
        if (record_read(c->mine, seq, &mine) && record_read(page, seq, &theirs) &&
            mine.history != theirs.history)
            break;
    if (seq > newest || mine.sig == theirs.sig)
        return mismatch_before(c, peer, seq > newest ? newest : seq);
    return mismatch(c, peer, &mine, &theirs);
}

trncclResult_t record_compare_all(const struct trncclComm *c)
{
    const struct transport_place *me = &c->places[c->rank];
    /* Pairs with itself on the other rank: one of the two comes second and sees the
     * other's records. */
    atomic_thread_fence(memory_order_seq_cst);
    for (int r = 0; r < c->nranks; r++)
        if (r != c->rank && !memcmp(c->places[r].host, me->host, sizeof me->host))
            TRY(record_compare(c, r));
    return trncclSuccess;
}
