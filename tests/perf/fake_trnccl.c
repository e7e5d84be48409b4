#include "tests/perf/fake_trnccl.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/names.h"
#include "perf/number.h"
#include "trnccl.h"

enum { MAX_RANKS = 32, MAX_CALLS = 64, FIRST_HANDLE = 100 };

enum kind {
    ALL_REDUCE,
    REDUCE,
    REDUCE_SCATTER,
    BROADCAST,
    GATHER,
    SCATTER,
    ALL_TO_ALL,
    PERMUTE,
    BARRIER,
    P2P
};

/* What one rank asked for; counts are per block. */
struct call {
    enum kind kind;
    const unsigned char *send;
    unsigned char *recv;
    size_t counts[MAX_RANKS], recv_counts[MAX_RANKS]; /* of blocks, in elements */
    size_t count;
    int type, op, root; /* root -1: all ranks receive */
    const int *pairs;
    int npairs;
};

struct trncclComm {
    int rank, nranks;
    uint64_t scalar; /* of the one mulsum handle */
    int ncalls;
    struct call calls[MAX_CALLS];
};

/* One meeting of all ranks at a time; guarded by `lock`. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct trncclComm *comms[MAX_RANKS];
    int arrived, nranks;
    unsigned long round;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static enum fake_fault the_fault;
static unsigned the_order;
static __thread int group_depth;
static __thread struct trncclComm *grouped[MAX_RANKS];
static __thread int ngrouped;

void fake_set(enum fake_fault fault, unsigned order_seed)
{
    the_fault = fault;
    the_order = order_seed;
    world.arrived = world.nranks = 0;
}

/* ---- Meeting ------------------------------------------------------------------------
 */

static void meet(int n)
{
    pthread_mutex_lock(&world.lock);
    unsigned long round = world.round;
    world.arrived += n;
    if (world.arrived == world.nranks) {
        world.arrived = 0;
        world.round++;
        pthread_cond_broadcast(&world.changed);
    }
    while (world.round == round)
        pthread_cond_wait(&world.changed, &world.lock);
    pthread_mutex_unlock(&world.lock);
}

/* ---- Values -------------------------------------------------------------------------
 */

static uint64_t combine(int type, int op, uint64_t a, uint64_t b)
{
    if (names_type_is_float(type)) {
        double x = number_decode(type, a), y = number_decode(type, b);
        switch (op) {
        case trncclProd:
            return number_encode(type, x * y);
        case trncclMin:
            return x < y || (x == y && a > b) ? a : b;
        case trncclMax:
            return x > y || (x == y && a < b) ? a : b;
        default:
            return number_encode(type, x + y);
        }
    }
    uint64_t x = number_extend(type, a), y = number_extend(type, b);
    bool is_signed = strncmp(names_type(type), "int", 3) == 0;
    bool less = is_signed ? (int64_t)x < (int64_t)y : x < y;
    switch (op) {
    case trncclProd:
        return x * y;
    case trncclMin:
        return less ? x : y;
    case trncclMax:
        return less ? y : x;
    case trncclBand:
        return x & y;
    case trncclBor:
        return x | y;
    case trncclBxor:
        return x ^ y;
    case trncclLand:
        return x && y;
    case trncclLor:
        return x || y;
    default:
        return x + y;
    }
}

static uint64_t finish(int type, int op, uint64_t total, int nranks)
{
    uint64_t wide = names_type_is_float(type) ? 0 : number_extend(type, total);
    if (op != trncclAvg)
        return total;
    if (type == trncclFloat64)
        return number_encode(type, number_decode(type, total) / nranks);
    if (names_type_is_float(type))
        return number_encode(type,
                             (double)((float)number_decode(type, total) / (float)nranks));
    return strncmp(names_type(type), "int", 3) == 0 ? (uint64_t)((int64_t)wide / nranks)
                                                    : wide / (uint64_t)nranks;
}

