/* trnccl.h - the whole public interface of libtrnccl.
 *
 * Collective communication between the ranks of a training job. The shape is NCCL's:
 * the same calls, results, types and operations with the prefix changed, so a user of
 * NCCL needs no manual. What NCCL lacks (v-forms, barrier, permute, timeouts, an
 * out-of-band bootstrap, more types and operations) follows the same style.
 *
 * Rules that hold for every function unless its own text says otherwise:
 *   - A function returns trncclSuccess or an error; on error
 *     trncclGetLastError(comm) gives a sentence that names the argument, rank or
 *     peer, what was found and what was expected.
 *   - Outputs are written only on success.
 *   - Counts are numbers of elements, >= 0. A count of 0 is valid and moves nothing.
 *   - Buffers need the alignment of nothing: any byte address is accepted.
 *   - `stream` NULL means: the call has completed when it returns. With a stream the
 *     call is queued in order on that stream and returns at once; its buffers must
 *     stay untouched until the stream has reached it.
 *   - Thread: one caller per communicator at a time; different communicators may be
 *     used from different threads. trncclCommAbort, trncclCommGetAsyncError and
 *     trncclGetLastError may be called from any thread at any time.
 */
#ifndef TRNCCL_H
#define TRNCCL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRNCCL_MAJOR 0
#define TRNCCL_MINOR 1
#define TRNCCL_PATCH 0
/* major * 10000 + minor * 100 + patch, as NCCL numbers its versions. */
#define TRNCCL_VERSION_CODE (TRNCCL_MAJOR * 10000 + TRNCCL_MINOR * 100 + TRNCCL_PATCH)

#if defined(__GNUC__)
#define TRNCCL_API __attribute__((visibility("default")))
#define TRNCCL_MUST_CHECK __attribute__((warn_unused_result))
#else
#define TRNCCL_API
#define TRNCCL_MUST_CHECK
#endif

/* A communicator: one rank's handle to a group of ranks. */
typedef struct trncclComm *trncclComm_t;
/* An in-order queue of calls, run by a thread of the library. */
typedef struct trncclStream *trncclStream_t;
/* A point in a stream that can be waited for. */
typedef struct trncclEvent *trncclEvent_t;
/* A collectively registered buffer. */
typedef struct trncclWindow *trncclWindow_t;

/* Same numbers as ncclResult_t. */
typedef enum {
    trncclSuccess = 0,
    trncclUnhandledDeviceError = 1, /* a device call failed */
    trncclSystemError = 2,          /* the operating system refused something */
    trncclInternalError = 3,        /* a bug in the library */
    trncclInvalidArgument = 4,      /* one argument is wrong by itself */
    trncclInvalidUsage = 5, /* right arguments at the wrong time, or ranks disagree */
    trncclRemoteError = 6,  /* another rank died, or failed and said so */
    trncclInProgress = 7,   /* not an error: ask again with CommGetAsyncError */
    trncclTimeout = 8,      /* no progress for too long, or creation took too long */
    trncclAborted = 9,      /* trncclCommAbort was called on this communicator */
    trncclNumResults = 10
} trncclResult_t;

/* The first twelve are ncclDataType_t's numbers; the 16-bit integers follow. */
typedef enum {
    trncclInt8 = 0,
    trncclChar = 0,
    trncclUint8 = 1,
    trncclInt32 = 2,
    trncclInt = 2,
    trncclUint32 = 3,
    trncclInt64 = 4,
    trncclUint64 = 5,
    trncclFloat16 = 6,
    trncclHalf = 6,
    trncclFloat32 = 7,
    trncclFloat = 7,
    trncclFloat64 = 8,
    trncclDouble = 8,
    trncclBfloat16 = 9,
    trncclFloat8e4m3 =
        10, /* OCP E4M3: no infinities, one NaN pattern per sign, max 448 */
    trncclFloat8e5m2 = 11, /* OCP E5M2: IEEE-like, infinities and NaNs, max 57344 */
    trncclInt16 = 12,
    trncclUint16 = 13,
    trncclNumTypes = 14
} trncclDataType_t;

/* The first five are ncclRedOp_t's numbers. Values from trncclNumOps up are handles made
 * by trncclRedOpCreatePreMulSum. Bitwise and logical operations take integer types. */
typedef enum {
    trncclSum = 0,
    trncclProd = 1,
    trncclMax = 2,
    trncclMin = 3,
    trncclAvg = 4, /* sum, then divided by the number of ranks */
    trncclBand = 5,
    trncclBor = 6,
    trncclBxor = 7,
    trncclLand = 8,
    trncclLor = 9,
    trncclNumOps = 10,
    trncclMaxRedOp = 0x7fffffff
} trncclRedOp_t;

