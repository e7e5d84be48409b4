#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "call_check.h"
#include "mem/alloc.h"

/* Results of this size and more are written past the cache: measured, AMD EPYC 7003 with
 * 32 MiB of level 3 shared by two cores; below it the next reader finds them in the
 * cache. */
#define STREAM_NBYTES ((size_t)8 << 20)

/* ---- the cache ---- */

#define CACHE_ENTRIES 64 /* power of two */

/* What makes two calls alike. Compared as bytes: keep it without padding. */
struct call_key {
    uint64_t count;
    int32_t root;
    uint8_t kind, coll, type, op, inplace, zero[3];
};

struct call_entry {
    struct call_key key;
    struct exec_program *program; /* owned; NULL: empty */
    struct sched *sched_owned; /* of sends and receives, whose schedules have no cache */
    struct combine combine;
    uint32_t sig;
    int pins; /* calls prepared with it and not finished */
};

struct call_cache {
    struct call_entry entries[CACHE_ENTRIES];
};

static void entry_clear(struct call_entry *e)
{
    exec_program_destroy(e->program);
    sched_destroy(e->sched_owned);
    *e = (struct call_entry){0};
}

trncclResult_t call_cache_create(struct call_cache **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? trncclSuccess : error_set(trncclSystemError, "out of memory for calls");
}

void call_cache_destroy(struct call_cache *c)
{
    for (int i = 0; c && i < CACHE_ENTRIES; i++)
        entry_clear(&c->entries[i]);
    free(c);
}