/* Element `index` of the reduction, combined in a permuted order, rounding every time. */
static uint64_t reduced(int type, int op, int nranks, size_t index)
{
    size_t esize = names_type_nbytes(type);
    uint64_t total = 0;
    int taken = the_fault == FAKE_DROP_RANK && nranks > 1 ? nranks - 1 : nranks;
    int start = (int)((the_order + index) % (size_t)taken);
    int step = the_order % 2 ? 1 : taken - 1;
    for (int k = 0; k < taken; k++) {
        int r = taken == 1 ? 0 : (start + k * step) % taken;
        const struct call *c = &world.comms[r]->calls[0];
        uint64_t x = number_load(c->send + index * esize, esize);
        if (op >= FIRST_HANDLE) {
            uint64_t s = world.comms[r]->scalar;
            x = names_type_is_float(type)
                    ? number_encode(type, number_decode(type, x) * number_decode(type, s))
                    : x * s;
        }
        if (op == trncclLand || op == trncclLor)
            x = x != 0;
        total = k == 0 ? x : combine(type, op, total, x);
    }
    return finish(type, op, total, nranks);
}

/* ---- Collectives --------------------------------------------------------------------
 */

static size_t before(const size_t *counts, int end)
{
    size_t sum = 0;
    for (int i = 0; i < end; i++)
        sum += counts[i];
    return sum;
}

/* This rank's result into `out` (elements); returns where it goes and how long it is.
 * SIZE_MAX: nothing is written. */
static size_t compute(const struct trncclComm *comm, unsigned char *out)
{
    const struct call *c = &comm->calls[0];
    size_t esize = names_type_nbytes(c->type), n = 0;
    int rank = comm->rank, nranks = comm->nranks;
    bool receives = c->root < 0 || c->root == rank;
    switch (c->kind) {
    case ALL_REDUCE:
    case REDUCE:
    case REDUCE_SCATTER: {
        size_t from = c->kind == REDUCE_SCATTER ? before(c->counts, rank) : 0;
        n = c->kind == REDUCE_SCATTER ? c->counts[rank] : c->count;
        for (size_t i = 0; receives && i < n; i++)
            number_store(out + i * esize, esize,
                         reduced(c->type, c->op, nranks, from + i));
        return receives ? n : SIZE_MAX;
    }
    case BROADCAST:
        memcpy(out, world.comms[c->root]->calls[0].send, c->count * esize);
        return c->count;
    case GATHER:
        for (int r = 0; receives && r < nranks; r++) {
            memcpy(out + n * esize, world.comms[r]->calls[0].send, c->counts[r] * esize);
            n += c->counts[r];
        }
        return receives ? n : SIZE_MAX;
    case SCATTER: {
        const struct call *root = &world.comms[c->root]->calls[0];
        memcpy(out, root->send + before(root->counts, rank) * esize,
               root->counts[rank] * esize);
        return root->counts[rank];
    }
    case ALL_TO_ALL:
        for (int r = 0; r < nranks; r++) {
            const struct call *other = &world.comms[r]->calls[0];
            memcpy(out + n * esize, other->send + before(other->counts, rank) * esize,
                   c->recv_counts[r] * esize);
            n += c->recv_counts[r];
        }
        return n;
    case PERMUTE:
        for (int i = 0; i < c->npairs; i++) {
            if (c->pairs[2 * i + 1] != rank)
                continue;
            memcpy(out, world.comms[c->pairs[2 * i]]->calls[0].send, c->count * esize);
            return c->count;
        }
        return SIZE_MAX;
    case P2P: { /* every rank sends to one and receives from one */
        int from = c->root;
        memcpy(out, world.comms[from]->calls[0].send, c->count * esize);
        return c->count;
    }
    default:
        return SIZE_MAX;
    }
}

static size_t largest_result(const struct trncclComm *comm)
{
    const struct call *c = &comm->calls[0];
    size_t most = c->count;
    size_t blocks = before(c->counts, comm->nranks);
    size_t received = before(c->recv_counts, comm->nranks);
    most = blocks > most ? blocks : most;
    most = received > most ? received : most;
    if (c->kind == SCATTER)
        most = before(world.comms[c->root]->calls[0].counts, comm->nranks);
    return (most + 1) * 8;
}

static void deliver(const struct trncclComm *comm, const unsigned char *result, size_t n)
{
    const struct call *c = &comm->calls[0];
    size_t esize = names_type_nbytes(c->type);
    enum fake_fault fault = comm->rank == 1 ? the_fault : FAKE_NONE;
    if (n == SIZE_MAX || fault == FAKE_STALE)
        return;
    if (fault == FAKE_SHIFT && n > 1)
        memcpy(c->recv + esize, result, (n - 1) * esize);
    else if (n > 0)
        memcpy(c->recv, result, n * esize);
    if (fault == FAKE_FLIP_BIT && n > 0)
        c->recv[(n - 1) * esize] ^= 1;
    if (fault == FAKE_WRITE_BEYOND)
        c->recv[n * esize] ^= 1;
    if (fault == FAKE_CHANGE_SEND && c->send != c->recv)
        ((unsigned char *)(uintptr_t)c->send)[0] ^= 1;
}

