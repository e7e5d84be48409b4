/* The v-forms of the collectives: blocks of different sizes, at any displacements. */
#include <stdlib.h>

#include "api_check.h"

/* What a v-form is given: per-rank counts and displacements of one or both buffers. */
struct vectors {
    const size_t *scounts, *sdispls, *rcounts, *rdispls;
};

/* Copies one pair of arrays (displacements follow each other if NULL); returns the end.
 */
static size_t *copy_vector(size_t *to, const size_t *counts, const size_t *displs, int n,
                           size_t **counts_out, size_t **displs_out)
{
    if (!counts)
        return to;
    *counts_out = to;
    *displs_out = to + n;
    size_t sum = 0;
    for (int i = 0; i < n; i++) {
        to[i] = counts[i];
        to[n + i] = displs ? displs[i] : sum;
        sum += counts[i];
    }
    return to + 2 * n;
}

/* what: "send" or "recv"; name: the argument that holds the counts. */
static trncclResult_t check_vector(const struct call *c, const char *what,
                                   const char *name, const size_t *counts,
                                   const size_t *displs, const void *buffer)
{
    size_t size = combine_type_nbytes(c->type), total = 0, end, nbytes;
    for (int i = 0; counts && i < c->comm->nranks; i++) {
        if (__builtin_add_overflow(counts[i], displs[i], &end) ||
            __builtin_mul_overflow(end, size, &nbytes) || nbytes > API_MAX_NBYTES ||
            __builtin_add_overflow(total, counts[i], &total))
            return error_set(trncclInvalidArgument,
                             "%s: %s[%d] is %zu at displacement %zu: beyond the "
                             "address space",
                             c->name, name, i, counts[i], displs[i]);
    }
    if (total && !buffer)
        return error_set(trncclInvalidArgument,
                         "%s: %sbuff is NULL on rank %d with %zu "
                         "elements",
                         c->name, what, c->comm->rank, total);
    return trncclSuccess;
}

/* The bytes of block i: [*from, *to). */
static void block_of(const struct call *c, const void *buffer, const size_t *counts,
                     const size_t *displs, int i, uintptr_t *from, uintptr_t *to)
{
    size_t size = combine_type_nbytes(c->type);
    *from = (uintptr_t)buffer + (displs ? displs[i] * size : 0);
    *to = *from + (counts ? counts[i] : c->count) * size;
}

/* Whether block i of sendbuff and block j of recvbuff share bytes, and not all of them in
 * place: then i == j (or there is only one block) and both begin at the same byte. */
static bool blocks_overlap(const struct call *c, int i, int j)
{
    uintptr_t in, in_end, out, out_end;
    block_of(c, c->send, c->scounts, c->sdispls, i, &in, &in_end);
    block_of(c, c->recv, c->rcounts, c->rdispls, j, &out, &out_end);
    bool inplace =
        in == out && (c->scounts ? i : j) == c->comm->rank && !(c->scounts && c->rcounts);
    return in < out_end && out < in_end && in < in_end && out < out_end && !inplace;
}

/* The same for all blocks; a buffer without counts is one block. */
static trncclResult_t check_vectors_overlap(const struct call *c)
{
    int n = c->comm->nranks, nin = c->scounts ? n : 1, nout = c->rcounts ? n : 1;
    if (!c->send || !c->recv || (!c->scounts && !c->rcounts))
        return trncclSuccess;
    uintptr_t low[2] = {UINTPTR_MAX, UINTPTR_MAX}, high[2] = {0, 0}, from, to;
    for (int i = 0; i < nin + nout; i++) {
        int out = i >= nin;
        block_of(c, out ? c->recv : c->send, out ? c->rcounts : c->scounts,
                 out ? c->rdispls : c->sdispls, out ? i - nin : i, &from, &to);
        if (from == to)
            continue;
        low[out] = from < low[out] ? from : low[out];
        high[out] = to > high[out] ? to : high[out];
    }
    if (low[0] >= high[1] || low[1] >= high[0])
        return trncclSuccess;
    for (int i = 0; i < nin; i++)
        for (int j = 0; j < nout; j++)
            if (blocks_overlap(c, i, j))
                return error_set(trncclInvalidArgument,
                                 "%s: block %d of sendbuff %p and block %d of recvbuff "
                                 "%p overlap, and not as this collective's in place "
                                 "form does",
                                 c->name, i, c->send, j, c->recv);
    return trncclSuccess;
}

/* ---- blocks that are received ---- */

struct block {
    size_t from, to; /* elements of recvbuff */
    int rank;
};