static inline uint64_t mix(uint64_t x)
{
    /* The finalizer of MurmurHash3 (Appleby 2011): every input bit reaches every output
     * bit. */
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

static inline struct call_key call_key(const struct call *c)
{
    return (struct call_key){.count = c->count,
                             .root = c->root,
                             .kind = (uint8_t)c->kind,
                             .coll = (uint8_t)c->coll,
                             .type = (uint8_t)c->type,
                             .op = (uint8_t)c->op,
                             .inplace = c->inplace};
}

/* ---- shapes ---- */

/* Whether the call is in place, as its collective defines it. */
static inline bool call_inplace(const struct call *c)
{
    const char *send = c->send, *recv = c->recv;
    size_t size = combine_type_nbytes(c->type), rank = (size_t)c->comm->rank;
    if (!send || !recv || c->kind != CALL_COLLECTIVE)
        return false;
    switch (c->coll) {
    case SCHED_ALL_GATHER:
        return send == recv + (c->v ? c->rdispls[rank] : rank * c->count) * size;
    case SCHED_REDUCE_SCATTER:
        return recv == send + (c->v ? c->sdispls[rank] : rank * c->count) * size;
    case SCHED_GATHER:
        return c->comm->rank == c->root &&
               send == recv + (c->v ? c->rdispls[rank] : rank * c->count) * size;
    case SCHED_SCATTER:
        return c->comm->rank == c->root &&
               recv == send + (c->v ? c->sdispls[rank] : rank * c->count) * size;
    case SCHED_BROADCAST:
    case SCHED_REDUCE:
        return send == recv && c->comm->rank == c->root;
    default:
        return send == recv;
    }
}

/* A hash of what all ranks must have in common; every message carries it. */
static uint32_t call_sig(const struct call *c)
{
    uint64_t h = mix((uint64_t)c->coll << 40 | (uint64_t)c->type << 32 |
                     (uint64_t)(uint8_t)c->op << 48 | (uint32_t)c->root);
    if (c->kind != CALL_COLLECTIVE)
        /* Both ends of a pair must agree, so neither its peer nor its direction counts.
         */
        return (uint32_t)mix(mix((uint64_t)c->type << 32 | 0x7032) ^ c->count);
    bool all_know =
        !c->v || c->coll == SCHED_ALL_GATHER || c->coll == SCHED_REDUCE_SCATTER;
    const size_t *counts = c->coll == SCHED_ALL_GATHER ? c->rcounts : c->scounts;
    for (int i = 0; c->v && all_know && i < c->comm->nranks; i++)
        h = mix(h ^ counts[i]);
    for (int i = 0; i < 2 * c->npairs; i++)
        h = mix(h ^ (uint32_t)c->pairs[i]);
    return (uint32_t)mix(h ^ (c->v ? 0x76 : c->count));
}

static void call_layout(const struct call *c, const struct sched *s, struct layout *l)
{
    size_t size = combine_type_nbytes(c->type);
    if (!c->v) {
        layout_init(l, s, size, c->count);
        return;
    }
    struct layout_blocks in = {.nblocks = s->shape.in_blocks, .nelems = c->count};
    struct layout_blocks out = {.nblocks = s->shape.out_blocks, .nelems = c->count};
    if (c->scounts && in.nblocks) {
        in.counts = c->scounts;
        in.displs = c->sdispls;
    }
    if (c->rcounts && out.nblocks) {
        out.counts = c->rcounts;
        out.displs = c->rdispls;
    }
    layout_init_v(l, s, size, &in, &out);
}

/* Bytes of one block, as far as every rank knows it: what the choice may depend on. */
static size_t call_block_nbytes(const struct call *c)
{
    size_t size = combine_type_nbytes(c->type), total = 0;
    if (!c->v)
        return c->count * size;
    const size_t *counts = c->coll == SCHED_ALL_GATHER       ? c->rcounts
                           : c->coll == SCHED_REDUCE_SCATTER ? c->scounts
                                                             : NULL;
    for (int i = 0; counts && i < c->comm->nranks; i++)
        total += counts[i];
    return total / (size_t)c->comm->nranks * size;
}

/* ---- binding ---- */

/* What a call has that the cache does not keep for it. */
struct call_owned {
    struct exec_program *program;
    struct sched *sched;
    struct exec_run *run; /* sends and receives have a run each */
    struct combine combine;
};

static trncclResult_t call_own(struct call *c)
{
    if (!c->owned)
        c->owned = calloc(1, sizeof *c->owned);
    return c->owned ? trncclSuccess
                    : error_set(trncclSystemError, "out of memory for %s", c->name);
}

struct connect_context {
    struct trncclComm *comm;
    int first_channel;
};

static trncclResult_t connect_channel(void *context, int peer, int channel, bool outgoing,
                                      struct transport_conn **out)
{
    struct connect_context *x = context;
    return comm_conn(x->comm, peer, x->first_channel + channel, outgoing, out);
}

/* The schedule of a send or a receive: a permute of the one pair. */
static trncclResult_t p2p_schedule(const struct call *c, struct sched **out)
{
    int32_t pair[2] = {c->kind == CALL_SEND ? c->comm->rank : c->root,
                       c->kind == CALL_SEND ? c->root : c->comm->rank};
    struct sched_args args = {.coll = SCHED_PERMUTE,
                              .nranks = c->comm->nranks,
                              .rank = c->comm->rank,
                              .pairs = pair,
                              .npairs = 1};
    return algo_build(algo_find(SCHED_PERMUTE, "direct"), &args, out);
}

static trncclResult_t call_schedule(struct call *c, const struct sched **out)
{
    if (c->kind != CALL_COLLECTIVE) {
        TRY(p2p_schedule(c, &c->owned->sched));
        *out = c->owned->sched;
        return trncclSuccess;
    }
    struct plan_call p = {
        .coll = c->coll,
        .v = c->v,
        .nbytes = call_block_nbytes(c),
        .root = c->root,
        /* A single rank that scales must not drop its copy onto itself. */
        .inplace = c->inplace && !(c->comm->nranks == 1 && c->op == COMBINE_PREMUL),
        .pairs = c->pairs,
        .npairs = c->npairs};
    TRY(plan_schedule(c->comm->plan, &p, out));
    if (c->coll == SCHED_PERMUTE)
        c->owned->sched = (struct sched *)*out;
    return trncclSuccess;
}

static trncclResult_t call_bind(struct call *c)
{
    const struct sched *sched = NULL;
    TRY(call_own(c));
    TRY(call_schedule(c, &sched));
    struct layout layout;
    call_layout(c, sched, &layout);
    struct connect_context x = {c->comm,
                                c->kind == CALL_COLLECTIVE ? 0 : COMM_P2P_CHANNEL};
    struct exec_program_args args = {.sched = sched,
                                     .layout = &layout,
                                     .slice_nbytes = c->comm->slice_nbytes,
                                     .lend_nbytes = c->comm->lend_nbytes,
                                     .connect = connect_channel,
                                     .context = &x};
    TRY(exec_program_create(&args, &c->owned->program));
    c->program = c->owned->program;
    c->sig = call_sig(c);
    return trncclSuccess;
}

static trncclResult_t call_combine(struct call *c)
{
    const void *scalar = NULL;
    if (c->op == COMBINE_PREMUL) {
        const struct comm_redop *r = &c->comm->redops[c->redop];
        scalar = r->device ? r->device : r->immediate;
    }
    TRY(call_own(c));
    c->combine = &c->owned->combine;
    return combine_init(&c->owned->combine, c->type, c->op, scalar, c->comm->nranks);
}

/* Binds a call and, if there is an entry for it, leaves that to the cache. */
static trncclResult_t call_bind_new(struct call *c, struct call_entry *e,
                                    const struct call_key *key)
{
    TRY(call_bind(c));
    TRY(call_combine(c));
    if (!e)
        return trncclSuccess;
    entry_clear(e);
    *e = (struct call_entry){.key = *key,
                             .program = c->owned->program,
                             .sched_owned = c->owned->sched,
                             .combine = c->owned->combine,
                             .sig = c->sig,
                             .pins = 1};
    c->owned->program = NULL;
    c->owned->sched = NULL;
    c->entry = e;
    return trncclSuccess;
}

/* Makes a call that was bound before, or binds it and keeps it for the next one like it.
 */
static inline trncclResult_t call_lookup(struct call *c)
{
    c->inplace = call_inplace(c);
    struct call_key key = call_key(c);
    uint64_t words[3];
    memcpy(words, &key, sizeof words);
    struct call_entry *e =
        &c->comm->cache
             ->entries[mix(words[0] * 31 + words[1] * 17 + words[2]) % CACHE_ENTRIES];
    bool cacheable = !c->v && c->npairs == 0;
    if (__builtin_expect(
            cacheable && e->program && memcmp(&e->key, &key, sizeof key) == 0, 1)) {
        c->program = e->program;
        c->combine = &e->combine;
        c->sig = e->sig;
        c->entry = e;
        e->pins++;
        /* A scalar may have changed since. */
        return c->op == COMBINE_PREMUL ? call_combine(c) : trncclSuccess;
    }
    return call_bind_new(c, cacheable && !e->pins ? e : NULL, &key);
}

/* ---- running ---- */

static inline void write_record(struct call *c)
{
    struct segment_record *r = &c->comm->mine->records[c->seq % SEGMENT_RECORDS];
    r->count = c->count;
    r->sig = c->sig;
    r->coll = (uint8_t)c->coll;
    r->type = (uint8_t)c->type;
    r->op = (uint8_t)c->op;
    r->v = c->v;
    r->root = c->root;
    /* Pairs with call_check's load: the record is complete. */
    atomic_store_explicit(&r->seq, c->seq, memory_order_release);
    atomic_store_explicit(&c->comm->mine->started, c->seq, memory_order_relaxed);
}

static inline struct call *task_call(struct exec_task *t)
{
    return t->context;
}

static void call_begin(struct exec_task *t)
{
    struct call *c = task_call(t);
    struct trncclComm *comm = c->comm;
    struct exec_run *run = t->run;
    run->program = c->program;
    run->combine = c->combine;
    run->sig = c->sig;
    if (c->kind == CALL_COLLECTIVE) {
        c->seq = ++comm->seq;
        run->sig = (uint32_t)mix(c->sig ^ c->seq << 32);
        write_record(c);
    }
    run->base[SCHED_IN] = (char *)(uintptr_t)c->send;
    run->base[SCHED_OUT] = c->recv;
    run->base[SCHED_TMP] = comm->scratch;
    run->region[SCHED_IN] = run->region[SCHED_OUT] = NULL;
    if (c->program->lends || c->program->posts) {
        size_t nbytes = c->program->total_nbytes;
        run->region[SCHED_IN] = c->send ? alloc_find(c->send, 1) : NULL;
        run->region[SCHED_OUT] = c->recv ? alloc_find(c->recv, 1) : NULL;
        run->stream = nbytes >= STREAM_NBYTES;
    } else {
        run->stream = false;
    }
    exec_run_start(run);
}

static void call_end(struct exec_task *t)
{
    struct call *c = task_call(t);
    if (c->kind != CALL_COLLECTIVE) {
        c->comm->last_algo = "";
        return;
    }
    c->comm->last_algo = c->coll == SCHED_PERMUTE ? "" : c->program->sched->algo;
    atomic_store_explicit(&c->comm->mine->completed, c->seq, memory_order_relaxed);
}

/* A call that failed ends the communicator: what its peers were sent cannot be taken
 * back. (A refusal before anything was sent leaves it as it was.) */
static void call_failed(struct exec_task *t)
{
    struct call *c = task_call(t);
    if (!atomic_load(&c->comm->aborted))
        host_fault(c->comm->host, t->result, true, error_text());
    comm_note(c->comm, t->result);
}

/* A call that could not be prepared. What is wrong with its arguments is wrong on every
 * rank; but where only this rank failed the others wait for it, and must be told. */
static trncclResult_t call_refused(struct call *c, trncclResult_t result)
{
    if ((result == trncclSystemError || result == trncclInternalError) && c->comm->host)
        host_fault(c->comm->host, result, true, error_text());
    return comm_note(c->comm, result);
}

static trncclResult_t reserve_scratch(struct trncclComm *comm, size_t nbytes)
{
    if (nbytes <= comm->scratch_nbytes)
        return trncclSuccess;
    char *p = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    if (!p)
        return error_set(trncclSystemError,
                         "out of memory: the algorithm needs %zu bytes of "
                         "scratch",
                         nbytes);
    free(comm->scratch);
    comm->scratch = p;
    comm->scratch_nbytes = nbytes;
    return trncclSuccess;
}

/* Finds everything the call needs; task is filled for exec_drive. */
static inline trncclResult_t call_prepare(struct call *c, struct exec_task *task)
{
    struct trncclComm *comm = c->comm;
    TRY(comm_usable(comm));
    TRY(call_lookup(c));
    if (c->program->tmp_nbytes > comm->scratch_nbytes)
        TRY(reserve_scratch(comm, c->program->tmp_nbytes));
    struct exec_run *run = &comm->run;
    if (c->kind != CALL_COLLECTIVE) {
        TRY(call_own(c));
        run = c->owned->run = calloc(1, sizeof *run);
        if (!run)
            return error_set(trncclSystemError, "out of memory for a %s", c->name);
    }
    if (!exec_run_fits(run, c->program))
        TRY(exec_run_reserve(run, c->program));
    c->task = task;
    *task = (struct exec_task){.run = run,
                               .bell = comm->mine,
                               .fault = &comm->host->fault,
                               .check = call_check,
                               .context = c,
                               .begin = call_begin,
                               .end = call_end,
                               .failed = call_failed};
    return trncclSuccess;
}

static inline void call_unpin(struct call *c)
{
    if (c->entry)
        c->entry->pins--;
    c->entry = NULL;
}

void call_fini(struct call *c)
{
    call_unpin(c);
    if (c->owned) {
        exec_program_destroy(c->owned->program);
        sched_destroy(c->owned->sched);
        if (c->owned->run)
            exec_run_fini(c->owned->run);
        free(c->owned->run);
        free(c->owned);
        c->owned = NULL;
    }
    free(c->arrays);
    c->arrays = NULL;
}

/* ---- turns ---- */

static bool first_of_comm(const struct call *list, const struct call *c)
{
    for (; list != c; list = list->next)
        if (list->comm == c->comm)
            return false;
    return true;
}

void call_issue(struct call *list)
{
    for (struct call *c = list; c; c = c->next)
        if ((c->leads = first_of_comm(list, c)))
            c->ticket = c->comm->tickets++;
}

static inline void turn_wait(struct call *c)
{
    struct trncclComm *comm = c->comm;
    if (__builtin_expect(
            atomic_load_explicit(&comm->serving, memory_order_acquire) == c->ticket, 1))
        return;
    pthread_mutex_lock(&comm->turn_lock);
    while (atomic_load(&comm->serving) != c->ticket)
        pthread_cond_wait(&comm->turn, &comm->turn_lock);
    pthread_mutex_unlock(&comm->turn_lock);
}

static inline void turn_pass(struct call *c)
{
    struct trncclComm *comm = c->comm;
    if (__builtin_expect(!atomic_load_explicit(&comm->streamed, memory_order_relaxed),
                         1)) {
        /* Pairs with turn_wait: everything the call did is done. */
        atomic_store_explicit(&comm->serving, c->ticket + 1, memory_order_release);
        return;
    }
    pthread_mutex_lock(&comm->turn_lock);
    atomic_store(&comm->serving, c->ticket + 1);
    pthread_cond_broadcast(&comm->turn);
    pthread_mutex_unlock(&comm->turn_lock);
}

/* ---- sends of a rank to itself ---- */

static inline bool to_itself(const struct call *c)
{
    return c->kind != CALL_COLLECTIVE && c->root == c->comm->rank;
}

static struct call *next_receive(struct call *list, const struct call *send)
{
    for (struct call *c = list; c; c = c->next)
        if (c->kind == CALL_RECV && c->comm == send->comm && to_itself(c) && !c->joined)
            return c;
    return NULL;
}

/* The send becomes a copy into the receive's buffer; nothing is left for the receive. */
static trncclResult_t join_pair(struct call *send, struct call *recv)
{
    if (send->count != recv->count || send->type != recv->type)
        return error_set(trncclInvalidUsage,
                         "rank %d sends itself %zu %s, but receives %zu %s",
                         send->comm->rank, send->count, combine_type_name(send->type),
                         recv->count, combine_type_name(recv->type));
    send->recv = recv->recv;
    recv->count = 0;
    recv->joined = true;
    return trncclSuccess;
}

/* Neither end of a message to oneself can wait for the other, so both must be in one
 * list. Joins the k-th send with the k-th receive. */
static trncclResult_t join_to_itself(struct call *list)
{
    for (struct call *c = list; c; c = c->next) {
        if (c->kind != CALL_SEND || !to_itself(c))
            continue;
        struct call *recv = next_receive(list, c);
        trncclResult_t result =
            recv ? join_pair(c, recv)
                 : error_set(trncclInvalidUsage,
                             "trncclSend: rank %d sends to itself without a receive from "
                             "itself in the same group",
                             c->comm->rank);
        if (result != trncclSuccess)
            return call_refused(c, result);
    }
    for (struct call *c = list; c; c = c->next)
        if (c->kind == CALL_RECV && to_itself(c) && !c->joined)
            return comm_note(
                c->comm, error_set(trncclInvalidUsage,
                                   "trncclRecv: rank %d receives from itself without a "
                                   "send to itself in the same group",
                                   c->comm->rank));
    return trncclSuccess;
}

/* ---- lists of calls ---- */

trncclResult_t call_run_one(struct call *c)
{
    turn_wait(c);
    struct exec_task task;
    trncclResult_t result = trncclSuccess;
    if (__builtin_expect(to_itself(c), 0))
        result = join_to_itself(c); /* which says that its other end is missing */
    if (__builtin_expect(result == trncclSuccess, 1))
        result = call_prepare(c, &task);
    if (__builtin_expect(result == trncclSuccess, 1))
        result = exec_drive_one(&task, &c->comm->patience);
    else
        result = call_refused(c, result);
    call_unpin(c);
    turn_pass(c);
    return result;
}

/* Calls that must follow each other: collectives of one communicator, sends to one peer,
 * receives from one peer. */
static bool same_queue(const struct call *a, const struct call *b)
{
    return a->comm == b->comm && a->kind == b->kind &&
           (a->kind == CALL_COLLECTIVE || a->root == b->root);
}

/* Chains the calls into queues; the head of each becomes a task to drive. */
static int make_queues(struct call *list, struct exec_task *heads)
{
    int n = 0;
    for (struct call *c = list; c; c = c->next) {
        struct call *before = NULL;
        for (struct call *b = list; b != c; b = b->next)
            if (same_queue(b, c))
                before = b;
        if (before)
            before->task->next = c->task;
        else
            c->heads_queue = true;
    }
    for (struct call *c = list; c; c = c->next)
        if (c->heads_queue)
            heads[n++] = *c->task;
    return n;
}

/* tasks has room for one per call and as many again for the heads of queues. */
static trncclResult_t run_together(struct call *list, int ncalls, struct exec_task *tasks)
{
    int n = 0;
    TRY(join_to_itself(list));
    for (struct call *c = list; c; c = c->next) {
        trncclResult_t result = call_prepare(c, &tasks[n++]);
        if (result != trncclSuccess)
            return comm_note(c->comm, result);
    }
    struct exec_task *heads = tasks + ncalls;
    n = make_queues(list, heads);
    return exec_drive(heads, n, &list->comm->patience);
}

trncclResult_t call_run_all(struct call *list)
{
    if (list && !list->next)
        return call_run_one(list);
    int ncalls = 0;
    trncclResult_t result = trncclSuccess;
    for (struct call *c = list; c; c = c->next) {
        if (c->leads)
            turn_wait(c);
        ncalls++;
    }
    struct exec_task *tasks = calloc(2 * (size_t)ncalls + 1, sizeof *tasks);
    if (!tasks)
        result =
            error_set(trncclSystemError, "out of memory for a group of %d calls", ncalls);
    else if (ncalls)
        result = run_together(list, ncalls, tasks);
    free(tasks);
    for (struct call *c = list; c; c = c->next)
        if (c->leads)
            turn_pass(c);
    return result;
}