/* Runs the oldest call of each of these ranks. */
static void step(struct trncclComm **comms, int n)
{
    unsigned char *results[MAX_RANKS];
    size_t sizes[MAX_RANKS];
    meet(n);
    for (int i = 0; i < n; i++) {
        results[i] = malloc(largest_result(comms[i]));
        sizes[i] = compute(comms[i], results[i]);
    }
    meet(n);
    for (int i = 0; i < n; i++) {
        deliver(comms[i], results[i], sizes[i]);
        free(results[i]);
    }
    meet(n);
    for (int i = 0; i < n; i++) {
        struct trncclComm *c = comms[i];
        memmove(c->calls, c->calls + 1, (size_t)--c->ncalls * sizeof c->calls[0]);
    }
}

static trncclResult_t submit(struct trncclComm *comm, const struct call *call)
{
    if (comm->ncalls == MAX_CALLS)
        return trncclInternalError;
    comm->calls[comm->ncalls++] = *call;
    if (group_depth == 0) {
        step(&comm, 1);
        return trncclSuccess;
    }
    for (int i = 0; i < ngrouped; i++) {
        if (grouped[i] == comm)
            return trncclSuccess;
    }
    grouped[ngrouped++] = comm;
    return trncclSuccess;
}

trncclResult_t trncclGroupStart(void)
{
    group_depth++;
    return trncclSuccess;
}

trncclResult_t trncclGroupEnd(void)
{
    if (--group_depth > 0)
        return trncclSuccess;
    while (ngrouped > 0 && grouped[0]->ncalls > 0)
        step(grouped, ngrouped);
    ngrouped = 0;
    return trncclSuccess;
}

/* ---- The interface ------------------------------------------------------------------
 */

static struct call make(enum kind kind, const void *send, void *recv, size_t count,
                        int type)
{
    struct call c = {.kind = kind,
                     .send = send,
                     .recv = recv,
                     .count = count,
                     .type = type,
                     .root = -1};
    return c;
}

static void equal_blocks(struct call *c, int nranks)
{
    for (int r = 0; r < nranks; r++)
        c->counts[r] = c->recv_counts[r] = c->count;
    c->count = 0;
}

static void blocks(size_t *to, const size_t *from, int nranks)
{
    memcpy(to, from, (size_t)nranks * sizeof *to);
}

trncclResult_t trncclAllReduce(const void *send, void *recv, size_t count,
                               trncclDataType_t type, trncclRedOp_t op, trncclComm_t comm,
                               trncclStream_t stream)
{
    (void)stream;
    struct call c = make(ALL_REDUCE, send, recv, count, (int)type);
    c.op = (int)op;
    return submit(comm, &c);
}

trncclResult_t trncclReduce(const void *send, void *recv, size_t count,
                            trncclDataType_t type, trncclRedOp_t op, int root,
                            trncclComm_t comm, trncclStream_t stream)
{
    (void)stream;
    struct call c = make(REDUCE, send, recv, count, (int)type);
    c.op = (int)op;
    c.root = root;
    return submit(comm, &c);
}

trncclResult_t trncclReduceScatter(const void *send, void *recv, size_t count,
                                   trncclDataType_t type, trncclRedOp_t op,
                                   trncclComm_t comm, trncclStream_t stream)
{
    (void)stream;
    struct call c = make(REDUCE_SCATTER, send, recv, count, (int)type);
    c.op = (int)op;
    equal_blocks(&c, comm->nranks);
    return submit(comm, &c);
}

trncclResult_t trncclReduceScatterV(const void *send, const size_t *counts,
                                    const size_t *displs, void *recv,
                                    trncclDataType_t type, trncclRedOp_t op,
                                    trncclComm_t comm, trncclStream_t stream)
{
    (void)displs, (void)stream;
    struct call c = make(REDUCE_SCATTER, send, recv, 0, (int)type);
    c.op = (int)op;
    blocks(c.counts, counts, comm->nranks);
    return submit(comm, &c);
}

trncclResult_t trncclBroadcast(const void *send, void *recv, size_t count,
                               trncclDataType_t type, int root, trncclComm_t comm,
                               trncclStream_t stream)
{
    (void)stream;
    struct call c = make(BROADCAST, send, recv, count, (int)type);
    c.root = root;
    return submit(comm, &c);
}

