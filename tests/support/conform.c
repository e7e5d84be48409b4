#include "conform.h"

#include <stdlib.h>

#define GUARD 64

/* ---- buffers ------------------------------------------------------------------------
 */

static bool buffer_init(struct conform_rank *r, struct conform_buffer *b, size_t nbytes,
                        bool shared)
{
    b->memory[0] = malloc(nbytes);
    b->want = malloc(nbytes);
    if (!b->memory[0] || !b->want)
        return false;
    if (!shared)
        return true;
    void *p = NULL;
    if (trncclMemAlloc(&p, nbytes) != trncclSuccess) {
        report_fail(r->report, "rank %d: trncclMemAlloc(%zu): %s", r->rank, nbytes,
                    trncclGetLastError(NULL));
        return false;
    }
    b->memory[1] = p;
    return true;
}

bool conform_rank_init(struct conform_rank *r, size_t nbytes, bool shared)
{
    return buffer_init(r, &r->send, nbytes, shared) &&
           buffer_init(r, &r->recv, nbytes, shared);
}

static void buffer_fini(struct conform_rank *r, struct conform_buffer *b)
{
    free(b->memory[0]);
    free(b->want);
    if (b->memory[1] && trncclMemFree(b->memory[1]) != trncclSuccess)
        report_fail(r->report, "rank %d: trncclMemFree: %s", r->rank,
                    trncclGetLastError(NULL));
}

void conform_rank_fini(struct conform_rank *r)
{
    buffer_fini(r, &r->send);
    buffer_fini(r, &r->recv);
}

/* Chooses the memory and fills it with what nothing else writes. */
static void buffer_begin(struct conform_buffer *b, const struct conform_case *c,
                         bool shared, size_t nelems)
{
    b->at = b->memory[shared && b->memory[1]];
    b->nbytes = GUARD + c->shift + nelems * c->oracle->elem + GUARD;
    for (size_t i = 0; i < b->nbytes; i++)
        b->want[i] = (uint8_t)(0xa5 ^ (i * 37));
}

/* ---- shapes -------------------------------------------------------------------------
 */

static bool some(enum conform_some which, const struct conform_case *c, int rank,
                 int what)
{
    return which == CONFORM_ALL ||
           (which == CONFORM_SOME &&
            oracle_hash((uint64_t)c->id, (uint64_t)rank + 9, (uint64_t)what) >> 7 & 1);
}

/* Elements that rank `from` has for rank `to` in a v-form; one block per rank: to 0. */
static size_t v_count(const struct conform_case *c, int from, int to)
{
    uint64_t h = oracle_hash((uint64_t)c->id, (uint64_t)from, (uint64_t)to);
    switch (h % 4) {
    case 0:
        return 0;
    case 1:
        return c->count / 2;
    case 2:
        return c->count;
    default:
        return c->count + (h >> 8) % 7;
    }
}

static size_t block_count(const struct conform_case *c, int from, int to)
{
    return c->form == CONFORM_V ? v_count(c, from, to) : c->count;
}

/* Places blocks one after the other, in a v-form by turns with gaps or backwards. Returns
 * the elements that all take. */
static size_t place(const struct conform_case *c, int n, const size_t *counts,
                    size_t *displs)
{
    size_t at = 0;
    bool backwards = c->form == CONFORM_V && c->id % 3 == 2;
    bool gaps = c->form == CONFORM_V && c->id % 3 != 0;
    for (int i = 0; i < n; i++) {
        int b = backwards ? n - 1 - i : i;
        displs[b] = at;
        at += counts[b] + (gaps ? (size_t)(c->id + 3 * b) % 5 : 0);
    }
    return at;
}

static void shape_pairs(struct conform_rank *r, const struct conform_case *c)
{
    int n = r->nranks, shift = c->id % n;
    r->npairs = c->id % 4 == 3 ? n / 2 : n;
    for (int i = 0; i < r->npairs; i++) {
        r->pairs[2 * i] = i;
        r->pairs[2 * i + 1] = (i + shift) % n;
        r->nin |= i == r->rank;
        r->nout |= (i + shift) % n == r->rank;
    }
    r->in_counts[0] = r->out_counts[0] = c->count;
}

/* How many blocks of what size this rank's buffers have. */
static void shape(struct conform_rank *r, const struct conform_case *c)
{
    int n = r->nranks, me = r->rank;
    bool root = me == c->root;
    r->packed = c->form == CONFORM_V && c->id % 3 == 0;
    r->nin = r->nout = 0;
    if (c->coll == SCHED_PERMUTE) {
        shape_pairs(r, c);
        return;
    }
    bool many_in = c->coll == SCHED_REDUCE_SCATTER || c->coll == SCHED_ALL_TO_ALL ||
                   c->coll == SCHED_SCATTER;
    bool many_out = c->coll == SCHED_ALL_GATHER || c->coll == SCHED_ALL_TO_ALL ||
                    c->coll == SCHED_GATHER;
    bool root_in = c->coll == SCHED_BROADCAST || c->coll == SCHED_SCATTER;
    bool root_out = c->coll == SCHED_REDUCE || c->coll == SCHED_GATHER;
    if (c->coll != SCHED_BARRIER) {
        r->nin = root_in && !root ? 0 : many_in ? n : 1;
        r->nout = root_out && !root ? 0 : many_out ? n : 1;
    }
    bool cross = c->coll == SCHED_ALL_TO_ALL;
    for (int j = 0; j < n; j++) {
        r->in_counts[j] = block_count(c, cross ? me : many_in ? j : me, cross ? j : 0);
        r->out_counts[j] = block_count(c, many_out ? j : me, cross ? me : 0);
    }
}

