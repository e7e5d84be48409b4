#include "verify/promise.h"

static void permute_blocks(const struct model *m, int32_t rank, int32_t *in, int32_t *out)
{
    *in = *out = 0;
    for (int32_t i = 0; i < m->npairs; i++) {
        *in |= m->pairs[2 * i] == rank;
        *out |= m->pairs[2 * i + 1] == rank;
    }
}

void promise_blocks(const struct model *m, int32_t rank, int32_t *in, int32_t *out)
{
    bool root = rank == m->root;
    *in = *out = 1;
    switch (m->coll) {
    case SCHED_ALL_GATHER:
        *out = m->nranks;
        break;
    case SCHED_REDUCE_SCATTER:
        *in = m->nranks;
        break;
    case SCHED_BROADCAST:
        *in = root;
        break;
    case SCHED_REDUCE:
        *out = root;
        break;
    case SCHED_ALL_TO_ALL:
        *in = *out = m->nranks;
        break;
    case SCHED_GATHER:
        *out = root ? m->nranks : 0;
        break;
    case SCHED_SCATTER:
        *in = root ? m->nranks : 0;
        break;
    case SCHED_PERMUTE:
        permute_blocks(m, rank, in, out);
        break;
    case SCHED_ALL_REDUCE:
    case SCHED_BARRIER: /* one block of no bytes on either side */
    case SCHED_NCOLLS:
        break;
    }
}

/* In place the smaller space is a block of the larger: which one. A rank without one of
 * the spaces has nothing to alias. */
static int32_t alias_block(const struct model *m, int32_t rank)
{
    switch (m->coll) {
    case SCHED_ALL_GATHER:
    case SCHED_REDUCE_SCATTER:
    case SCHED_GATHER: /* both spaces exist on the root only */
    case SCHED_SCATTER:
        return rank;
    default:
        return 0;
    }
}

void promise_place(const struct model *m, int32_t rank, struct model_rank *r)
{
    const struct sched *s = r->s;
    int32_t nin = s->shape.in_blocks * m->nsub, nout = s->shape.out_blocks * m->nsub;
    r->nchunks[SCHED_IN] = nin;
    r->nchunks[SCHED_OUT] = nout;
    r->nchunks[SCHED_TMP] = s->shape.tmp_chunks;
    r->offset[SCHED_IN] = 0;
    r->offset[SCHED_OUT] = nin;
    r->offset[SCHED_TMP] = nin + nout;
    if (s->inplace && m->coll != SCHED_BARRIER && nin > 0 && nout > 0) {
        int32_t shift = alias_block(m, rank) * m->nsub;
        r->offset[SCHED_IN] = nin < nout ? shift : 0;
        r->offset[SCHED_OUT] = nout < nin ? shift : 0;
        r->offset[SCHED_TMP] = nin > nout ? nin : nout;
    }
    r->nslots = r->offset[SCHED_TMP] + s->shape.tmp_chunks;
}

int64_t promise_length(const struct model *m, int32_t rank, int space, int32_t block)
{
    bool in = space == SCHED_IN;
    switch (m->coll) {
    case SCHED_ALL_GATHER:
    case SCHED_GATHER: /* a rank's IN is that rank's block of OUT */
        return in ? rank : block;
    case SCHED_REDUCE_SCATTER:
    case SCHED_SCATTER: /* a rank's OUT is that rank's block of IN */
        return in ? block : rank;
    case SCHED_ALL_TO_ALL: /* block j of i becomes block i of j */
        return in ? (int64_t)rank * m->nranks + block : (int64_t)block * m->nranks + rank;
    default:
        return 0;
    }
}

static int32_t permute_source(const struct model *m, int32_t rank)
{
    for (int32_t i = 0; i < m->npairs; i++)
        if (m->pairs[2 * i + 1] == rank)
            return m->pairs[2 * i];
    return rank; /* no target: it has no OUT chunk to ask about */
}

void promise_chunk(const struct model *m, int32_t rank, int32_t out_chunk,
                   int32_t *source, int32_t *chunk)
{
    int32_t block = out_chunk / m->nsub, sub = out_chunk % m->nsub;
    *source = -1;
    *chunk = out_chunk;
    switch (m->coll) {
    case SCHED_REDUCE_SCATTER:
        *chunk = rank * m->nsub + sub;
        break;
    case SCHED_ALL_GATHER:
    case SCHED_GATHER:
        *source = block;
        *chunk = sub;
        break;
    case SCHED_ALL_TO_ALL:
        *source = block;
        *chunk = rank * m->nsub + sub;
        break;
    case SCHED_BROADCAST:
        *source = m->root;
        break;
    case SCHED_SCATTER:
        *source = m->root;
        *chunk = rank * m->nsub + sub;
        break;
    case SCHED_PERMUTE:
        *source = permute_source(m, rank);
        break;
    case SCHED_ALL_REDUCE:
    case SCHED_REDUCE:
    case SCHED_BARRIER:
    case SCHED_NCOLLS:
        break;
    }
}

static trncclResult_t check_copy(struct model *m, int32_t rank, int32_t out_chunk,
                                 int32_t source, int32_t chunk)
{
    int64_t slot = model_slot_of(&m->rank[rank], SCHED_OUT, out_chunk);
    const struct value *v = &m->values.of[m->slot[slot].value];
    if (v->rank != source || v->chunk != chunk)
        return model_refuse(m,
                            "rank %d ends with chunk %d of rank %d in OUT[%d], expected "
                            "chunk %d of rank %d",
                            rank, v->chunk, v->rank, out_chunk, chunk, source);
    return trncclSuccess;
}

