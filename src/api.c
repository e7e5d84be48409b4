/* The collectives: every argument is checked here, by name, before anything happens. */
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "stream.h"

/* ---- checks ---- */

static trncclResult_t check_comm(const struct call *c)
{
    if (!c->comm)
        return error_set(trncclInvalidArgument, "%s: comm is NULL", c->name);
    if (c->comm->magic != COMM_MAGIC)
        return error_set(trncclInvalidArgument,
                         "%s: comm is %p, not a live communicator (destroyed?)", c->name,
                         (void *)c->comm);
    return comm_usable(c->comm);
}

/* Bytes of `count` elements times `blocks`, refusing what no address space holds. */
static trncclResult_t check_count(const struct call *c, size_t blocks)
{
    size_t size = combine_type_nbytes(c->type), elems, nbytes;
    if (!size)
        return error_set(trncclInvalidArgument,
                         "%s: datatype is %d, expected 0 to %d (trncclDataType_t)",
                         c->name, (int)c->type, trncclNumTypes - 1);
    if (__builtin_mul_overflow(c->count, blocks, &elems) ||
        __builtin_mul_overflow(elems, size, &nbytes) || nbytes > PTRDIFF_MAX)
        return error_set(
            trncclInvalidArgument,
            "%s: count is %zu: %zu block%s of %zu-byte elements exceed the address "
            "space",
            c->name, c->count, blocks, blocks == 1 ? "" : "s", size);
    return trncclSuccess;
}

/* Resolves the public operation into combine's code, and a handle into its scalar. */
static trncclResult_t check_op(struct call *c, trncclRedOp_t op)
{
    if ((int)op >= 0 && op < trncclNumOps) {
        c->op = (int)op;
        return trncclSuccess;
    }
    int slot = (int)op < 0 ? -1 : (int)op - trncclNumOps;
    if (slot < 0 || slot >= c->comm->nredops || !c->comm->redops[slot].used)
        return error_set(
            trncclInvalidArgument,
            "%s: op is %d: neither one of 0 to %d (trncclRedOp_t) nor a live "
            "handle from trncclRedOpCreatePreMulSum on this communicator",
            c->name, (int)op, trncclNumOps - 1);
    const struct comm_redop *r = &c->comm->redops[slot];
    if (r->type != c->type)
        return error_set(trncclInvalidArgument,
                         "%s: datatype is %s, but op was created for %s", c->name,
                         combine_type_name(c->type), combine_type_name(r->type));
    c->op = COMBINE_PREMUL;
    c->scalar_at = r->device;
    memcpy(c->scalar, r->immediate, sizeof c->scalar);
    return trncclSuccess;
}

static trncclResult_t check_op_type(const struct call *c)
{
    if (c->op < trncclBand || c->op == COMBINE_PREMUL)
        return trncclSuccess; /* defined for every type */
    struct combine k;
    static const uint8_t zero[8];
    trncclResult_t result = combine_init(&k, c->type, c->op, zero, c->comm->nranks);
    return result == trncclSuccess ? result
                                   : error_set(result, "%s: %s", c->name, error_text());
}

static trncclResult_t check_rank(const struct call *c, const char *what)
{
    if (c->root < 0 || c->root >= c->comm->nranks)
        return error_set(trncclInvalidArgument, "%s: %s is %d, expected 0 to %d", c->name,
                         what, c->root, c->comm->nranks - 1);
    return trncclSuccess;
}

static trncclResult_t check_buffer(const struct call *c, const char *what,
                                   const void *buffer, bool used)
{
    if (used && !buffer)
        return error_set(trncclInvalidArgument,
                         "%s: %s is NULL on rank %d with count %zu", c->name, what,
                         c->comm->rank, c->count);
    return trncclSuccess;
}