size_t conform_need(const struct conform_case *c, int nranks)
{
    size_t most = (c->count + 7 + 5) * (size_t)nranks;
    return 2 * GUARD + c->shift + most * c->oracle->elem;
}

/* ---- contents -----------------------------------------------------------------------
 */

/* Where in a rank's sequence block b begins. */
static size_t start_of(const struct conform_case *c, int b)
{
    return (size_t)b * 1009 + (size_t)c->id * 17;
}

static void fill_result(struct conform_rank *r, const struct conform_case *c, int b,
                        uint8_t *to)
{
    size_t n = r->out_counts[b];
    const struct oracle *o = c->oracle;
    switch (c->coll) {
    case SCHED_ALL_REDUCE:
    case SCHED_REDUCE:
        oracle_reduced(o, start_of(c, 0), n, to);
        return;
    case SCHED_REDUCE_SCATTER:
        oracle_reduced(o, start_of(c, r->rank), n, to);
        return;
    case SCHED_ALL_GATHER:
    case SCHED_GATHER:
        oracle_raw(o, b, start_of(c, 0), n, to);
        return;
    case SCHED_ALL_TO_ALL:
        oracle_raw(o, b, start_of(c, r->rank), n, to);
        return;
    case SCHED_BROADCAST:
        oracle_raw(o, c->root, start_of(c, 0), n, to);
        return;
    case SCHED_SCATTER:
        oracle_raw(o, c->root, start_of(c, r->rank), n, to);
        return;
    default: /* permute */
        oracle_raw(o, (r->rank - c->id % r->nranks + r->nranks) % r->nranks,
                   start_of(c, 0), n, to);
    }
}

/* In place: which buffer holds both, and where the other argument lies in it. */
static bool place_inplace(struct conform_rank *r, const struct conform_case *c,
                          uint8_t *send_data, uint8_t *recv_data)
{
    size_t elem = c->oracle->elem;
    switch (c->coll) {
    case SCHED_ALL_REDUCE:
    case SCHED_ALL_TO_ALL:
    case SCHED_BROADCAST:
    case SCHED_REDUCE:
        r->recv_at = recv_data;
        r->send_at = recv_data;
        break;
    case SCHED_ALL_GATHER:
    case SCHED_GATHER:
        r->recv_at = recv_data;
        r->send_at = recv_data + r->out_displs[r->rank] * elem;
        break;
    case SCHED_REDUCE_SCATTER:
    case SCHED_SCATTER:
        r->send_at = send_data;
        r->recv_at = send_data + r->in_displs[r->rank] * elem;
        break;
    default:
        return false;
    }
    return true;
}

static bool wants_inplace(const struct conform_rank *r, const struct conform_case *c)
{
    if (c->coll == SCHED_ALL_TO_ALL && c->form == CONFORM_V)
        return false;
    return some(c->inplace, c, r->rank, 1) && r->nin && r->nout;
}

/* Writes through a pointer into the image of the memory that it points into. */
static uint8_t *image_of(struct conform_rank *r, const uint8_t *p)
{
    bool sends = p >= r->send.at && p < r->send.at + r->send.nbytes;
    struct conform_buffer *b = sends ? &r->send : &r->recv;
    return b->want + (p - b->at);
}

void conform_begin(struct conform_rank *r, const struct conform_case *c)
{
    size_t elem = c->oracle->elem;
    bool shared = some(c->shared, c, r->rank, 2);
    shape(r, c);
    buffer_begin(&r->send, c, shared, place(c, r->nin, r->in_counts, r->in_displs));
    buffer_begin(&r->recv, c, shared, place(c, r->nout, r->out_counts, r->out_displs));
    uint8_t *send_data = r->send.at + GUARD + c->shift;
    uint8_t *recv_data = r->recv.at + GUARD + c->shift;
    if (!wants_inplace(r, c) || !place_inplace(r, c, send_data, recv_data)) {
        /* An argument that must not be looked at is sometimes NULL. */
        r->send_at = r->nin || c->id % 2 ? send_data : NULL;
        r->recv_at = r->nout || c->id % 2 ? recv_data : NULL;
    }
    for (int b = 0; b < r->nin; b++)
        oracle_raw(c->oracle, r->rank, start_of(c, b), r->in_counts[b],
                   image_of(r, r->send_at) + r->in_displs[b] * elem);
    memcpy(r->send.at, r->send.want, r->send.nbytes);
    memcpy(r->recv.at, r->recv.want, r->recv.nbytes);
    for (int b = 0; b < r->nout && !c->refused; b++)
        fill_result(r, c, b, image_of(r, r->recv_at) + r->out_displs[b] * elem);
}

