/* The collectives and messages. What they are given is checked in api_check.c; those with
 * counts per rank are in api_v.c. */
#include <stdlib.h>

#include "api_check.h"

/* ---- all ranks alike ---- */

static trncclResult_t all_reduce_check(struct call *c, trncclRedOp_t op,
                                       trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(api_check_shape(c, &(struct api_shape){1, 1, 0, 0}, stream));
    return api_check_op(c, op);
}

trncclResult_t trncclAllReduce(const void *sendbuff, void *recvbuff, size_t count,
                               trncclDataType_t datatype, trncclRedOp_t op,
                               trncclComm_t comm, trncclStream_t stream)
{
    struct call c = api_call("trncclAllReduce", SCHED_ALL_REDUCE, sendbuff, recvbuff,
                             count, datatype, comm);
    return api_run(&c, all_reduce_check(&c, op, stream), stream);
}

static trncclResult_t all_gather_check(struct call *c, trncclStream_t stream)
{
    TRY(api_check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return api_check_shape(c, &(struct api_shape){1, n, 0, (size_t)c->comm->rank},
                           stream);
}

trncclResult_t trncclAllGather(const void *sendbuff, void *recvbuff, size_t sendcount,
                               trncclDataType_t datatype, trncclComm_t comm,
                               trncclStream_t stream)
{
    struct call c = api_call("trncclAllGather", SCHED_ALL_GATHER, sendbuff, recvbuff,
                             sendcount, datatype, comm);
    return api_run(&c, all_gather_check(&c, stream), stream);
}

static trncclResult_t reduce_scatter_check(struct call *c, trncclRedOp_t op,
                                           trncclStream_t stream)
{
    TRY(api_check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    TRY(api_check_shape(c, &(struct api_shape){n, 1, (size_t)c->comm->rank, 0}, stream));
    return api_check_op(c, op);
}

trncclResult_t trncclReduceScatter(const void *sendbuff, void *recvbuff, size_t recvcount,
                                   trncclDataType_t datatype, trncclRedOp_t op,
                                   trncclComm_t comm, trncclStream_t stream)
{
    struct call c = api_call("trncclReduceScatter", SCHED_REDUCE_SCATTER, sendbuff,
                             recvbuff, recvcount, datatype, comm);
    return api_run(&c, reduce_scatter_check(&c, op, stream), stream);
}

static trncclResult_t all_to_all_check(struct call *c, trncclStream_t stream)
{
    TRY(api_check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return api_check_shape(c, &(struct api_shape){n, n, 0, 0}, stream);
}

trncclResult_t trncclAllToAll(const void *sendbuff, void *recvbuff, size_t count,
                              trncclDataType_t datatype, trncclComm_t comm,
                              trncclStream_t stream)
{
    struct call c = api_call("trncclAllToAll", SCHED_ALL_TO_ALL, sendbuff, recvbuff,
                             count, datatype, comm);
    return api_run(&c, all_to_all_check(&c, stream), stream);
}

trncclResult_t trncclBarrier(trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        api_call("trncclBarrier", SCHED_BARRIER, NULL, NULL, 1, trncclUint8, comm);
    trncclResult_t checked = api_check_comm(&c);
    if (checked == trncclSuccess) {
        c.send = &comm->token[0];
        c.recv = &comm->token[1];
    }
    if (checked == trncclSuccess && stream)
        checked = stream_check(c.name, stream);
    return api_run(&c, checked, stream);
}

/* ---- with a root ---- */

/* in and out: blocks on the root and on the other ranks. */
static trncclResult_t rooted_check(struct call *c, const struct api_shape *on_root,
                                   const struct api_shape *elsewhere,
                                   trncclStream_t stream)
{
    TRY(api_check_rank(c, "root"));
    return api_check_shape(c, c->comm->rank == c->root ? on_root : elsewhere, stream);
}

static trncclResult_t broadcast_check(struct call *c, trncclStream_t stream)
{
    TRY(api_check_comm(c));
    return rooted_check(c, &(struct api_shape){1, 1, 0, 0},
                        &(struct api_shape){0, 1, 0, 0}, stream);
}

trncclResult_t trncclBroadcast(const void *sendbuff, void *recvbuff, size_t count,
                               trncclDataType_t datatype, int root, trncclComm_t comm,
                               trncclStream_t stream)
{
    struct call c = api_call("trncclBroadcast", SCHED_BROADCAST, sendbuff, recvbuff,
                             count, datatype, comm);
    c.root = root;
    return api_run(&c, broadcast_check(&c, stream), stream);
}

trncclResult_t trncclBcast(void *buff, size_t count, trncclDataType_t datatype, int root,
                           trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        api_call("trncclBcast", SCHED_BROADCAST, buff, buff, count, datatype, comm);
    c.root = root;
    return api_run(&c, broadcast_check(&c, stream), stream);
}

static trncclResult_t reduce_check(struct call *c, trncclRedOp_t op,
                                   trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(rooted_check(c, &(struct api_shape){1, 1, 0, 0}, &(struct api_shape){1, 0, 0, 0},
                     stream));
    return api_check_op(c, op);
}

trncclResult_t trncclReduce(const void *sendbuff, void *recvbuff, size_t count,
                            trncclDataType_t datatype, trncclRedOp_t op, int root,
                            trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        api_call("trncclReduce", SCHED_REDUCE, sendbuff, recvbuff, count, datatype, comm);
    c.root = root;
    return api_run(&c, reduce_check(&c, op, stream), stream);
}

static trncclResult_t gather_check(struct call *c, trncclStream_t stream)
{
    TRY(api_check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return rooted_check(c, &(struct api_shape){1, n, 0, (size_t)c->root},
                        &(struct api_shape){1, 0, 0, 0}, stream);
}

trncclResult_t trncclGather(const void *sendbuff, void *recvbuff, size_t sendcount,
                            trncclDataType_t datatype, int root, trncclComm_t comm,
                            trncclStream_t stream)
{
    struct call c = api_call("trncclGather", SCHED_GATHER, sendbuff, recvbuff, sendcount,
                             datatype, comm);
    c.root = root;
    return api_run(&c, gather_check(&c, stream), stream);
}

static trncclResult_t scatter_check(struct call *c, trncclStream_t stream)
{
    TRY(api_check_comm(c));
    size_t n = (size_t)c->comm->nranks;
    return rooted_check(c, &(struct api_shape){n, 1, (size_t)c->root, 0},
                        &(struct api_shape){0, 1, 0, 0}, stream);
}

trncclResult_t trncclScatter(const void *sendbuff, void *recvbuff, size_t recvcount,
                             trncclDataType_t datatype, int root, trncclComm_t comm,
                             trncclStream_t stream)
{
    struct call c = api_call("trncclScatter", SCHED_SCATTER, sendbuff, recvbuff,
                             recvcount, datatype, comm);
    c.root = root;
    return api_run(&c, scatter_check(&c, stream), stream);
}

/* ---- point to point ---- */

static trncclResult_t p2p_check(struct call *c, const struct api_shape *s,
                                trncclStream_t stream)
{
    TRY(api_check_comm(c));
    TRY(api_check_rank(c, "peer"));
    return api_check_shape(c, s, stream);
}

trncclResult_t trncclSend(const void *sendbuff, size_t count, trncclDataType_t datatype,
                          int peer, trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        api_call("trncclSend", SCHED_PERMUTE, sendbuff, NULL, count, datatype, comm);
    c.kind = CALL_SEND;
    c.root = peer;
    return api_run(&c, p2p_check(&c, &(struct api_shape){1, 0, 0, 0}, stream), stream);
}

trncclResult_t trncclRecv(void *recvbuff, size_t count, trncclDataType_t datatype,
                          int peer, trncclComm_t comm, trncclStream_t stream)
{
    struct call c =
        api_call("trncclRecv", SCHED_PERMUTE, NULL, recvbuff, count, datatype, comm);
    c.kind = CALL_RECV;
    c.root = peer;
    return api_run(&c, p2p_check(&c, &(struct api_shape){0, 1, 0, 0}, stream), stream);
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
    TRY(api_check_comm(c));
    TRY(permute_pairs(c, pairs, npairs));
    struct api_shape s = {0};
    for (int i = 0; i < npairs; i++) {
        s.in |= pairs[2 * i] == c->comm->rank;
        s.out |= pairs[2 * i + 1] == c->comm->rank;
    }
    return api_check_shape(c, &s, stream);
}

trncclResult_t trncclPermute(const void *sendbuff, void *recvbuff, size_t count,
                             trncclDataType_t datatype, const int *pairs, int npairs,
                             trncclComm_t comm, trncclStream_t stream)
{
    struct call c = api_call("trncclPermute", SCHED_PERMUTE, sendbuff, recvbuff, count,
                             datatype, comm);
    return api_run(&c, permute_check(&c, pairs, npairs, stream), stream);
}