static int by_place(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Lists the blocks that are not empty; *sorted: each begins behind the one before. */
static int list_blocks(const struct call *c, struct block *blocks, bool *sorted)
{
    int n = 0;
    *sorted = true;
    for (int i = 0; i < c->comm->nranks; i++) {
        if (!c->rcounts[i])
            continue;
        blocks[n] = (struct block){c->rdispls[i], c->rdispls[i] + c->rcounts[i], i};
        *sorted &= n == 0 || blocks[n].from >= blocks[n - 1].to;
        n++;
    }
    return n;
}

/* Two blocks that are received must not share elements: which of them would be there in
 * the end? (Blocks that are sent may: they are only read.) */
static trncclResult_t check_disjoint(const struct call *c)
{
    if (!c->rcounts)
        return trncclSuccess;
    struct block *blocks = malloc((size_t)c->comm->nranks * sizeof *blocks);
    if (!blocks)
        return error_set(trncclSystemError, "out of memory for the blocks of %d ranks",
                         c->comm->nranks);
    bool sorted;
    int n = list_blocks(c, blocks, &sorted);
    if (!sorted)
        qsort(blocks, (size_t)n, sizeof *blocks, by_place);
    trncclResult_t result = trncclSuccess;
    for (int i = 1; i < n && !sorted && result == trncclSuccess; i++) {
        const struct block *a = &blocks[i - 1], *b = &blocks[i];
        if (b->from < a->to)
            result = error_set(
                trncclInvalidArgument,
                "%s: blocks %d and %d of recvbuff overlap: elements %zu to "
                "%zu and %zu to %zu",
                c->name, a->rank, b->rank, a->from, a->to - 1, b->from, b->to - 1);
    }
    free(blocks);
    return result;
}

static trncclResult_t vectors_check(struct call *c, const struct vectors *v,
                                    trncclStream_t stream)
{
    int n = c->comm->nranks;
    c->v = true;
    TRY(api_check_count(c, 1));
    if (stream)
        TRY(stream_check(c->name, stream));
    size_t *at = c->arrays = malloc(4 * (size_t)n * sizeof *at);
    if (!at)
        return error_set(trncclSystemError, "out of memory for the counts of %d ranks",
                         n);
    at = copy_vector(at, v->scounts, v->sdispls, n, &c->scounts, &c->sdispls);
    copy_vector(at, v->rcounts, v->rdispls, n, &c->rcounts, &c->rdispls);
    const char *sname = c->coll == SCHED_REDUCE_SCATTER ? "recvcounts" : "sendcounts";
    TRY(check_vector(c, "send", sname, c->scounts, c->sdispls, c->send));
    TRY(check_vector(c, "recv", "recvcounts", c->rcounts, c->rdispls, c->recv));
    TRY(check_disjoint(c));
    return check_vectors_overlap(c);
}

static trncclResult_t check_array(const struct call *c, const char *what,
                                  const void *array)
{
    if (!array)
        return error_set(trncclInvalidArgument, "%s: %s is NULL, expected %d counts",
                         c->name, what, c->comm->nranks);
    return trncclSuccess;
}

static trncclResult_t all_gather_v_check(struct call *c, const struct vectors *v,
                                         trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(check_array(c, "recvcounts", v->rcounts));
    if (c->count != v->rcounts[c->comm->rank])
        return error_set(trncclInvalidArgument,
                         "%s: sendcount is %zu, but recvcounts[%d] of this rank is %zu",
                         c->name, c->count, c->comm->rank, v->rcounts[c->comm->rank]);
    TRY(api_check_buffer(c, "sendbuff", c->send, c->count > 0));
    return vectors_check(c, v, stream);
}

trncclResult_t trncclAllGatherV(const void *sendbuff, size_t sendcount, void *recvbuff,
                                const size_t *recvcounts, const size_t *rdispls,
                                trncclDataType_t datatype, trncclComm_t comm,
                                trncclStream_t stream)
{
    struct call c = api_call("trncclAllGatherV", SCHED_ALL_GATHER, sendbuff, recvbuff,
                             sendcount, datatype, comm);
    struct vectors v = {.rcounts = recvcounts, .rdispls = rdispls};
    return api_run(&c, all_gather_v_check(&c, &v, stream), stream);
}

static trncclResult_t reduce_scatter_v_check(struct call *c, const struct vectors *v,
                                             trncclRedOp_t op, trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(check_array(c, "recvcounts", v->scounts));
    c->count = v->scounts[c->comm->rank];
    TRY(api_check_buffer(c, "recvbuff", c->recv, c->count > 0));
    TRY(vectors_check(c, v, stream));
    return api_check_op(c, op);
}

trncclResult_t trncclReduceScatterV(const void *sendbuff, const size_t *recvcounts,
                                    const size_t *sdispls, void *recvbuff,
                                    trncclDataType_t datatype, trncclRedOp_t op,
                                    trncclComm_t comm, trncclStream_t stream)
{
    struct call c = api_call("trncclReduceScatterV", SCHED_REDUCE_SCATTER, sendbuff,
                             recvbuff, 0, datatype, comm);
    struct vectors v = {.scounts = recvcounts, .sdispls = sdispls};
    return api_run(&c, reduce_scatter_v_check(&c, &v, op, stream), stream);
}

static trncclResult_t all_to_all_v_check(struct call *c, const struct vectors *v,
                                         trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(check_array(c, "sendcounts", v->scounts));
    TRY(check_array(c, "recvcounts", v->rcounts));
    int me = c->comm->rank;
    if (v->scounts[me] != v->rcounts[me])
        return error_set(
            trncclInvalidArgument,
            "%s: sendcounts[%d] is %zu and recvcounts[%d] is %zu: what a rank "
            "sends itself it must receive",
            c->name, me, v->scounts[me], me, v->rcounts[me]);
    if (c->send && c->send == c->recv)
        return error_set(
            trncclInvalidArgument,
            "%s: sendbuff and recvbuff are both %p: this collective has no in "
            "place form",
            c->name, c->send);
    return vectors_check(c, v, stream);
}

trncclResult_t trncclAllToAllV(const void *sendbuff, const size_t *sendcounts,
                               const size_t *sdispls, void *recvbuff,
                               const size_t *recvcounts, const size_t *rdispls,
                               trncclDataType_t datatype, trncclComm_t comm,
                               trncclStream_t stream)
{
    struct call c = api_call("trncclAllToAllV", SCHED_ALL_TO_ALL, sendbuff, recvbuff, 0,
                             datatype, comm);
    struct vectors v = {sendcounts, sdispls, recvcounts, rdispls};
    return api_run(&c, all_to_all_v_check(&c, &v, stream), stream);
}

static trncclResult_t gather_v_check(struct call *c, const struct vectors *v,
                                     trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(api_check_rank(c, "root"));
    TRY(api_check_buffer(c, "sendbuff", c->send, c->count > 0));
    if (c->comm->rank != c->root)
        return vectors_check(c, &(struct vectors){0}, stream);
    TRY(check_array(c, "recvcounts", v->rcounts));
    if (c->count != v->rcounts[c->root])
        return error_set(trncclInvalidArgument,
                         "%s: sendcount is %zu, but recvcounts[%d] of the root is %zu",
                         c->name, c->count, c->root, v->rcounts[c->root]);
    return vectors_check(c, v, stream);
}

trncclResult_t trncclGatherV(const void *sendbuff, size_t sendcount, void *recvbuff,
                             const size_t *recvcounts, const size_t *rdispls,
                             trncclDataType_t datatype, int root, trncclComm_t comm,
                             trncclStream_t stream)
{
    struct call c = api_call("trncclGatherV", SCHED_GATHER, sendbuff, recvbuff, sendcount,
                             datatype, comm);
    c.root = root;
    struct vectors v = {.rcounts = recvcounts, .rdispls = rdispls};
    return api_run(&c, gather_v_check(&c, &v, stream), stream);
}

static trncclResult_t scatter_v_check(struct call *c, const struct vectors *v,
                                      trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(api_check_rank(c, "root"));
    TRY(api_check_buffer(c, "recvbuff", c->recv, c->count > 0));
    if (c->comm->rank != c->root)
        return vectors_check(c, &(struct vectors){0}, stream);
    TRY(check_array(c, "sendcounts", v->scounts));
    if (c->count != v->scounts[c->root])
        return error_set(trncclInvalidArgument,
                         "%s: recvcount is %zu, but sendcounts[%d] of the root is %zu",
                         c->name, c->count, c->root, v->scounts[c->root]);
    return vectors_check(c, v, stream);
}

trncclResult_t trncclScatterV(const void *sendbuff, const size_t *sendcounts,
                              const size_t *sdispls, void *recvbuff, size_t recvcount,
                              trncclDataType_t datatype, int root, trncclComm_t comm,
                              trncclStream_t stream)
{
    struct call c = api_call("trncclScatterV", SCHED_SCATTER, sendbuff, recvbuff,
                             recvcount, datatype, comm);
    c.root = root;
    struct vectors v = {.scounts = sendcounts, .sdispls = sdispls};
    return api_run(&c, scatter_v_check(&c, &v, stream), stream);
}