/* Buffers may be the same as the collective's in place defines, or apart. */
static trncclResult_t check_overlap(const struct call *c, size_t in_blocks,
                                    size_t out_blocks, size_t inplace_in,
                                    size_t inplace_out)
{
    size_t block = c->count * combine_type_nbytes(c->type);
    const char *in = c->send, *out = c->recv;
    if (!block || !in || !out || !in_blocks || !out_blocks)
        return trncclSuccess;
    if (in + inplace_in * block == out + inplace_out * block)
        return trncclSuccess;
    if (in < out + out_blocks * block && out < in + in_blocks * block)
        return error_set(trncclInvalidArgument,
                         "%s: sendbuff %p and recvbuff %p overlap, and not as this "
                         "collective's in place form does",
                         c->name, c->send, c->recv);
    return trncclSuccess;
}

/* ---- the shape shared by all ---- */

/* How many blocks of `count` elements the buffers have on this rank, and which of them
 * lie on each other in place. */
struct shape {
    size_t in, out, inplace_in, inplace_out;
};

static trncclResult_t submit(struct call *c, const struct shape *s, trncclStream_t stream)
{
    bool used = c->count > 0;
    TRY(check_count(c, s->in > s->out ? s->in : s->out));
    TRY(check_buffer(c, "sendbuff", c->send, used && s->in));
    TRY(check_buffer(c, "recvbuff", c->recv, used && s->out));
    TRY(check_overlap(c, s->in, s->out, s->inplace_in, s->inplace_out));
    if (stream)
        TRY(stream_check(c->name, stream));
    return trncclSuccess;
}

/* Checks what is common and runs it. */
static inline trncclResult_t run(struct call *c, trncclResult_t checked,
                                 trncclStream_t stream)
{
    if (__builtin_expect(checked == trncclSuccess, 1))
        return group_submit(c, stream);
    if (c->comm && c->comm->magic == COMM_MAGIC)
        comm_note(c->comm, checked);
    return group_refuse(c, checked);
}

static inline struct call call_of(const char *name, enum sched_coll coll,
                                  const void *send, void *recv, size_t count,
                                  trncclDataType_t type, trncclComm_t comm)
{
    return (struct call){.comm = comm,
                         .kind = CALL_COLLECTIVE,
                         .coll = coll,
                         .name = name,
                         .send = send,
                         .recv = recv,
                         .count = count,
                         .type = type,
                         .op = COMBINE_COPY};
}

/* ---- all ranks alike ---- */

static trncclResult_t all_reduce_check(struct call *c, trncclRedOp_t op,
                                       trncclStream_t stream)
{
    TRY(check_comm(c));
    TRY(submit(c, &(struct shape){1, 1, 0, 0}, stream));
    TRY(check_op(c, op));
    return check_op_type(c);
}

trncclResult_t trncclAllReduce(const void *sendbuff, void *recvbuff, size_t count,
                               trncclDataType_t datatype, trncclRedOp_t op,
                               trncclComm_t comm, trncclStream_t stream)
{
    struct call c = call_of("trncclAllReduce", SCHED_ALL_REDUCE, sendbuff, recvbuff,
                            count, datatype, comm);
    return run(&c, all_reduce_check(&c, op, stream), stream);
}