/* Where the scalar given to trncclRedOpCreatePreMulSum lies. Both kinds are host memory
 * here; `Device` means it is read when the operation runs, `HostImmediate` now. */
typedef enum {
    trncclScalarDevice = 0,
    trncclScalarHostImmediate = 1
} trncclScalarResidence_t;

#define TRNCCL_UNIQUE_ID_BYTES 128
typedef struct {
    char internal[TRNCCL_UNIQUE_ID_BYTES];
} trncclUniqueId;

/* The out-of-band bootstrap: gathers `nbytes` from every rank, in rank order, on every
 * rank. `all` has nranks * nbytes bytes. Blocking; returns 0 on success. */
typedef int (*trncclOobAllgather_t)(void *context, const void *mine, void *all,
                                    size_t nbytes);

/* Initialise with TRNCCL_CONFIG_INITIALIZER, then set what differs. Fields left at
 * TRNCCL_CONFIG_UNDEF take the environment's setting, or the default. */
#define TRNCCL_CONFIG_UNDEF_INT (-2147483647 - 1)
#define TRNCCL_CONFIG_UNDEF_PTR NULL
#define TRNCCL_CONFIG_MAGIC 0x7472636fu
typedef struct {
    size_t size;          /* set by the initialiser; do not change */
    unsigned magic;       /* set by the initialiser; do not change */
    unsigned version;     /* set by the initialiser; do not change */
    int blocking;         /* 1 (default): calls complete or fail before they return.
                             0: creation goes on in the background, trncclInProgress */
    const char *commName; /* shown in every message; copied */
    int splitShare;    /* accepted as in NCCL; a split communicator shares nothing yet */
    int timeoutMs;     /* a call fails that makes no progress for so long, ms; 0 = never;
                          default 600000 */
    int initTimeoutMs; /* deadline of creation, ms; 0 = none; default 120000 */
    const char *algo;  /* force an algorithm by name (see TRNCCL_ALGO); copied */
    const char *transport; /* force a transport by name (see TRNCCL_TRANSPORT); copied */
    trncclOobAllgather_t oobAllgather; /* used instead of the unique id when not NULL */
    void *oobContext; /* passed to oobAllgather; borrowed until creation has ended: until
                         init returns, within a group until GroupEnd returns, with
                         blocking 0 until CommGetAsyncError says no more InProgress */
} trncclConfig_t;

#define TRNCCL_CONFIG_INITIALIZER                                                        \
    {                                                                                    \
        sizeof(trncclConfig_t), TRNCCL_CONFIG_MAGIC, TRNCCL_VERSION_CODE,                \
            TRNCCL_CONFIG_UNDEF_INT, TRNCCL_CONFIG_UNDEF_PTR, TRNCCL_CONFIG_UNDEF_INT,   \
            TRNCCL_CONFIG_UNDEF_INT, TRNCCL_CONFIG_UNDEF_INT, TRNCCL_CONFIG_UNDEF_PTR,   \
            TRNCCL_CONFIG_UNDEF_PTR, NULL, NULL                                          \
    }

/* ---- Version and errors -------------------------------------------------------------
 */

/* The version code of the library that is loaded. */
TRNCCL_API trncclResult_t trncclGetVersion(int *version);
/* A constant sentence for a result code. Never NULL. */
TRNCCL_API const char *trncclGetErrorString(trncclResult_t result);
/* What went wrong last on this communicator (or, with NULL, in this thread), as one
 * sentence. Valid until the next failing call from this thread. Never NULL. */
TRNCCL_API const char *trncclGetLastError(trncclComm_t comm);
/* The state of a communicator: trncclSuccess, trncclInProgress, or the error that ended
 * it or one of its queued calls. */
TRNCCL_API trncclResult_t trncclCommGetAsyncError(trncclComm_t comm,
                                                  trncclResult_t *result);
/* Bytes per element, 0 for a type that does not exist. */
TRNCCL_API size_t trncclTypeSize(trncclDataType_t type);

/* ---- Creation and end ---------------------------------------------------------------
 */

/* Makes an id that all ranks of one communicator must share. The calling process serves
 * the rendezvous until every rank has arrived or the deadline passes. */
TRNCCL_API trncclResult_t trncclGetUniqueId(trncclUniqueId *id);
/* Creates this rank's handle. Blocks until all nranks ranks have called it. */
TRNCCL_API trncclResult_t trncclCommInitRank(trncclComm_t *comm, int nranks,
                                             trncclUniqueId id, int rank);