static trncclResult_t gather(const void *send, void *recv, size_t count,
                             const size_t *counts, trncclDataType_t type, int root,
                             trncclComm_t comm)
{
    struct call c = make(GATHER, send, recv, count, (int)type);
    equal_blocks(&c, comm->nranks);
    if (counts)
        blocks(c.counts, counts, comm->nranks);
    c.root = root;
    return submit(comm, &c);
}

trncclResult_t trncclAllGather(const void *send, void *recv, size_t count,
                               trncclDataType_t type, trncclComm_t comm,
                               trncclStream_t stream)
{
    (void)stream;
    return gather(send, recv, count, NULL, type, -1, comm);
}

trncclResult_t trncclAllGatherV(const void *send, size_t count, void *recv,
                                const size_t *counts, const size_t *displs,
                                trncclDataType_t type, trncclComm_t comm,
                                trncclStream_t stream)
{
    (void)stream, (void)displs;
    return gather(send, recv, count, counts, type, -1, comm);
}

trncclResult_t trncclGather(const void *send, void *recv, size_t count,
                            trncclDataType_t type, int root, trncclComm_t comm,
                            trncclStream_t stream)
{
    (void)stream;
    return gather(send, recv, count, NULL, type, root, comm);
}

trncclResult_t trncclGatherV(const void *send, size_t count, void *recv,
                             const size_t *counts, const size_t *displs,
                             trncclDataType_t type, int root, trncclComm_t comm,
                             trncclStream_t stream)
{
    (void)stream, (void)displs;
    return gather(send, recv, count, counts, type, root, comm);
}

static trncclResult_t scatter(const void *send, const size_t *counts, void *recv,
                              size_t count, trncclDataType_t type, int root,
                              trncclComm_t comm)
{
    struct call c = make(SCATTER, send, recv, count, (int)type);
    equal_blocks(&c, comm->nranks);
    if (counts)
        blocks(c.counts, counts, comm->nranks);
    c.root = root;
    return submit(comm, &c);
}

trncclResult_t trncclScatter(const void *send, void *recv, size_t count,
                             trncclDataType_t type, int root, trncclComm_t comm,
                             trncclStream_t stream)
{
    (void)stream;
    return scatter(send, NULL, recv, count, type, root, comm);
}

trncclResult_t trncclScatterV(const void *send, const size_t *counts,
                              const size_t *displs, void *recv, size_t count,
                              trncclDataType_t type, int root, trncclComm_t comm,
                              trncclStream_t stream)
{
    (void)stream, (void)displs;
    return scatter(send, counts, recv, count, type, root, comm);
}

trncclResult_t trncclAllToAll(const void *send, void *recv, size_t count,
                              trncclDataType_t type, trncclComm_t comm,
                              trncclStream_t stream)
{
    (void)stream;
    struct call c = make(ALL_TO_ALL, send, recv, count, (int)type);
    equal_blocks(&c, comm->nranks);
    return submit(comm, &c);
}

trncclResult_t trncclAllToAllV(const void *send, const size_t *send_counts,
                               const size_t *sdispls, void *recv,
                               const size_t *recv_counts, const size_t *rdispls,
                               trncclDataType_t type, trncclComm_t comm,
                               trncclStream_t stream)
{
    (void)stream, (void)sdispls, (void)rdispls;
    struct call c = make(ALL_TO_ALL, send, recv, 0, (int)type);
    blocks(c.counts, send_counts, comm->nranks);
    blocks(c.recv_counts, recv_counts, comm->nranks);
    return submit(comm, &c);
}

trncclResult_t trncclPermute(const void *send, void *recv, size_t count,
                             trncclDataType_t type, const int *pairs, int npairs,
                             trncclComm_t comm, trncclStream_t stream)
{
    (void)stream;
    struct call c = make(PERMUTE, send, recv, count, (int)type);
    c.pairs = pairs;
    c.npairs = npairs;
    return submit(comm, &c);
}

/* A send and a receive of one group become one call, the only use the tool makes. */
trncclResult_t trncclSend(const void *send, size_t count, trncclDataType_t type, int peer,
                          trncclComm_t comm, trncclStream_t stream)
{
    (void)peer, (void)stream;
    struct call *last = comm->ncalls ? &comm->calls[comm->ncalls - 1] : NULL;
    if (last && last->kind == P2P && !last->send) {
        last->send = send;
        return trncclSuccess;
    }
    struct call c = make(P2P, send, NULL, count, (int)type);
    return submit(comm, &c);
}