static trncclResult_t all_gather_check(struct call *c, trncclStream_t stream)
{
    TRY(check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return submit(c, &(struct shape){1, n, 0, (size_t)c->comm->rank}, stream);
}

trncclResult_t trncclAllGather(const void *sendbuff, void *recvbuff, size_t sendcount,
                               trncclDataType_t datatype, trncclComm_t comm,
                               trncclStream_t stream)
{
    struct call c = call_of("trncclAllGather", SCHED_ALL_GATHER, sendbuff, recvbuff,
                            sendcount, datatype, comm);
    return run(&c, all_gather_check(&c, stream), stream);
}

static trncclResult_t reduce_scatter_check(struct call *c, trncclRedOp_t op,
                                           trncclStream_t stream)
{
    TRY(check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    TRY(submit(c, &(struct shape){n, 1, (size_t)c->comm->rank, 0}, stream));
    TRY(check_op(c, op));
    return check_op_type(c);
}

trncclResult_t trncclReduceScatter(const void *sendbuff, void *recvbuff, size_t recvcount,
                                   trncclDataType_t datatype, trncclRedOp_t op,
                                   trncclComm_t comm, trncclStream_t stream)
{
    struct call c = call_of("trncclReduceScatter", SCHED_REDUCE_SCATTER, sendbuff,
                            recvbuff, recvcount, datatype, comm);
    return run(&c, reduce_scatter_check(&c, op, stream), stream);
}

static trncclResult_t all_to_all_check(struct call *c, trncclStream_t stream)
{
    TRY(check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return submit(c, &(struct shape){n, n, 0, 0}, stream);
}

trncclResult_t trncclAllToAll(const void *sendbuff, void *recvbuff, size_t count,
                              trncclDataType_t datatype, trncclComm_t comm,
                              trncclStream_t stream)
{
    struct call c = call_of("trncclAllToAll", SCHED_ALL_TO_ALL, sendbuff, recvbuff, count,
                            datatype, comm);
    return run(&c, all_to_all_check(&c, stream), stream);
}

trncclResult_t trncclBarrier(trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        call_of("trncclBarrier", SCHED_BARRIER, NULL, NULL, 1, trncclUint8, comm);
    trncclResult_t checked = check_comm(&c);
    if (checked == trncclSuccess) {
        c.send = &comm->token[0];
        c.recv = &comm->token[1];
    }
    if (checked == trncclSuccess && stream)
        checked = stream_check(c.name, stream);
    return run(&c, checked, stream);
}

/* ---- with a root ---- */

/* in and out: blocks on the root and on the other ranks. */
static trncclResult_t rooted_check(struct call *c, const struct shape *on_root,
                                   const struct shape *elsewhere, trncclStream_t stream)
{
    TRY(check_rank(c, "root"));
    return submit(c, c->comm->rank == c->root ? on_root : elsewhere, stream);
}

static trncclResult_t broadcast_check(struct call *c, trncclStream_t stream)
{
    TRY(check_comm(c));
    return rooted_check(c, &(struct shape){1, 1, 0, 0}, &(struct shape){0, 1, 0, 0},
                        stream);
}

trncclResult_t trncclBroadcast(const void *sendbuff, void *recvbuff, size_t count,
                               trncclDataType_t datatype, int root, trncclComm_t comm,
                               trncclStream_t stream)
{
    struct call c = call_of("trncclBroadcast", SCHED_BROADCAST, sendbuff, recvbuff, count,
                            datatype, comm);
    c.root = root;
    return run(&c, broadcast_check(&c, stream), stream);
}

trncclResult_t trncclBcast(void *buff, size_t count, trncclDataType_t datatype, int root,
                           trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        call_of("trncclBcast", SCHED_BROADCAST, buff, buff, count, datatype, comm);
    c.root = root;
    return run(&c, broadcast_check(&c, stream), stream);
}

static trncclResult_t reduce_check(struct call *c, trncclRedOp_t op,
                                   trncclStream_t stream)
{
    TRY(check_comm(c));
    TRY(rooted_check(c, &(struct shape){1, 1, 0, 0}, &(struct shape){1, 0, 0, 0},
                     stream));
    TRY(check_op(c, op));
    return check_op_type(c);
}

trncclResult_t trncclReduce(const void *sendbuff, void *recvbuff, size_t count,
                            trncclDataType_t datatype, trncclRedOp_t op, int root,
                            trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        call_of("trncclReduce", SCHED_REDUCE, sendbuff, recvbuff, count, datatype, comm);
    c.root = root;
    return run(&c, reduce_check(&c, op, stream), stream);
}

static trncclResult_t gather_check(struct call *c, trncclStream_t stream)
{
    TRY(check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return rooted_check(c, &(struct shape){1, n, 0, (size_t)c->root},
                        &(struct shape){1, 0, 0, 0}, stream);
}

trncclResult_t trncclGather(const void *sendbuff, void *recvbuff, size_t sendcount,
                            trncclDataType_t datatype, int root, trncclComm_t comm,
                            trncclStream_t stream)
{
    struct call c = call_of("trncclGather", SCHED_GATHER, sendbuff, recvbuff, sendcount,
                            datatype, comm);
    c.root = root;
    return run(&c, gather_check(&c, stream), stream);
}

static trncclResult_t scatter_check(struct call *c, trncclStream_t stream)
{
    TRY(check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return rooted_check(c, &(struct shape){n, 1, (size_t)c->root, 0},
                        &(struct shape){0, 1, 0, 0}, stream);
}

trncclResult_t trncclScatter(const void *sendbuff, void *recvbuff, size_t recvcount,
                             trncclDataType_t datatype, int root, trncclComm_t comm,
                             trncclStream_t stream)
{
    struct call c = call_of("trncclScatter", SCHED_SCATTER, sendbuff, recvbuff, recvcount,
                            datatype, comm);
    c.root = root;
    return run(&c, scatter_check(&c, stream), stream);
}

/* ---- point to point ---- */

static trncclResult_t p2p_check(struct call *c, const struct shape *s,
                                trncclStream_t stream)
{
    TRY(check_comm(c));
    TRY(check_rank(c, "peer"));
    return submit(c, s, stream);
}

trncclResult_t trncclSend(const void *sendbuff, size_t count, trncclDataType_t datatype,
                          int peer, trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        call_of("trncclSend", SCHED_PERMUTE, sendbuff, NULL, count, datatype, comm);
    c.kind = CALL_SEND;
    c.root = peer;
    return run(&c, p2p_check(&c, &(struct shape){1, 0, 0, 0}, stream), stream);
}

trncclResult_t trncclRecv(void *recvbuff, size_t count, trncclDataType_t datatype,
                          int peer, trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        call_of("trncclRecv", SCHED_PERMUTE, NULL, recvbuff, count, datatype, comm);
    c.kind = CALL_RECV;
    c.root = peer;
    return run(&c, p2p_check(&c, &(struct shape){0, 1, 0, 0}, stream), stream);
}

/* Copies the pairs and checks that they are a partial permutation. */
static trncclResult_t permute_pairs(struct call *c, const int *pairs, int npairs)
{
    int n = c->comm->nranks;
    if (npairs < 0 || npairs > n)
        return error_set(trncclInvalidArgument, "%s: npairs is %d, expected 0 to %d",
                         c->name, npairs, n);
    if (npairs && !pairs)
        return error_set(trncclInvalidArgument, "%s: pairs is NULL with npairs %d",
                         c->name, npairs);
    uint8_t *seen = calloc(2 * (size_t)n, 1);
    c->arrays = malloc((2 * (size_t)npairs + 1) * sizeof *c->pairs);
    if (!seen || !c->arrays) {
        free(seen);
        return error_set(trncclSystemError, "out of memory for %d pairs", npairs);
    }
    c->pairs = c->arrays;
    c->npairs = npairs;
    trncclResult_t result = trncclSuccess;
    for (int i = 0; i < 2 * npairs && result == trncclSuccess; i++) {
        c->pairs[i] = pairs[i];
        const char *end = i % 2 ? "target" : "source";
        if (pairs[i] < 0 || pairs[i] >= n)
            result = error_set(trncclInvalidArgument,
                               "%s: the %s of pair %d is %d, expected 0 to %d", c->name,
                               end, i / 2, pairs[i], n - 1);
        else if (seen[2 * pairs[i] + i % 2]++)
            result = error_set(trncclInvalidArgument,
                               "%s: rank %d is the %s of more than one pair", c->name,
                               pairs[i], end);
    }
    free(seen);
    return result;
}

static trncclResult_t permute_check(struct call *c, const int *pairs, int npairs,
                                    trncclStream_t stream)
{
    TRY(check_comm(c));
    TRY(permute_pairs(c, pairs, npairs));
    struct shape s = {0};
    for (int i = 0; i < npairs; i++) {
        s.in |= pairs[2 * i] == c->comm->rank;
        s.out |= pairs[2 * i + 1] == c->comm->rank;
    }
    return submit(c, &s, stream);
}

trncclResult_t trncclPermute(const void *sendbuff, void *recvbuff, size_t count,
                             trncclDataType_t datatype, const int *pairs, int npairs,
                             trncclComm_t comm, trncclStream_t stream)
{
    struct call c = call_of("trncclPermute", SCHED_PERMUTE, sendbuff, recvbuff, count,
                            datatype, comm);
    return run(&c, permute_check(&c, pairs, npairs, stream), stream);
}

/* ---- v-forms ---- */

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
            __builtin_mul_overflow(end, size, &nbytes) || nbytes > PTRDIFF_MAX ||
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

static trncclResult_t vectors_check(struct call *c, const struct vectors *v,
                                    trncclStream_t stream)
{
    int n = c->comm->nranks;
    c->v = true;
    TRY(check_count(c, 1));
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
    TRY(check_comm(c));
    TRY(check_array(c, "recvcounts", v->rcounts));
    if (c->count != v->rcounts[c->comm->rank])
        return error_set(trncclInvalidArgument,
                         "%s: sendcount is %zu, but recvcounts[%d] of this rank is %zu",
                         c->name, c->count, c->comm->rank, v->rcounts[c->comm->rank]);
    TRY(check_buffer(c, "sendbuff", c->send, c->count > 0));
    return vectors_check(c, v, stream);
}

trncclResult_t trncclAllGatherV(const void *sendbuff, size_t sendcount, void *recvbuff,
                                const size_t *recvcounts, const size_t *rdispls,
                                trncclDataType_t datatype, trncclComm_t comm,
                                trncclStream_t stream)
{
    struct call c = call_of("trncclAllGatherV", SCHED_ALL_GATHER, sendbuff, recvbuff,
                            sendcount, datatype, comm);
    struct vectors v = {.rcounts = recvcounts, .rdispls = rdispls};
    return run(&c, all_gather_v_check(&c, &v, stream), stream);
}

static trncclResult_t reduce_scatter_v_check(struct call *c, const struct vectors *v,
                                             trncclRedOp_t op, trncclStream_t stream)
{
    TRY(check_comm(c));
    TRY(check_array(c, "recvcounts", v->scounts));
    c->count = v->scounts[c->comm->rank];
    TRY(check_buffer(c, "recvbuff", c->recv, c->count > 0));
    TRY(vectors_check(c, v, stream));
    TRY(check_op(c, op));
    return check_op_type(c);
}

trncclResult_t trncclReduceScatterV(const void *sendbuff, const size_t *recvcounts,
                                    const size_t *sdispls, void *recvbuff,
                                    trncclDataType_t datatype, trncclRedOp_t op,
                                    trncclComm_t comm, trncclStream_t stream)
{
    struct call c = call_of("trncclReduceScatterV", SCHED_REDUCE_SCATTER, sendbuff,
                            recvbuff, 0, datatype, comm);
    struct vectors v = {.scounts = recvcounts, .sdispls = sdispls};
    return run(&c, reduce_scatter_v_check(&c, &v, op, stream), stream);
}

static trncclResult_t all_to_all_v_check(struct call *c, const struct vectors *v,
                                         trncclStream_t stream)
{
    TRY(check_comm(c));
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
    struct call c = call_of("trncclAllToAllV", SCHED_ALL_TO_ALL, sendbuff, recvbuff, 0,
                            datatype, comm);
    struct vectors v = {sendcounts, sdispls, recvcounts, rdispls};
    return run(&c, all_to_all_v_check(&c, &v, stream), stream);
}

static trncclResult_t gather_v_check(struct call *c, const struct vectors *v,
                                     trncclStream_t stream)
{
    TRY(check_comm(c));
    TRY(check_rank(c, "root"));
    TRY(check_buffer(c, "sendbuff", c->send, c->count > 0));
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
    struct call c = call_of("trncclGatherV", SCHED_GATHER, sendbuff, recvbuff, sendcount,
                            datatype, comm);
    c.root = root;
    struct vectors v = {.rcounts = recvcounts, .rdispls = rdispls};
    return run(&c, gather_v_check(&c, &v, stream), stream);
}

static trncclResult_t scatter_v_check(struct call *c, const struct vectors *v,
                                      trncclStream_t stream)
{
    TRY(check_comm(c));
    TRY(check_rank(c, "root"));
    TRY(check_buffer(c, "recvbuff", c->recv, c->count > 0));
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
    struct call c = call_of("trncclScatterV", SCHED_SCATTER, sendbuff, recvbuff,
                            recvcount, datatype, comm);
    c.root = root;
    struct vectors v = {.scounts = sendcounts, .sdispls = sdispls};
    return run(&c, scatter_v_check(&c, &v, stream), stream);
}