TRNCCL_API trncclResult_t trncclCommInitRankConfig(trncclComm_t *comm, int nranks,
                                                   trncclUniqueId id, int rank,
                                                   trncclConfig_t *config);
/* All ranks in this process. `comms` has ndev entries; devlist may be NULL (0..ndev-1).
 * It holds what trncclCommDevice returns, numbers >= 0, which may repeat. */
TRNCCL_API trncclResult_t trncclCommInitAll(trncclComm_t *comms, int ndev,
                                            const int *devlist);
/* As InitRankConfig, with the rendezvous spread over nids ids: rank r uses id
 * r * nids / nranks. */
TRNCCL_API trncclResult_t trncclCommInitRankScalable(trncclComm_t *comm, int nranks,
                                                     int rank, int nids,
                                                     trncclUniqueId *ids,
                                                     trncclConfig_t *config);
/* Completes queued calls; after it only trncclCommDestroy is allowed, which says goodbye
 * to the other ranks. trncclInvalidUsage if ranks have disagreed and no call noticed. */
TRNCCL_API trncclResult_t trncclCommFinalize(trncclComm_t comm);
/* Frees the handle; finalizes first if that was not done, and frees it also if that finds
 * that ranks have disagreed. Waits for creation in the background to end; trncclCommAbort
 * before makes that end at once. Both are refused while an open group holds calls on the
 * communicator. */
TRNCCL_API trncclResult_t trncclCommDestroy(trncclComm_t comm);
/* Ends all calls of this communicator on this rank with trncclAborted within 100 ms and
 * tells the other ranks. Any thread. The handle must still be given to CommDestroy. */
TRNCCL_API trncclResult_t trncclCommAbort(trncclComm_t comm);
/* New communicators of the ranks with the same color, ordered by (key, rank). A color of
 * TRNCCL_SPLIT_NOCOLOR takes part and gets NULL. Collective over comm. */
#define TRNCCL_SPLIT_NOCOLOR (-1)
TRNCCL_API trncclResult_t trncclCommSplit(trncclComm_t comm, int color, int key,
                                          trncclComm_t *newcomm, trncclConfig_t *config);
TRNCCL_API trncclResult_t trncclCommCount(trncclComm_t comm, int *count);
TRNCCL_API trncclResult_t trncclCommUserRank(trncclComm_t comm, int *rank);
TRNCCL_API trncclResult_t trncclCommDevice(trncclComm_t comm, int *device);
/* The name ("ring") of the algorithm by which this rank ran its last collective that has
 * completed; "" before the first and after a send, a receive or a permute. A constant
 * string. For tools that show what was chosen. */
TRNCCL_API trncclResult_t trncclCommGetAlgorithm(trncclComm_t comm, const char **name);

/* ---- Memory -------------------------------------------------------------------------
 */

/* Page-aligned memory that peers on this host can map: collectives on it need no staging
 * copies once it is registered (InitAll and MemAlloc buffers are registered on first
 * use). */
TRNCCL_API trncclResult_t trncclMemAlloc(void **ptr, size_t nbytes);
/* NULL is allowed. A forked child shares its parent's allocations and cannot free them.
 */
TRNCCL_API trncclResult_t trncclMemFree(void *ptr);
/* Lets peers reach [buff, buff + nbytes) directly where the memory's kind permits it.
 * Local; never changes results. The memory must outlive the registration. */
TRNCCL_API trncclResult_t trncclCommRegister(trncclComm_t comm, void *buff, size_t nbytes,
                                             void **handle);
TRNCCL_API trncclResult_t trncclCommDeregister(trncclComm_t comm, void *handle);
/* The same, collectively: every rank registers its own buffer of the same size. */
#define TRNCCL_WIN_DEFAULT 0x00
#define TRNCCL_WIN_COLL_SYMMETRIC 0x01
TRNCCL_API trncclResult_t trncclCommWindowRegister(trncclComm_t comm, void *buff,
                                                   size_t nbytes, trncclWindow_t *win,
                                                   int winFlags);
TRNCCL_API trncclResult_t trncclCommWindowDeregister(trncclComm_t comm,
                                                     trncclWindow_t win);

/* ---- Reduction operations -----------------------------------------------------------
 */

/* Every rank's contribution is multiplied by *scalar (of type datatype) before summing.
 * op is valid for this communicator and datatype until destroyed; a call that was given
 * it keeps the scalar and may run later. */
