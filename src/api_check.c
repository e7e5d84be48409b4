#include "api_check.h"

#include <string.h>

trncclResult_t api_check_handle(const char *name, trncclComm_t comm)
{
    if (!comm || comm->magic != COMM_MAGIC)
        return error_set(trncclInvalidArgument, "%s: comm is %p, not a live communicator",
                         name, (void *)comm);
    return trncclSuccess;
}

trncclResult_t api_check_comm(const struct call *c)
{
    if (!c->comm)
        return error_set(trncclInvalidArgument, "%s: comm is NULL", c->name);
    if (c->comm->magic != COMM_MAGIC)
        return error_set(trncclInvalidArgument,
                         "%s: comm is %p, not a live communicator (destroyed?)", c->name,
                         (void *)c->comm);
    return comm_usable(c->comm);
}

trncclResult_t api_check_count(const struct call *c, size_t blocks)
{
    size_t size = combine_type_nbytes(c->type), elems, nbytes;
    if (!size)
        return error_set(trncclInvalidArgument,
                         "%s: datatype is %d, expected 0 to %d (trncclDataType_t)",
                         c->name, (int)c->type, trncclNumTypes - 1);
    if (__builtin_mul_overflow(c->count, blocks, &elems) ||
        __builtin_mul_overflow(elems, size, &nbytes) || nbytes > API_MAX_NBYTES)
        return error_set(
            trncclInvalidArgument,
            "%s: count is %zu: %zu block%s of %zu-byte elements exceed the address "
            "space",
            c->name, c->count, blocks, blocks == 1 ? "" : "s", size);
    return trncclSuccess;
}

static trncclResult_t resolve_op(struct call *c, trncclRedOp_t op)
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

trncclResult_t api_check_op(struct call *c, trncclRedOp_t op)
{
    TRY(resolve_op(c, op));
    return check_op_type(c);
}

trncclResult_t api_check_rank(const struct call *c, const char *what)
{
    if (c->root < 0 || c->root >= c->comm->nranks)
        return error_set(trncclInvalidArgument, "%s: %s is %d, expected 0 to %d", c->name,
                         what, c->root, c->comm->nranks - 1);
    return trncclSuccess;
}

trncclResult_t api_check_buffer(const struct call *c, const char *what,
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
                         "%s: sendbuff %p of %zu bytes and recvbuff %p of %zu bytes "
                         "overlap, and not as this collective's in place form does",
                         c->name, c->send, in_blocks * block, c->recv,
                         out_blocks * block);
    return trncclSuccess;
}

trncclResult_t api_check_shape(const struct call *c, const struct api_shape *s,
                               trncclStream_t stream)
{
    bool used = c->count > 0;
    TRY(api_check_count(c, s->in > s->out ? s->in : s->out));
    TRY(api_check_buffer(c, "sendbuff", c->send, used && s->in));
    TRY(api_check_buffer(c, "recvbuff", c->recv, used && s->out));
    TRY(check_overlap(c, s->in, s->out, s->inplace_in, s->inplace_out));
    if (stream)
        TRY(stream_check(c->name, stream));
    return trncclSuccess;
}
