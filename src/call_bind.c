#include "call_bind.h"

#include <stdlib.h>
#include <string.h>

/* ---- the cache ---- */

#define CACHE_ENTRIES 64 /* power of two */

/* What makes two calls alike. Compared as bytes: keep it without padding. */
struct call_key {
    uint64_t count;
    int32_t root;
    uint8_t kind, coll, type, op, inplace, exchange, zero[6];
};
_Static_assert(sizeof(struct call_key) ==
                   offsetof(struct call_key, zero) + sizeof((struct call_key){0}.zero),
               "padding");

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
    struct call_entry *recent; /* found last: calls repeat */
};

static void entry_clear(struct call_entry *e)
{
    exec_program_destroy(e->program);
    sched_destroy(e->sched_owned);
    *e = (struct call_entry){0};
}

trncclResult_t call_cache_create(struct call_cache **out)
{
    struct call_cache *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(trncclSystemError, "out of memory for calls");
    c->recent = c->entries; /* which has no program */
    *out = c;
    return trncclSuccess;
}

void call_cache_destroy(struct call_cache *c)
{
    for (int i = 0; c && i < CACHE_ENTRIES; i++)
        entry_clear(&c->entries[i]);
    free(c);
}

static inline struct call_key call_key(const struct call *c)
{
    return (struct call_key){.count = c->count,
                             .root = c->root,
                             .kind = (uint8_t)c->kind,
                             .coll = (uint8_t)c->coll,
                             .type = (uint8_t)c->type,
                             .op = (uint8_t)c->op,
                             .inplace = c->inplace,
                             .exchange = (uint8_t)c->exchange};
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
    uint64_t h = call_mix((uint64_t)c->coll << 40 | (uint64_t)c->type << 32 |
                          (uint64_t)(uint8_t)c->op << 48 | (uint64_t)c->exchange << 56 |
                          (uint32_t)c->root);
    if (c->kind != CALL_COLLECTIVE)
        /* Both ends of a pair must agree, so neither its peer nor its direction counts.
         */
        return (uint32_t)call_mix(call_mix((uint64_t)c->type << 32 | 0x7032) ^ c->count);
    bool all_know =
        !c->v || c->coll == SCHED_ALL_GATHER || c->coll == SCHED_REDUCE_SCATTER;
    const size_t *counts = c->coll == SCHED_ALL_GATHER ? c->rcounts : c->scounts;
    for (int i = 0; c->v && all_know && i < c->comm->nranks; i++)
        h = call_mix(h ^ counts[i]);
    for (int i = 0; i < 2 * c->npairs; i++)
        h = call_mix(h ^ (uint32_t)c->pairs[i]);
    return (uint32_t)call_mix(h ^ (c->v ? 0x76 : c->count));
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

trncclResult_t call_own(struct call *c)
{
    if (!c->owned)
        c->owned = calloc(1, sizeof *c->owned);
    return c->owned ? trncclSuccess
                    : error_set(trncclSystemError, "out of memory for %s", c->name);
}

struct connect_context {
    struct trncclComm *comm;
    int first_link;
};

static trncclResult_t connect_link(void *context, int peer, int link, bool outgoing,
                                   struct transport_conn **out)
{
    struct connect_context *x = context;
    return comm_conn(x->comm, peer, x->first_link + link, outgoing, out);
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
                                c->kind == CALL_COLLECTIVE ? 0 : c->comm->nlinks};
    struct exec_program_args args = {.sched = sched,
                                     .layout = &layout,
                                     .slice_nbytes = c->comm->slice_nbytes,
                                     .copy_nbytes = c->comm->copy_nbytes,
                                     .lend_nbytes = c->comm->lend_nbytes,
                                     .connect = connect_link,
                                     .context = &x};
    TRY(exec_program_create(&args, &c->owned->program));
    c->program = c->owned->program;
    c->sig = call_sig(c);
    return trncclSuccess;
}

static trncclResult_t call_combine(struct call *c)
{
    const void *scalar = c->scalar_at ? c->scalar_at : c->scalar;
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

static inline bool entry_is(const struct call_entry *e, const struct call_key *key)
{
    return e->program && memcmp(&e->key, key, sizeof *key) == 0;
}

/* Where the call of that key is, or would be. */
static struct call_entry *entry_place(struct call_cache *cache,
                                      const struct call_key *key)
{
    uint64_t words[3];
    _Static_assert(sizeof words == sizeof *key, "all of the key counts");
    memcpy(words, key, sizeof words);
    uint64_t hash = call_mix(words[0] * 31 + words[1] * 17 + words[2]);
    return &cache->entries[hash % CACHE_ENTRIES];
}

trncclResult_t call_lookup(struct call *c)
{
    c->inplace = call_inplace(c);
    struct call_key key = call_key(c);
    struct call_cache *cache = c->comm->cache;
    struct call_entry *e = cache->recent;
    bool cacheable = !c->v && c->npairs == 0;
    if (!entry_is(e, &key))
        e = cache->recent = entry_place(cache, &key);
    if (__builtin_expect(cacheable && entry_is(e, &key), 1)) {
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

void call_unbind(struct call *c)
{
    if (c->entry)
        c->entry->pins--;
    c->entry = NULL;
    if (!c->owned)
        return;
    exec_program_destroy(c->owned->program);
    sched_destroy(c->owned->sched);
    if (c->owned->run)
        exec_run_fini(c->owned->run);
    free(c->owned->run);
    free(c->owned);
    c->owned = NULL;
}