TRNCCL_API trncclResult_t trncclRedOpCreatePreMulSum(trncclRedOp_t *op, void *scalar,
                                                     trncclDataType_t datatype,
                                                     trncclScalarResidence_t residence,
                                                     trncclComm_t comm);
TRNCCL_API trncclResult_t trncclRedOpDestroy(trncclRedOp_t op, trncclComm_t comm);

/* ---- Collectives --------------------------------------------------------------------
 */
/* In place: AllReduce, Reduce, Broadcast with sendbuff == recvbuff; AllGather with
 * sendbuff == recvbuff + rank * sendcount; ReduceScatter with recvbuff == sendbuff +
 * rank * recvcount; Gather (root) with sendbuff == recvbuff + root * count; Scatter
 * (root) with recvbuff == sendbuff + root * count; AllToAll with sendbuff == recvbuff. */

TRNCCL_API trncclResult_t trncclAllReduce(const void *sendbuff, void *recvbuff,
                                          size_t count, trncclDataType_t datatype,
                                          trncclRedOp_t op, trncclComm_t comm,
                                          trncclStream_t stream);
/* recvbuff holds nranks * sendcount elements, in rank order. */
TRNCCL_API trncclResult_t trncclAllGather(const void *sendbuff, void *recvbuff,
                                          size_t sendcount, trncclDataType_t datatype,
                                          trncclComm_t comm, trncclStream_t stream);
/* sendbuff holds nranks * recvcount elements; rank r receives the r-th block, reduced. */
TRNCCL_API trncclResult_t trncclReduceScatter(const void *sendbuff, void *recvbuff,
                                              size_t recvcount, trncclDataType_t datatype,
                                              trncclRedOp_t op, trncclComm_t comm,
                                              trncclStream_t stream);
/* sendbuff is read on the root only; recvbuff is written on every rank. */
TRNCCL_API trncclResult_t trncclBroadcast(const void *sendbuff, void *recvbuff,
                                          size_t count, trncclDataType_t datatype,
                                          int root, trncclComm_t comm,
                                          trncclStream_t stream);
TRNCCL_API trncclResult_t trncclBcast(void *buff, size_t count, trncclDataType_t datatype,
                                      int root, trncclComm_t comm, trncclStream_t stream);
/* recvbuff is written on the root only and may be NULL elsewhere. */
TRNCCL_API trncclResult_t trncclReduce(const void *sendbuff, void *recvbuff, size_t count,
                                       trncclDataType_t datatype, trncclRedOp_t op,
                                       int root, trncclComm_t comm,
                                       trncclStream_t stream);
/* Both buffers hold nranks * count elements; block j of rank i becomes block i of rank j.
 */
TRNCCL_API trncclResult_t trncclAllToAll(const void *sendbuff, void *recvbuff,
                                         size_t count, trncclDataType_t datatype,
                                         trncclComm_t comm, trncclStream_t stream);
/* recvbuff (root only) holds nranks * sendcount elements. */
TRNCCL_API trncclResult_t trncclGather(const void *sendbuff, void *recvbuff,
                                       size_t sendcount, trncclDataType_t datatype,
                                       int root, trncclComm_t comm,
                                       trncclStream_t stream);
/* sendbuff (root only) holds nranks * recvcount elements. */
TRNCCL_API trncclResult_t trncclScatter(const void *sendbuff, void *recvbuff,
                                        size_t recvcount, trncclDataType_t datatype,
                                        int root, trncclComm_t comm,
                                        trncclStream_t stream);
/* Returns (or lets the stream go on) when every rank has entered it. */
TRNCCL_API trncclResult_t trncclBarrier(trncclComm_t comm, trncclStream_t stream);

/* The v-forms: counts and displacements in elements, arrays of nranks entries, copied
 * before the call returns. displs may be NULL: blocks follow each other. Blocks that are
 * received must not overlap. */

/* recvcounts is the same on every rank; sendcount == recvcounts[rank]. */
TRNCCL_API trncclResult_t trncclAllGatherV(const void *sendbuff, size_t sendcount,
                                           void *recvbuff, const size_t *recvcounts,
                                           const size_t *rdispls,
                                           trncclDataType_t datatype, trncclComm_t comm,
                                           trncclStream_t stream);
/* recvcounts is the same on every rank; rank r receives recvcounts[r] elements. */
TRNCCL_API trncclResult_t trncclReduceScatterV(const void *sendbuff,
                                               const size_t *recvcounts,
                                               const size_t *sdispls, void *recvbuff,
                                               trncclDataType_t datatype,
                                               trncclRedOp_t op, trncclComm_t comm,
                                               trncclStream_t stream);