static trncclResult_t check_reduction(struct model *m, int32_t rank, int32_t out_chunk,
                                      int32_t chunk)
{
    int64_t slot = model_slot_of(&m->rank[rank], SCHED_OUT, out_chunk);
    int32_t id = m->slot[slot].value;
    const struct value *v = &m->values.of[id];
    if (v->chunk != chunk)
        return model_refuse(m,
                            "rank %d ends with contributions to chunk %d in OUT[%d], "
                            "expected to chunk %d",
                            rank, v->chunk, out_chunk, chunk);
    int32_t missing = values_missing(&m->values, id, m->nranks);
    if (missing >= 0)
        return model_refuse(m,
                            "rank %d ends with %d of %d contributions in OUT[%d]; rank "
                            "%d's is missing",
                            rank, v->count, m->nranks, out_chunk, missing);
    if (v->finals != 1)
        return model_refuse(m,
                            "rank %d ends with a result in OUT[%d] that passed %d steps "
                            "marked final, expected 1",
                            rank, out_chunk, v->finals);
    return trncclSuccess;
}

static trncclResult_t check_same_bits(struct model *m, int32_t rank, int32_t out_chunk,
                                      bool *same_bits)
{
    int32_t mine = m->slot[model_slot_of(&m->rank[rank], SCHED_OUT, out_chunk)].value;
    int32_t first = m->slot[model_slot_of(&m->rank[0], SCHED_OUT, out_chunk)].value;
    if (values_same(&m->values, mine, first))
        return trncclSuccess;
    *same_bits = false;
    if (m->rank[rank].s->any_order)
        return trncclSuccess;
    return model_refuse(m,
                        "ranks 0 and %d compute OUT[%d] by different expressions, so "
                        "their bits may differ",
                        rank, out_chunk);
}

static trncclResult_t check_rank(struct model *m, int32_t rank, bool *same_bits)
{
    const struct model_rank *r = &m->rank[rank];
    for (int32_t k = 0; k < r->nchunks[SCHED_OUT]; k++) {
        int32_t source, chunk;
        promise_chunk(m, rank, k, &source, &chunk);
        if (m->slot[model_slot_of(r, SCHED_OUT, k)].value == VALUE_NONE)
            return model_refuse(m, "rank %d ends with nothing written in OUT[%d]", rank,
                                k);
        if (source >= 0)
            TRY(check_copy(m, rank, k, source, chunk));
        else
            TRY(check_reduction(m, rank, k, chunk));
        if (m->coll == SCHED_ALL_REDUCE)
            TRY(check_same_bits(m, rank, k, same_bits));
    }
    return trncclSuccess;
}

trncclResult_t promise_check(struct model *m, bool *same_bits)
{
    *same_bits = true; /* elsewhere a result is a copy, or lies on one rank */
    if (m->coll == SCHED_BARRIER)
        return promise_check_barrier(m);
    for (int32_t i = 0; i < m->nranks; i++)
        TRY(check_rank(m, i, same_bits));
    return trncclSuccess;
}

/* ---- Barrier ------------------------------------------------------------------------
 */

/* Events in the order of the run, so that every event comes after what it waits for. */
static int32_t *events_in_order(struct model *m)
{
    int32_t *order = arena_alloc(&m->arena, (size_t)m->nevents, sizeof(*order));
    for (int32_t e = 0; order && e < m->nevents; e++)
        order[m->event[e].order - 1] = e;
    return order;
}

static void known_join(uint64_t *known, const uint64_t *by, int32_t nwords)
{
    for (int32_t w = 0; w < nwords; w++)
        known[w] |= by[w];
}

/* The ranks whose entry happens before event e: those known to what e waits for. */
static void known_compute(const struct model *m, uint64_t *known, int32_t e,
                          int32_t nwords)
{
    const struct sched_step *p = model_step(m, e);
    const struct model_proc *proc = &m->proc[m->event[e].proc];
    const struct model_rank *r = &m->rank[proc->rank];
    uint64_t *mine = known + (int64_t)e * nwords;
    mine[proc->rank / 64] |= UINT64_C(1) << (proc->rank % 64);
    if (m->event[e].step > 0)
        known_join(mine, mine - nwords, nwords);
    if (p->after_step >= 0) {
        int64_t after = m->proc[r->proc0 + p->after_channel].event0 + p->after_step;
        known_join(mine, known + after * nwords, nwords);
    }
    for (int32_t i = 0; i < p->nin; i++) {
        if (sched_in(r->s, p)[i].space != SCHED_PEER)
            continue;
        int64_t send = m->message[m->ref_message[r->ref0 + p->first + i]].send;
        known_join(mine, known + send * nwords, nwords);
    }
}

static trncclResult_t check_exit(struct model *m, int32_t rank, const uint64_t *known,
                                 int32_t nwords)
{
    const struct model_rank *r = &m->rank[rank];
    for (int32_t other = 0; other < m->nranks; other++) {
        bool heard = other == rank;
        for (int32_t e = r->event0; e < r->event0 + r->s->nsteps && !heard; e++)
            heard = known[(int64_t)e * nwords + other / 64] >> (other % 64) & 1;
        if (!heard)
            return model_refuse(m, "rank %d may leave before rank %d has entered", rank,
                                other);
    }
    return trncclSuccess;
}

trncclResult_t promise_check_barrier(struct model *m)
{
    int32_t nwords = (m->nranks + 63) / 64;
    uint64_t *known =
        arena_alloc(&m->arena, (size_t)m->nevents * (size_t)nwords, sizeof(*known));
    int32_t *order = events_in_order(m);
    if (!known || !order)
        return model_no_memory(m);
    for (int32_t i = 0; i < m->nevents; i++)
        known_compute(m, known, order[i], nwords);
    for (int32_t i = 0; i < m->nranks; i++)
        TRY(check_exit(m, i, known, nwords));
    return trncclSuccess;
}