trncclResult_t trncclRecv(void *recv, size_t count, trncclDataType_t type, int peer,
                          trncclComm_t comm, trncclStream_t stream)
{
    (void)stream;
    struct call *last = comm->ncalls ? &comm->calls[comm->ncalls - 1] : NULL;
    if (last && last->kind == P2P && !last->recv) {
        last->recv = recv;
        last->root = peer;
        return trncclSuccess;
    }
    struct call c = make(P2P, NULL, recv, count, (int)type);
    c.root = peer;
    return submit(comm, &c);
}

trncclResult_t trncclBarrier(trncclComm_t comm, trncclStream_t stream)
{
    (void)stream;
    struct call c = make(BARRIER, NULL, NULL, 0, trncclUint8);
    return submit(comm, &c);
}

trncclResult_t trncclGetUniqueId(trncclUniqueId *id)
{
    memset(id, 0, sizeof *id);
    return trncclSuccess;
}

trncclResult_t trncclCommInitRankConfig(trncclComm_t *comm, int nranks, trncclUniqueId id,
                                        int rank, trncclConfig_t *config)
{
    (void)id, (void)config;
    struct trncclComm *c = calloc(1, sizeof *c);
    c->rank = rank;
    c->nranks = nranks;
    pthread_mutex_lock(&world.lock);
    world.nranks = nranks;
    world.comms[rank] = c;
    pthread_mutex_unlock(&world.lock);
    meet(1);
    *comm = c;
    return trncclSuccess;
}

trncclResult_t trncclCommDestroy(trncclComm_t comm)
{
    free(comm);
    return trncclSuccess;
}

trncclResult_t trncclCommGetAlgorithm(trncclComm_t comm, const char **name)
{
    (void)comm;
    *name = "brute";
    return trncclSuccess;
}

trncclResult_t trncclRedOpCreatePreMulSum(trncclRedOp_t *op, void *scalar,
                                          trncclDataType_t type,
                                          trncclScalarResidence_t residence,
                                          trncclComm_t comm)
{
    (void)residence;
    comm->scalar = number_load(scalar, names_type_nbytes((int)type));
    *op = (trncclRedOp_t)FIRST_HANDLE;
    return trncclSuccess;
}

trncclResult_t trncclRedOpDestroy(trncclRedOp_t op, trncclComm_t comm)
{
    (void)op, (void)comm;
    return trncclSuccess;
}

trncclResult_t trncclMemAlloc(void **ptr, size_t nbytes)
{
    return posix_memalign(ptr, 4096, nbytes) == 0 ? trncclSuccess : trncclSystemError;
}

trncclResult_t trncclMemFree(void *ptr)
{
    free(ptr);
    return trncclSuccess;
}

trncclResult_t trncclCommRegister(trncclComm_t comm, void *buff, size_t nbytes,
                                  void **handle)
{
    (void)comm, (void)nbytes;
    *handle = buff;
    return trncclSuccess;
}

trncclResult_t trncclCommDeregister(trncclComm_t comm, void *handle)
{
    (void)comm, (void)handle;
    return trncclSuccess;
}

trncclResult_t trncclCommWindowRegister(trncclComm_t comm, void *buff, size_t nbytes,
                                        trncclWindow_t *win, int flags)
{
    (void)comm, (void)nbytes, (void)flags;
    *win = (trncclWindow_t)buff;
    return trncclSuccess;
}

trncclResult_t trncclCommWindowDeregister(trncclComm_t comm, trncclWindow_t win)
{
    (void)comm, (void)win;
    return trncclSuccess;
}

trncclResult_t trncclStreamCreate(trncclStream_t *stream)
{
    *stream = malloc(1);
    return trncclSuccess;
}

trncclResult_t trncclStreamDestroy(trncclStream_t stream)
{
    free(stream);
    return trncclSuccess;
}

trncclResult_t trncclStreamSynchronize(trncclStream_t stream)
{
    (void)stream;
    return trncclSuccess;
}

trncclResult_t trncclGetVersion(int *version)
{
    *version = TRNCCL_VERSION_CODE;
    return trncclSuccess;
}

const char *trncclGetErrorString(trncclResult_t result)
{
    (void)result;
    return "a result of the stand-in";
}

const char *trncclGetLastError(trncclComm_t comm)
{
    (void)comm;
    return "";
}