/* sendcounts[j] on rank i equals recvcounts[i] on rank j. Out of place only. */
TRNCCL_API trncclResult_t trncclAllToAllV(const void *sendbuff, const size_t *sendcounts,
                                          const size_t *sdispls, void *recvbuff,
                                          const size_t *recvcounts, const size_t *rdispls,
                                          trncclDataType_t datatype, trncclComm_t comm,
                                          trncclStream_t stream);
/* recvcounts and rdispls are read on the root only. */
TRNCCL_API trncclResult_t trncclGatherV(const void *sendbuff, size_t sendcount,
                                        void *recvbuff, const size_t *recvcounts,
                                        const size_t *rdispls, trncclDataType_t datatype,
                                        int root, trncclComm_t comm,
                                        trncclStream_t stream);
/* sendcounts and sdispls are read on the root only. */
TRNCCL_API trncclResult_t trncclScatterV(const void *sendbuff, const size_t *sendcounts,
                                         const size_t *sdispls, void *recvbuff,
                                         size_t recvcount, trncclDataType_t datatype,
                                         int root, trncclComm_t comm,
                                         trncclStream_t stream);

/* Point to point: the k-th send from a to b meets the k-th receive on b from a; counts
 * and types must match. One of count 0 to another rank moves nothing and is not counted.
 * Several that must progress together belong in one group. */
TRNCCL_API trncclResult_t trncclSend(const void *sendbuff, size_t count,
                                     trncclDataType_t datatype, int peer,
                                     trncclComm_t comm, trncclStream_t stream);
TRNCCL_API trncclResult_t trncclRecv(void *recvbuff, size_t count,
                                     trncclDataType_t datatype, int peer,
                                     trncclComm_t comm, trncclStream_t stream);
/* Moves count elements along npairs (source, target) pairs, given as 2 * npairs ranks,
 * the same on every rank; a rank is the source of at most one pair and the target of at
 * most one. recvbuff of a rank that is no target is left as it was. */
TRNCCL_API trncclResult_t trncclPermute(const void *sendbuff, void *recvbuff,
                                        size_t count, trncclDataType_t datatype,
                                        const int *pairs, int npairs, trncclComm_t comm,
                                        trncclStream_t stream);

/* ---- Groups -------------------------------------------------------------------------
 */
/* Calls between the outermost Start and End, of any number of communicators of this
 * process, are started together at End; that is how one thread drives several ranks and
 * how sends and receives that depend on each other are written. The collectives of one
 * communicator keep their order, whichever streams they are on. The first call that fails
 * (or is aborted) ends those that wait with it, on the same stream or without one; the
 * communicators of those that had not completed end, too. */
TRNCCL_API trncclResult_t trncclGroupStart(void);
TRNCCL_API trncclResult_t trncclGroupEnd(void);

/* ---- Streams and events -------------------------------------------------------------
 */

/* They belong to the process that made them: in a forked child, all calls on them are
 * trncclInvalidUsage. */
TRNCCL_API trncclResult_t trncclStreamCreate(trncclStream_t *stream);
/* Waits for queued calls, then frees. Refused while an open group holds calls on it. */
TRNCCL_API trncclResult_t trncclStreamDestroy(trncclStream_t stream);
/* Waits until the stream is empty; returns the first error of a call queued on it since
 * the last synchronize. */
TRNCCL_API trncclResult_t trncclStreamSynchronize(trncclStream_t stream);
/* trncclSuccess if the stream is empty, trncclInProgress if not. */
TRNCCL_API trncclResult_t trncclStreamQuery(trncclStream_t stream);
/* Calls queued on stream after this run after the point last recorded; recording the
 * event again does not move it. */
TRNCCL_API trncclResult_t trncclStreamWaitEvent(trncclStream_t stream,
                                                trncclEvent_t event);
TRNCCL_API trncclResult_t trncclEventCreate(trncclEvent_t *event);
TRNCCL_API trncclResult_t trncclEventDestroy(trncclEvent_t event);
TRNCCL_API trncclResult_t trncclEventRecord(trncclEvent_t event, trncclStream_t stream);
TRNCCL_API trncclResult_t trncclEventSynchronize(trncclEvent_t event);
TRNCCL_API trncclResult_t trncclEventQuery(trncclEvent_t event);
/* Milliseconds between the moments two recorded events were reached. */
TRNCCL_API trncclResult_t trncclEventElapsedTime(float *ms, trncclEvent_t start,
                                                 trncclEvent_t end);

#ifdef __cplusplus
}
#endif

#endif
