/* What the public functions check, by name, before anything happens; and how they go on.
 */
#ifndef TRNCCL_API_CHECK_H
#define TRNCCL_API_CHECK_H

#include "group.h"
#include "stream.h"

/* A call with what all of them have. */
static inline struct call api_call(const char *name, enum sched_coll coll,
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

/* Runs a call that was checked, or says why not. */
static inline trncclResult_t api_run(struct call *c, trncclResult_t checked,
                                     trncclStream_t stream)
{
    if (__builtin_expect(checked == trncclSuccess, 1))
        return group_submit(c, stream);
    if (c->comm && c->comm->magic == COMM_MAGIC)
        comm_note(c->comm, checked);
    return group_refuse(c, checked);
}

/* A communicator that is live, for functions that are not calls. */
trncclResult_t api_check_handle(const char *name, trncclComm_t comm);
/* A communicator that is live and usable. First of all. */
trncclResult_t api_check_comm(const struct call *c);
/* More than the widest user address space has (57 bits with five-level page tables, half
 * of it the kernel's): no buffer is that large, wherever it seems to lie. */
#define API_MAX_NBYTES ((size_t)1 << 56)
/* Bytes of `count` elements times `blocks`, refusing what no address space holds. */
trncclResult_t api_check_count(const struct call *c, size_t blocks);
/* Resolves the public operation into combine's code, and a handle into its scalar. After
 * the type. */
trncclResult_t api_check_op(struct call *c, trncclRedOp_t op);
/* The root or peer. */
trncclResult_t api_check_rank(const struct call *c, const char *what);
trncclResult_t api_check_buffer(const struct call *c, const char *what,
                                const void *buffer, bool used);

/* How many blocks of `count` elements the buffers have on this rank, and which of them
 * lie on each other in place. */
struct api_shape {
    size_t in, out, inplace_in, inplace_out;
};
/* Count, type, buffers and stream. */
trncclResult_t api_check_shape(const struct call *c, const struct api_shape *s,
                               trncclStream_t stream);

#endif