/* ---- the call -----------------------------------------------------------------------
 */

static trncclResult_t issue_pairs(struct conform_rank *r, const struct conform_case *c,
                                  trncclStream_t stream)
{
    trncclDataType_t type = c->oracle->type;
    trncclResult_t result = trncclGroupStart();
    for (int i = 0; i < r->npairs && result == trncclSuccess; i++) {
        if (r->pairs[2 * i] == r->rank)
            result = trncclSend(r->send_at, c->count, type, r->pairs[2 * i + 1], r->comm,
                                stream);
        if (result == trncclSuccess && r->pairs[2 * i + 1] == r->rank)
            result =
                trncclRecv(r->recv_at, c->count, type, r->pairs[2 * i], r->comm, stream);
    }
    trncclResult_t ended = trncclGroupEnd();
    return result == trncclSuccess ? ended : result;
}

static trncclResult_t issue_v(struct conform_rank *r, const struct conform_case *c,
                              trncclRedOp_t op, trncclStream_t stream)
{
    const size_t *in = r->packed ? NULL : r->in_displs;
    const size_t *out = r->packed ? NULL : r->out_displs;
    trncclDataType_t type = c->oracle->type;
    switch (c->coll) {
    case SCHED_ALL_GATHER:
        return trncclAllGatherV(r->send_at, r->in_counts[0], r->recv_at, r->out_counts,
                                out, type, r->comm, stream);
    case SCHED_REDUCE_SCATTER:
        return trncclReduceScatterV(r->send_at, r->in_counts, in, r->recv_at, type, op,
                                    r->comm, stream);
    case SCHED_ALL_TO_ALL:
        return trncclAllToAllV(r->send_at, r->in_counts, in, r->recv_at, r->out_counts,
                               out, type, r->comm, stream);
    case SCHED_GATHER:
        return trncclGatherV(r->send_at, r->in_counts[0], r->recv_at,
                             r->nout ? r->out_counts : NULL, r->nout ? out : NULL, type,
                             c->root, r->comm, stream);
    default:
        return trncclScatterV(r->send_at, r->nin ? r->in_counts : NULL,
                              r->nin ? in : NULL, r->recv_at, r->out_counts[0], type,
                              c->root, r->comm, stream);
    }
}

static trncclResult_t issue_plain(struct conform_rank *r, const struct conform_case *c,
                                  trncclRedOp_t op, trncclStream_t stream)
{
    trncclDataType_t type = c->oracle->type;
    void *send = r->send_at, *recv = r->recv_at;
    switch (c->coll) {
    case SCHED_ALL_REDUCE:
        return trncclAllReduce(send, recv, c->count, type, op, r->comm, stream);
    case SCHED_ALL_GATHER:
        return trncclAllGather(send, recv, c->count, type, r->comm, stream);
    case SCHED_REDUCE_SCATTER:
        return trncclReduceScatter(send, recv, c->count, type, op, r->comm, stream);
    case SCHED_BROADCAST:
        if (send == recv)
            return trncclBcast(recv, c->count, type, c->root, r->comm, stream);
        return trncclBroadcast(send, recv, c->count, type, c->root, r->comm, stream);
    case SCHED_REDUCE:
        return trncclReduce(send, recv, c->count, type, op, c->root, r->comm, stream);
    case SCHED_ALL_TO_ALL:
        return trncclAllToAll(send, recv, c->count, type, r->comm, stream);
    case SCHED_GATHER:
        return trncclGather(send, recv, c->count, type, c->root, r->comm, stream);
    case SCHED_SCATTER:
        return trncclScatter(send, recv, c->count, type, c->root, r->comm, stream);
    case SCHED_BARRIER:
        atomic_fetch_add(r->entered, 1);
        r->barriers++;
        return trncclBarrier(r->comm, stream);
    default:
        return trncclPermute(send, recv, c->count, type, r->pairs, r->npairs, r->comm,
                             stream);
    }
}

trncclResult_t conform_issue(struct conform_rank *r, const struct conform_case *c)
{
    trncclRedOp_t op = c->oracle->op < 0 ? trncclSum : (trncclRedOp_t)c->oracle->op;
    trncclStream_t stream = c->stream ? r->stream : NULL;
    if (c->oracle->op == ORACLE_PREMUL) {
        trncclResult_t made = trncclRedOpCreatePreMulSum(
            &r->redop, (void *)c->oracle->scalar, c->oracle->type,
            c->id % 2 ? trncclScalarDevice : trncclScalarHostImmediate, r->comm);
        if (made != trncclSuccess)
            return made;
        op = r->redop;
    }
    return c->form == CONFORM_PAIRS ? issue_pairs(r, c, stream)
           : c->form == CONFORM_V   ? issue_v(r, c, op, stream)
                                    : issue_plain(r, c, op, stream);
}
