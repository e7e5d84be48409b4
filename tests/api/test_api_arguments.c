/* Every public function with every bad argument: the code, a sentence that names the
 * function, the argument, its value and the rule, outputs as they were, and a
 * communicator that works afterwards. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/leakcheck.h"
#include "trnccl.h"

#define NRANKS 3
#define COUNT 8
static trncclComm_t comms[NRANKS], comm; /* comm: of rank 1 */
static trncclStream_t stream;
/* What no refused call may touch. */
static char bytes[4096], before[4096];
#define IN ((float *)(bytes + 1024))
#define OUT ((float *)(bytes + 2048))

/* ---- what is expected
 * ----------------------------------------------------------------------- */

static void refused(const char *file, int line, const char *call, trncclComm_t of,
                    trncclResult_t got, trncclResult_t want, ...)
{
    if (got != want)
        print_error("%s: result %d (%s), expected %d\n", call, got,
                    trncclGetLastError(NULL), want);
    _assert_int_equal(got, want, file, line);
    va_list words;
    va_start(words, want);
    for (const char *word; (word = va_arg(words, const char *));) {
        if (!strstr(trncclGetLastError(NULL), word) ||
            (of && !strstr(trncclGetLastError(of), word)))
            print_error("%s: expected '%s' in\n  thread: %s\n  comm:   %s\n", call, word,
                        trncclGetLastError(NULL), trncclGetLastError(of));
        _assert_true(strstr(trncclGetLastError(NULL), word) != NULL, word, file, line);
        _assert_true(!of || strstr(trncclGetLastError(of), word), word, file, line);
    }
    va_end(words);
    _assert_true(memcmp(bytes, before, sizeof bytes) == 0, "buffers unchanged", file,
                 line);
}

/* Refused by the communicator `comm`, which keeps the sentence. */
#define REFUSED(call, ...)                                                               \
    refused(__FILE__, __LINE__, #call, comm, call, trncclInvalidArgument, __VA_ARGS__,   \
            NULL)
/* Refused before there is a communicator to tell. */
#define REFUSED_HERE(call, ...)                                                          \
    refused(__FILE__, __LINE__, #call, NULL, call, trncclInvalidArgument, __VA_ARGS__,   \
            NULL)
#define MISUSED_HERE(call, ...)                                                          \
    refused(__FILE__, __LINE__, #call, NULL, call, trncclInvalidUsage, __VA_ARGS__, NULL)

#define ALLREDUCE(in, out, n, type, op) trncclAllReduce(in, out, n, type, op, comm, NULL)

static int setup(void **state)
{
    (void)state;
    /* A call that should be refused and is not would wait for the other ranks. */
    setenv("TRNCCL_TIMEOUT_MS", "3000", 1);
    if (trncclCommInitAll(comms, NRANKS, NULL) != trncclSuccess ||
        trncclStreamCreate(&stream) != trncclSuccess)
        return -1;
    comm = comms[1];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + 1);
    memcpy(before, bytes, sizeof bytes);
    return 0;
}

/* The communicators work, and no error has stuck to them. */
static bool works(void)
{
    int32_t in[NRANKS], out[NRANKS] = {0};
    trncclResult_t now = trncclInternalError;
    if (trncclGroupStart() != trncclSuccess)
        return false;
    bool good = true;
    for (int r = 0; r < NRANKS; r++) {
        in[r] = r + 1;
        good &= trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, comms[r],
                                NULL) == trncclSuccess;
        good &= trncclCommGetAsyncError(comms[r], &now) == trncclSuccess && now == 0;
    }
    good &= trncclGroupEnd() == trncclSuccess;
    for (int r = 0; r < NRANKS; r++)
        good &= out[r] == 6;
    return good;
}

/* After every case. */
static int teardown(void **state)
{
    (void)state;
    bool good = works();
    if (!good)
        print_error("the communicators are harmed: %s\n", trncclGetLastError(NULL));
    good &= trncclStreamDestroy(stream) == trncclSuccess;
    for (int r = 0; r < NRANKS; r++)
        good &= trncclCommDestroy(comms[r]) == trncclSuccess;
    return good ? 0 : -1;
}

/* ---- the communicator argument
 * -------------------------------------------------------------- */

typedef trncclResult_t (*comm_call_fn)(trncclComm_t c, trncclStream_t s);
static size_t counts[NRANKS] = {2, 3, 2}, displs[NRANKS] = {0, 2, 5};
static const int pairs[4] = {0, 1, 1, 2};

static trncclResult_t do_all_reduce(trncclComm_t c, trncclStream_t s)
{
    return trncclAllReduce(IN, OUT, COUNT, trncclFloat32, trncclSum, c, s);
}
static trncclResult_t do_all_gather(trncclComm_t c, trncclStream_t s)
{
    return trncclAllGather(IN, OUT, COUNT, trncclFloat32, c, s);
}
static trncclResult_t do_reduce_scatter(trncclComm_t c, trncclStream_t s)
{
    return trncclReduceScatter(IN, OUT, COUNT, trncclFloat32, trncclSum, c, s);
}
static trncclResult_t do_broadcast(trncclComm_t c, trncclStream_t s)
{
    return trncclBroadcast(IN, OUT, COUNT, trncclFloat32, 0, c, s);
}
static trncclResult_t do_bcast(trncclComm_t c, trncclStream_t s)
{
    return trncclBcast(IN, COUNT, trncclFloat32, 0, c, s);
}
static trncclResult_t do_reduce(trncclComm_t c, trncclStream_t s)
{
    return trncclReduce(IN, OUT, COUNT, trncclFloat32, trncclSum, 0, c, s);
}
static trncclResult_t do_all_to_all(trncclComm_t c, trncclStream_t s)
{
    return trncclAllToAll(IN, OUT, COUNT, trncclFloat32, c, s);
}
static trncclResult_t do_gather(trncclComm_t c, trncclStream_t s)
{
    return trncclGather(IN, OUT, COUNT, trncclFloat32, 0, c, s);
}
static trncclResult_t do_scatter(trncclComm_t c, trncclStream_t s)
{
    return trncclScatter(IN, OUT, COUNT, trncclFloat32, 0, c, s);
}
static trncclResult_t do_barrier(trncclComm_t c, trncclStream_t s)
{
    return trncclBarrier(c, s);
}
static trncclResult_t do_all_gather_v(trncclComm_t c, trncclStream_t s)
{
    return trncclAllGatherV(IN, 3, OUT, counts, displs, trncclFloat32, c, s);
}
static trncclResult_t do_reduce_scatter_v(trncclComm_t c, trncclStream_t s)
{
    return trncclReduceScatterV(IN, counts, displs, OUT, trncclFloat32, trncclSum, c, s);
}
static trncclResult_t do_all_to_all_v(trncclComm_t c, trncclStream_t s)
{
    return trncclAllToAllV(IN, counts, displs, OUT, counts, displs, trncclFloat32, c, s);
}
static trncclResult_t do_gather_v(trncclComm_t c, trncclStream_t s)
{
    return trncclGatherV(IN, 3, OUT, counts, displs, trncclFloat32, 1, c, s);
}
static trncclResult_t do_scatter_v(trncclComm_t c, trncclStream_t s)
{
    return trncclScatterV(IN, counts, displs, OUT, 3, trncclFloat32, 1, c, s);
}
static trncclResult_t do_send(trncclComm_t c, trncclStream_t s)
{
    return trncclSend(IN, COUNT, trncclFloat32, 0, c, s);
}
static trncclResult_t do_recv(trncclComm_t c, trncclStream_t s)
{
    return trncclRecv(OUT, COUNT, trncclFloat32, 0, c, s);
}
static trncclResult_t do_permute(trncclComm_t c, trncclStream_t s)
{
    return trncclPermute(IN, OUT, COUNT, trncclFloat32, pairs, 2, c, s);
}

static const struct {
    const char *name;
    comm_call_fn call;
} collectives[] = {
    {"trncclAllReduce", do_all_reduce},
    {"trncclAllGather", do_all_gather},
    {"trncclReduceScatter", do_reduce_scatter},
    {"trncclBroadcast", do_broadcast},
    {"trncclBcast", do_bcast},
    {"trncclReduce", do_reduce},
    {"trncclAllToAll", do_all_to_all},
    {"trncclGather", do_gather},
    {"trncclScatter", do_scatter},
    {"trncclBarrier", do_barrier},
    {"trncclAllGatherV", do_all_gather_v},
    {"trncclReduceScatterV", do_reduce_scatter_v},
    {"trncclAllToAllV", do_all_to_all_v},
    {"trncclGatherV", do_gather_v},
    {"trncclScatterV", do_scatter_v},
    {"trncclSend", do_send},
    {"trncclRecv", do_recv},
    {"trncclPermute", do_permute},
};
#define NCOLLECTIVES (sizeof collectives / sizeof collectives[0])

/* Memory that is no handle of anything. */
static uint64_t garbage[512];

static void collective_without_comm_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < NCOLLECTIVES; i++)
        REFUSED_HERE(collectives[i].call(NULL, NULL), collectives[i].name, "comm");
}

static void collective_with_a_handle_of_nothing_is_refused(void **state)
{
    (void)state;
    trncclComm_t nothing = (trncclComm_t)(void *)garbage;
    trncclComm_t wrong_kind = (trncclComm_t)(void *)stream;
    for (size_t i = 0; i < NCOLLECTIVES; i++) {
        REFUSED_HERE(collectives[i].call(nothing, NULL), collectives[i].name, "comm");
        REFUSED_HERE(collectives[i].call(wrong_kind, NULL), collectives[i].name, "comm");
    }
}

static void collective_with_a_bad_stream_is_refused(void **state)
{
    (void)state;
    trncclStream_t nothing = (trncclStream_t)(void *)garbage;
    trncclStream_t wrong_kind = (trncclStream_t)(void *)comm;
    for (size_t i = 0; i < NCOLLECTIVES; i++) {
        REFUSED(collectives[i].call(comm, nothing), collectives[i].name, "stream");
        REFUSED(collectives[i].call(comm, wrong_kind), collectives[i].name, "stream");
    }
}

/* ---- buffers
 * -------------------------------------------------------------------------------- */

static void null_buffers_are_refused(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    REFUSED(ALLREDUCE(NULL, OUT, 8, f, trncclSum), "trncclAllReduce", "sendbuff", "NULL");
    REFUSED(ALLREDUCE(IN, NULL, 8, f, trncclSum), "trncclAllReduce", "recvbuff", "NULL");
    REFUSED(trncclAllGather(NULL, OUT, 8, f, comm, NULL), "AllGather", "sendbuff");
    REFUSED(trncclAllGather(IN, NULL, 8, f, comm, NULL), "AllGather", "recvbuff");
    REFUSED(trncclReduceScatter(NULL, OUT, 8, f, trncclSum, comm, NULL), "sendbuff");
    REFUSED(trncclReduceScatter(IN, NULL, 8, f, trncclSum, comm, NULL), "recvbuff");
    REFUSED(trncclBroadcast(NULL, OUT, 8, f, 1, comm, NULL), "Broadcast", "sendbuff");
    REFUSED(trncclBroadcast(IN, NULL, 8, f, 0, comm, NULL), "Broadcast", "recvbuff");
    REFUSED(trncclBcast(NULL, 8, f, 0, comm, NULL), "trncclBcast", "buff", "NULL");
    REFUSED(trncclReduce(NULL, OUT, 8, f, trncclSum, 0, comm, NULL), "sendbuff");
    REFUSED(trncclReduce(IN, NULL, 8, f, trncclSum, 1, comm, NULL), "recvbuff");
    REFUSED(trncclAllToAll(NULL, OUT, 8, f, comm, NULL), "AllToAll", "sendbuff");
    REFUSED(trncclAllToAll(IN, NULL, 8, f, comm, NULL), "AllToAll", "recvbuff");
    REFUSED(trncclGather(NULL, OUT, 8, f, 0, comm, NULL), "Gather", "sendbuff");
    REFUSED(trncclGather(IN, NULL, 8, f, 1, comm, NULL), "Gather", "recvbuff");
    REFUSED(trncclScatter(NULL, OUT, 8, f, 1, comm, NULL), "Scatter", "sendbuff");
    REFUSED(trncclScatter(IN, NULL, 8, f, 0, comm, NULL), "Scatter", "recvbuff");
    REFUSED(trncclSend(NULL, 8, f, 0, comm, NULL), "trncclSend", "sendbuff", "8");
    REFUSED(trncclRecv(NULL, 8, f, 0, comm, NULL), "trncclRecv", "recvbuff", "8");
    REFUSED(trncclPermute(NULL, OUT, 8, f, pairs, 2, comm, NULL), "sendbuff");
    REFUSED(trncclPermute(IN, NULL, 8, f, pairs, 2, comm, NULL), "recvbuff");
}

static void null_buffers_of_v_forms_are_refused(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    REFUSED(trncclAllGatherV(NULL, 3, OUT, counts, NULL, f, comm, NULL), "sendbuff");
    REFUSED(trncclAllGatherV(IN, 3, NULL, counts, NULL, f, comm, NULL), "recvbuff");
    REFUSED(trncclReduceScatterV(NULL, counts, NULL, OUT, f, trncclSum, comm, NULL),
            "sendbuff");
    REFUSED(trncclReduceScatterV(IN, counts, NULL, NULL, f, trncclSum, comm, NULL),
            "recvbuff");
    REFUSED(trncclAllToAllV(NULL, counts, NULL, OUT, counts, NULL, f, comm, NULL),
            "sendbuff");
    REFUSED(trncclAllToAllV(IN, counts, NULL, NULL, counts, NULL, f, comm, NULL),
            "recvbuff");
    REFUSED(trncclGatherV(NULL, 3, OUT, counts, NULL, f, 1, comm, NULL), "sendbuff");
    REFUSED(trncclGatherV(IN, 3, NULL, counts, NULL, f, 1, comm, NULL), "recvbuff");
    REFUSED(trncclScatterV(NULL, counts, NULL, OUT, 3, f, 1, comm, NULL), "sendbuff");
    REFUSED(trncclScatterV(IN, counts, NULL, NULL, 3, f, 1, comm, NULL), "recvbuff");
}

static void overlapping_buffers_are_refused(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    REFUSED(ALLREDUCE(IN, IN + 1, 8, f, trncclSum), "trncclAllReduce", "overlap");
    REFUSED(ALLREDUCE(IN + 7, IN, 8, f, trncclSum), "trncclAllReduce", "overlap");
    REFUSED(trncclAllGather(IN, IN, 8, f, comm, NULL), "trncclAllGather", "overlap");
    REFUSED(trncclAllGather(IN + 16, IN, 8, f, comm, NULL), "AllGather", "overlap");
    REFUSED(trncclReduceScatter(IN, IN, 8, f, trncclSum, comm, NULL), "overlap");
    REFUSED(trncclBroadcast(IN, IN + 1, 8, f, 1, comm, NULL), "Broadcast", "overlap");
    REFUSED(trncclReduce(IN, IN + 1, 8, f, trncclSum, 1, comm, NULL), "overlap");
    REFUSED(trncclAllToAll(IN, IN + 1, 8, f, comm, NULL), "AllToAll", "overlap");
    REFUSED(trncclGather(IN, IN, 8, f, 1, comm, NULL), "trncclGather", "overlap");
    REFUSED(trncclScatter(IN, IN, 8, f, 1, comm, NULL), "trncclScatter", "overlap");
    REFUSED(trncclPermute(IN, IN + 1, 8, f, pairs, 2, comm, NULL), "overlap");
    REFUSED(trncclAllToAllV(IN, counts, NULL, IN, counts, NULL, f, comm, NULL),
            "trncclAllToAllV", "in place");
    REFUSED(trncclAllToAllV(IN, counts, NULL, IN + 1, counts, NULL, f, comm, NULL),
            "trncclAllToAllV", "overlap");
    REFUSED(trncclAllGatherV(IN, 3, IN, counts, NULL, f, comm, NULL), "overlap");
    REFUSED(trncclReduceScatterV(IN, counts, NULL, IN, f, trncclSum, comm, NULL),
            "overlap");
    REFUSED(trncclGatherV(IN, 3, IN, counts, NULL, f, 1, comm, NULL), "overlap");
    REFUSED(trncclScatterV(IN, counts, NULL, IN, 3, f, 1, comm, NULL), "overlap");
}

static void overlapping_blocks_that_are_received_are_refused(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    size_t one_shared[NRANKS] = {0, 1, 5};
    size_t within[NRANKS] = {1, 0, 5};
    REFUSED(trncclAllGatherV(IN, 3, OUT, counts, one_shared, f, comm, NULL), "AllGatherV",
            "blocks 0 and 1 of recvbuff overlap", "0 to 1", "1 to 3");
    REFUSED(trncclAllToAllV(IN, counts, NULL, OUT, counts, within, f, comm, NULL),
            "AllToAllV", "blocks 1 and 0 of recvbuff overlap");
    size_t last[NRANKS] = {4, 0, 3};
    REFUSED(trncclGatherV(IN, 3, OUT, counts, last, f, 1, comm, NULL), "GatherV",
            "blocks 2 and 0 of recvbuff overlap", "3 to 4", "4 to 5");
}

/* Blocks in any order, empty ones anywhere, blocks that are sent twice; and elsewhere
 * than on the root nobody looks. */
static void blocks_that_share_nothing_that_is_written_are_accepted(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    size_t turned[NRANKS] = {4, 6, 2}, some[NRANKS] = {2, 0, 2},
           inside[NRANKS] = {0, 1, 2};
    size_t twice[NRANKS] = {0, 1, 5};
    float in[NRANKS][8], all[NRANKS][9], root[4], part[NRANKS][3];
    assert_int_equal(trncclGroupStart(), trncclSuccess);
    for (int r = 0; r < NRANKS; r++) {
        for (int i = 0; i < 8; i++)
            in[r][i] = (float)(10 * r + i);
        assert_int_equal(
            trncclAllGatherV(in[r], counts[r], all[r], counts, turned, f, comms[r], NULL),
            trncclSuccess);
        assert_int_equal(trncclGatherV(in[r], some[r], root, some, r ? twice : inside, f,
                                       0, comms[r], NULL),
                         trncclSuccess);
        assert_int_equal(trncclScatterV(in[r], counts, twice, part[r], counts[r], f, 0,
                                        comms[r], NULL),
                         trncclSuccess);
    }
    assert_int_equal(trncclGroupEnd(), trncclSuccess);
    for (int r = 0; r < NRANKS; r++) {
        assert_true(all[r][4] == 0 && all[r][6] == 10 && all[r][8] == 12);
        assert_true(all[r][2] == 20 && all[r][3] == 21);
        assert_true(part[r][0] == (float)twice[r] && part[r][1] == (float)twice[r] + 1);
    }
    assert_true(root[1] == 1 && root[2] == 20 && root[3] == 21);
}

/* ---- counts, types, operations, ranks
 * --------------------------------------------------------- */

static void huge_counts_are_refused(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    size_t huge[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4 + 1,
                     (size_t)PTRDIFF_MAX / 4 + 1};
    for (size_t i = 0; i < 4; i++) {
        char number[32];
        snprintf(number, sizeof number, "%zu", huge[i]);
        REFUSED(ALLREDUCE(IN, OUT, huge[i], f, trncclSum), "AllReduce", "count", number);
        REFUSED(trncclSend(IN, huge[i], f, 0, comm, NULL), "Send", "count", number);
        REFUSED(trncclRecv(OUT, huge[i], f, 0, comm, NULL), "Recv", "count", number);
        REFUSED(trncclBroadcast(IN, OUT, huge[i], f, 0, comm, NULL), "count", number);
    }
    /* As bytes no number that overflows: the buffers seem to overlap. */
    size_t bytes_of_all = (size_t)1 << 62;
    REFUSED(ALLREDUCE(IN, OUT, bytes_of_all, trncclInt8, trncclSum), "AllReduce", "count",
            "4611686018427387904", "address space");
    size_t all_counts[NRANKS] = {1, (size_t)1 << 62, 1};
    REFUSED(trncclAllGatherV(IN, all_counts[1], OUT, all_counts, NULL, trncclInt8, comm,
                             NULL),
            "AllGatherV", "address space");
    /* Fits by itself, but not times the number of ranks. */
    size_t third = (size_t)PTRDIFF_MAX / 4 / NRANKS + 1;
    REFUSED(trncclAllGather(IN, OUT, third, f, comm, NULL), "AllGather", "count");
    REFUSED(trncclReduceScatter(IN, OUT, third, f, trncclSum, comm, NULL), "count");
    REFUSED(trncclAllToAll(IN, OUT, third, f, comm, NULL), "AllToAll", "count");
    REFUSED(trncclGather(IN, OUT, third, f, 1, comm, NULL), "Gather", "count");
    REFUSED(trncclScatter(IN, OUT, third, f, 1, comm, NULL), "Scatter", "count");
}

static void bad_counts_of_v_forms_are_refused(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    size_t huge[NRANKS] = {1, 3, SIZE_MAX / 4}, far[NRANKS] = {0, 1, SIZE_MAX - 1};
    REFUSED(trncclAllGatherV(IN, 3, OUT, NULL, NULL, f, comm, NULL), "recvcounts");
    REFUSED(trncclAllGatherV(IN, 2, OUT, counts, NULL, f, comm, NULL), "sendcount", "2",
            "3");
    REFUSED(trncclAllGatherV(IN, 3, OUT, huge, NULL, f, comm, NULL), " recvcounts[2]");
    REFUSED(trncclAllGatherV(IN, 3, OUT, counts, far, f, comm, NULL), " recvcounts[2]");
    REFUSED(trncclReduceScatterV(IN, NULL, NULL, OUT, f, trncclSum, comm, NULL),
            "trncclReduceScatterV", "recvcounts");
    REFUSED(trncclReduceScatterV(IN, huge, NULL, OUT, f, trncclSum, comm, NULL),
            " recvcounts[2]");
    REFUSED(trncclAllToAllV(IN, huge, NULL, OUT, counts, NULL, f, comm, NULL),
            " sendcounts[2]");
    REFUSED(trncclAllToAllV(IN, NULL, NULL, OUT, counts, NULL, f, comm, NULL),
            "sendcounts", "NULL");
    REFUSED(trncclAllToAllV(IN, counts, NULL, OUT, NULL, NULL, f, comm, NULL),
            "recvcounts", "NULL");
    size_t other[NRANKS] = {2, 4, 2};
    REFUSED(trncclAllToAllV(IN, counts, NULL, OUT, other, NULL, f, comm, NULL),
            "sendcounts[1]", "recvcounts[1]");
    REFUSED(trncclGatherV(IN, 3, OUT, NULL, NULL, f, 1, comm, NULL), "recvcounts");
    REFUSED(trncclGatherV(IN, 2, OUT, counts, NULL, f, 1, comm, NULL), "sendcount");
    REFUSED(trncclGatherV(IN, SIZE_MAX / 2, OUT, counts, NULL, f, 0, comm, NULL),
            "count");
    REFUSED(trncclScatterV(IN, NULL, NULL, OUT, 3, f, 1, comm, NULL), "sendcounts");
    REFUSED(trncclScatterV(IN, counts, NULL, OUT, 2, f, 1, comm, NULL), "recvcount");
    REFUSED(trncclScatterV(IN, counts, NULL, OUT, SIZE_MAX / 2, f, 0, comm, NULL),
            "count");
}

static void bad_types_are_refused(void **state)
{
    (void)state;
    int bad[] = {-1, trncclNumTypes, trncclNumTypes + 1, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        trncclDataType_t t = (trncclDataType_t)bad[i];
        char number[32];
        snprintf(number, sizeof number, "%d", bad[i]);
        assert_int_equal(trncclTypeSize(t), 0);
        REFUSED(ALLREDUCE(IN, OUT, 8, t, trncclSum), "AllReduce", "datatype", number);
        REFUSED(trncclAllGather(IN, OUT, 8, t, comm, NULL), "datatype", number);
        REFUSED(trncclReduceScatter(IN, OUT, 8, t, trncclSum, comm, NULL), "datatype");
        REFUSED(trncclBroadcast(IN, OUT, 8, t, 0, comm, NULL), "datatype", number);
        REFUSED(trncclBcast(IN, 8, t, 0, comm, NULL), "trncclBcast", "datatype");
        REFUSED(trncclReduce(IN, OUT, 8, t, trncclSum, 0, comm, NULL), "datatype");
        REFUSED(trncclAllToAll(IN, OUT, 8, t, comm, NULL), "datatype", number);
        REFUSED(trncclGather(IN, OUT, 8, t, 0, comm, NULL), "datatype", number);
        REFUSED(trncclScatter(IN, OUT, 8, t, 0, comm, NULL), "datatype", number);
        REFUSED(trncclSend(IN, 8, t, 0, comm, NULL), "trncclSend", "datatype", number);
        REFUSED(trncclRecv(OUT, 8, t, 0, comm, NULL), "trncclRecv", "datatype", number);
        REFUSED(trncclPermute(IN, OUT, 8, t, pairs, 2, comm, NULL), "datatype", number);
        REFUSED(trncclAllGatherV(IN, 3, OUT, counts, NULL, t, comm, NULL), "datatype");
        REFUSED(trncclAllToAllV(IN, counts, NULL, OUT, counts, NULL, t, comm, NULL),
                "datatype", number);
    }
}

static void bad_operations_are_refused(void **state)
{
    (void)state;
    int bad[] = {-1, trncclNumOps, trncclNumOps + 7, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        trncclRedOp_t op = (trncclRedOp_t)bad[i];
        char number[32];
        snprintf(number, sizeof number, "%d", bad[i]);
        REFUSED(ALLREDUCE(IN, OUT, 8, trncclFloat32, op), "AllReduce", "op", number);
        REFUSED(trncclReduceScatter(IN, OUT, 8, trncclInt8, op, comm, NULL), "op",
                number);
        REFUSED(trncclReduce(IN, OUT, 8, trncclInt8, op, 0, comm, NULL), "op", number);
        REFUSED(trncclReduceScatterV(IN, counts, NULL, OUT, trncclInt8, op, comm, NULL),
                "op", number);
        REFUSED(trncclRedOpDestroy(op, comm), "trncclRedOpDestroy", "op", number);
    }
    for (int op = 0; op < trncclNumOps; op++)
        REFUSED(trncclRedOpDestroy((trncclRedOp_t)op, comm), "trncclRedOpDestroy");
}

static void bitwise_operations_refuse_floats(void **state)
{
    (void)state;
    static const struct {
        trncclDataType_t type;
        const char *name;
    } floats[] = {{trncclFloat16, "float16"},       {trncclBfloat16, "bfloat16"},
                  {trncclFloat32, "float32"},       {trncclFloat64, "float64"},
                  {trncclFloat8e4m3, "float8e4m3"}, {trncclFloat8e5m2, "float8e5m2"}};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++)
        for (int op = trncclBand; op <= trncclLor; op++) {
            REFUSED(ALLREDUCE(IN, OUT, 8, floats[i].type, (trncclRedOp_t)op),
                    "trncclAllReduce", floats[i].name);
            REFUSED(trncclReduce(IN, OUT, 8, floats[i].type, (trncclRedOp_t)op, 0, comm,
                                 NULL),
                    "trncclReduce", floats[i].name);
        }
}

static void ranks_out_of_range_are_refused(void **state)
{
    (void)state;
    trncclDataType_t f = trncclFloat32;
    int bad[] = {-1, NRANKS, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int r = bad[i];
        char number[32];
        snprintf(number, sizeof number, "%d", r);
        REFUSED(trncclBroadcast(IN, OUT, 8, f, r, comm, NULL), "root", number, "2");
        REFUSED(trncclBcast(IN, 8, f, r, comm, NULL), "trncclBcast", "root", number);
        REFUSED(trncclReduce(IN, OUT, 8, f, trncclSum, r, comm, NULL), "root", number);
        REFUSED(trncclGather(IN, OUT, 8, f, r, comm, NULL), "root", number);
        REFUSED(trncclScatter(IN, OUT, 8, f, r, comm, NULL), "root", number);
        REFUSED(trncclGatherV(IN, 3, OUT, counts, NULL, f, r, comm, NULL), "root");
        REFUSED(trncclScatterV(IN, counts, NULL, OUT, 3, f, r, comm, NULL), "root");
        REFUSED(trncclSend(IN, 8, f, r, comm, NULL), "trncclSend", "peer", number);
        REFUSED(trncclRecv(OUT, 8, f, r, comm, NULL), "trncclRecv", "peer", number);
    }
}

static void bad_pairs_are_refused(void **state)
{
    (void)state;
    const int outside[] = {0, 3}, below[] = {-1, 0}, twice_source[] = {0, 1, 0, 2},
              twice_target[] = {0, 2, 1, 2};
#define PERMUTE(list, n) trncclPermute(IN, OUT, 8, trncclFloat32, list, n, comm, NULL)
    REFUSED(PERMUTE(NULL, 1), "trncclPermute", "pairs", "NULL");
    REFUSED(PERMUTE(pairs, -1), "trncclPermute", "npairs", "-1");
    REFUSED(PERMUTE(pairs, 4), "trncclPermute", "npairs", "4", "3");
    REFUSED(PERMUTE(pairs, INT_MIN), "trncclPermute", "npairs");
    REFUSED(PERMUTE(outside, 1), "trncclPermute", "target", "3");
    REFUSED(PERMUTE(below, 1), "trncclPermute", "source", "-1");
    REFUSED(PERMUTE(twice_source, 2), "trncclPermute", "rank 0", "source");
    REFUSED(PERMUTE(twice_target, 2), "trncclPermute", "rank 2", "target");
}

/* ---- questions and creation
 * ------------------------------------------------------------------- */

static void questions_without_a_place_are_refused(void **state)
{
    (void)state;
    trncclComm_t bad[] = {NULL, (trncclComm_t)(void *)garbage};
    int number = 77;
    const char *name = "untouched";
    trncclResult_t result = trncclTimeout;
    REFUSED_HERE(trncclGetVersion(NULL), "trncclGetVersion", "version", "NULL");
    REFUSED_HERE(trncclGetUniqueId(NULL), "trncclGetUniqueId", "id", "NULL");
    REFUSED_HERE(trncclCommCount(comm, NULL), "trncclCommCount", "count", "NULL");
    REFUSED_HERE(trncclCommUserRank(comm, NULL), "trncclCommUserRank", "rank", "NULL");
    REFUSED_HERE(trncclCommDevice(comm, NULL), "trncclCommDevice", "device", "NULL");
    REFUSED_HERE(trncclCommGetAlgorithm(comm, NULL), "CommGetAlgorithm", "name", "NULL");
    REFUSED_HERE(trncclCommGetAsyncError(comm, NULL), "GetAsyncError", "result", "NULL");
    for (int i = 0; i < 2; i++) {
        REFUSED_HERE(trncclCommCount(bad[i], &number), "trncclCommCount", "comm");
        REFUSED_HERE(trncclCommUserRank(bad[i], &number), "trncclCommUserRank", "comm");
        REFUSED_HERE(trncclCommDevice(bad[i], &number), "trncclCommDevice", "comm");
        REFUSED_HERE(trncclCommGetAlgorithm(bad[i], &name), "GetAlgorithm", "comm");
        REFUSED_HERE(trncclCommGetAsyncError(bad[i], &result), "AsyncError", "comm");
        REFUSED_HERE(trncclCommFinalize(bad[i]), "trncclCommFinalize", "comm");
        REFUSED_HERE(trncclCommDestroy(bad[i]), "trncclCommDestroy", "comm");
        REFUSED_HERE(trncclCommAbort(bad[i]), "trncclCommAbort", "comm");
        assert_non_null(trncclGetLastError(bad[i]));
    }
    assert_int_equal(number, 77);
    assert_string_equal(name, "untouched");
    assert_int_equal(result, trncclTimeout);
    for (int r = -3; r < 20; r++)
        assert_true(strlen(trncclGetErrorString((trncclResult_t)r)) > 3);
}

static void creation_with_bad_ranks_is_refused(void **state)
{
    (void)state;
    trncclUniqueId id = {{0}};
    trncclComm_t untouched = (trncclComm_t)(void *)garbage, c = untouched;
    static const struct {
        int nranks, rank;
        const char *argument, *value;
    } bad[] = {{0, 0, "nranks", "0"},
               {-1, 0, "nranks", "-1"},
               {INT_MAX, 0, "nranks", "2147483647"},
               {2, 2, "rank", "2"},
               {2, -1, "rank", "-1"},
               {4, INT_MAX, "rank", "2147483647"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int n = bad[i].nranks, r = bad[i].rank;
        REFUSED_HERE(trncclCommInitRank(&c, n, id, r), "trncclCommInitRank",
                     bad[i].argument, bad[i].value, "expected");
        REFUSED_HERE(trncclCommInitRankConfig(&c, n, id, r, NULL), "InitRankConfig",
                     bad[i].argument, bad[i].value);
        REFUSED_HERE(trncclCommInitRankScalable(&c, n, r, 1, &id, NULL), "Scalable",
                     bad[i].argument, bad[i].value);
    }
    REFUSED_HERE(trncclCommInitRank(NULL, 1, id, 0), "trncclCommInitRank", "comm");
    REFUSED_HERE(trncclCommInitRankScalable(&c, 2, 0, 0, &id, NULL), "Scalable",
                 "nids is 0", "1 to 2");
    REFUSED_HERE(trncclCommInitRankScalable(&c, 2, 0, -1, &id, NULL), "nids is -1");
    REFUSED_HERE(trncclCommInitRankScalable(&c, 2, 0, 3, &id, NULL), "nids is 3");
    REFUSED_HERE(trncclCommInitRankScalable(&c, 2, 0, 1, NULL, NULL), "Scalable",
                 "ids is NULL");
    REFUSED_HERE(trncclCommInitAll(NULL, 2, NULL), "trncclCommInitAll", "comms");
    REFUSED_HERE(trncclCommInitAll(&c, 0, NULL), "trncclCommInitAll", "ndev", "0");
    REFUSED_HERE(trncclCommInitAll(&c, -5, NULL), "trncclCommInitAll", "ndev", "-5");
    REFUSED_HERE(trncclCommInitAll(&c, INT_MAX, NULL), "trncclCommInitAll", "ndev");
    const int devices[] = {7, -1};
    trncclComm_t two[2] = {c, c};
    REFUSED_HERE(trncclCommInitAll(two, 2, devices), "trncclCommInitAll", "devlist[1]",
                 "-1");
    assert_ptr_equal(two[0], c);
    /* An id that nobody made. */
    REFUSED_HERE(trncclCommInitRank(&c, 2, id, 0), "id");
    memset(&id, 0xa5, sizeof id);
    REFUSED_HERE(trncclCommInitRank(&c, 2, id, 0), "id");
    assert_ptr_equal(c, untouched);
}

static void creation_with_a_bad_config_is_refused(void **state)
{
    (void)state;
    trncclUniqueId id = {{0}};
    trncclComm_t untouched = (trncclComm_t)(void *)garbage, c = untouched;
    const trncclConfig_t good = TRNCCL_CONFIG_INITIALIZER;
    trncclConfig_t bad;
#define BAD(change, ...)                                                                 \
    do {                                                                                 \
        bad = good;                                                                      \
        change;                                                                          \
        REFUSED_HERE(trncclCommInitRankConfig(&c, 1, id, 0, &bad),                       \
                     "trncclCommInitRankConfig", "config", __VA_ARGS__);                 \
    } while (0)
    BAD(bad.magic = 0, "TRNCCL_CONFIG_INITIALIZER");
    BAD(bad.size = 0, "TRNCCL_CONFIG_INITIALIZER");
    BAD(bad.size = 15, "TRNCCL_CONFIG_INITIALIZER");
    BAD(bad.size = sizeof bad + 8, "older");
    BAD(bad.size = SIZE_MAX, "bytes");
    BAD(bad.version = 0, "version");
    BAD(bad.blocking = 2, "blocking", "2", "0 or 1");
    BAD(bad.blocking = -1, "blocking", "-1");
    BAD(bad.splitShare = 2, "splitShare", "2", "0 or 1");
    BAD(bad.timeoutMs = -1, "timeoutMs", "-1");
    BAD(bad.initTimeoutMs = -7, "initTimeoutMs", "-7");
#undef BAD
    memset(&bad, 0, sizeof bad);
    REFUSED_HERE(trncclCommInitRankConfig(&c, 1, id, 0, &bad), "config");
    assert_ptr_equal(c, untouched);
}

static trncclResult_t create_one(trncclConfig_t *config, trncclComm_t *c)
{
    trncclUniqueId id;
    trncclResult_t result = trncclGetUniqueId(&id);
    return result == trncclSuccess ? trncclCommInitRankConfig(c, 1, id, 0, config)
                                   : result;
}

static void creation_with_unknown_names_lists_the_valid_ones(void **state)
{
    (void)state;
    trncclComm_t untouched = (trncclComm_t)(void *)garbage, c = untouched;
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.algo = "rinq";
    REFUSED_HERE(create_one(&config, &c), "rinq", "ring");
    config.algo = "all_reduce=rinq";
    REFUSED_HERE(create_one(&config, &c), "rinq", "ring");
    config.algo = "all_reduze=ring";
    REFUSED_HERE(create_one(&config, &c), "all_reduze", "all_reduce");
    config.algo = NULL;
    config.transport = "smh";
    trncclUniqueId id = {{0}}; /* the name is looked at before anyone is asked */
    REFUSED_HERE(trncclCommInitRankConfig(&c, 1, id, 0, &config), "smh", "shm", "self");
    assert_ptr_equal(c, untouched);
}

static void a_shorter_config_of_an_older_header_is_accepted(void **state)
{
    (void)state;
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    trncclComm_t c = NULL;
    config.size = offsetof(trncclConfig_t, algo);
    config.algo = "beyond the end of the older struct: not read";
    assert_int_equal(create_one(&config, &c), trncclSuccess);
    assert_int_equal(trncclCommDestroy(c), trncclSuccess);
}

static void split_with_bad_arguments_is_refused(void **state)
{
    (void)state;
    trncclComm_t untouched = (trncclComm_t)(void *)garbage, c = untouched;
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.magic++;
    REFUSED_HERE(trncclCommSplit(NULL, 0, 0, &c, NULL), "trncclCommSplit", "comm");
    REFUSED_HERE(trncclCommSplit(untouched, 0, 0, &c, NULL), "trncclCommSplit", "comm");
    REFUSED(trncclCommSplit(comm, 0, 0, NULL, NULL), "trncclCommSplit: newcomm is NULL");
    REFUSED(trncclCommSplit(comm, -2, 0, &c, NULL), "trncclCommSplit: color is -2");
    REFUSED(trncclCommSplit(comm, 0, 0, &c, &config), "trncclCommSplit", "config");
    assert_ptr_equal(c, untouched);
}

/* ---- memory and scalars
 * ----------------------------------------------------------------------- */

static void memory_calls_refuse_what_is_not_theirs(void **state)
{
    (void)state;
    void *p = &garbage, *untouched = p;
    REFUSED_HERE(trncclMemAlloc(NULL, 16), "trncclMemAlloc", "ptr", "NULL");
    REFUSED_HERE(trncclMemAlloc(&p, SIZE_MAX), "trncclMemAlloc", "18446744073709551615");
    assert_ptr_equal(p, untouched);
    REFUSED_HERE(trncclMemFree(garbage), "trncclMemFree");
    assert_int_equal(trncclMemFree(NULL), trncclSuccess);
    assert_int_equal(trncclMemAlloc(&p, 10000), trncclSuccess);
    REFUSED_HERE(trncclMemFree((char *)p + 1), "trncclMemFree");
    assert_int_equal(trncclMemFree(p), trncclSuccess);
    REFUSED_HERE(trncclMemFree(p), "trncclMemFree");
    assert_int_equal(trncclMemAlloc(&p, 0), trncclSuccess);
    assert_int_equal(trncclMemFree(p), trncclSuccess);
}

static void registration_with_bad_arguments_is_refused(void **state)
{
    (void)state;
    void *handle = garbage;
    trncclWindow_t win = (trncclWindow_t)(void *)garbage;
    trncclComm_t bad = (trncclComm_t)(void *)garbage;
    REFUSED_HERE(trncclCommRegister(NULL, IN, 16, &handle), "trncclCommRegister", "comm");
    REFUSED_HERE(trncclCommRegister(bad, IN, 16, &handle), "trncclCommRegister", "comm");
    REFUSED(trncclCommRegister(comm, IN, 16, NULL), "trncclCommRegister", "handle");
    REFUSED(trncclCommRegister(comm, NULL, 16, &handle), "trncclCommRegister", "buff");
    REFUSED(trncclCommRegister(comm, IN, SIZE_MAX, &handle), "trncclCommRegister");
    REFUSED(trncclCommDeregister(comm, NULL), "trncclCommDeregister", "handle");
    REFUSED(trncclCommDeregister(comm, garbage), "trncclCommDeregister", "handle");
    REFUSED_HERE(trncclCommDeregister(NULL, garbage), "trncclCommDeregister", "comm");
    REFUSED_HERE(trncclCommWindowRegister(NULL, IN, 16, &win, 0), "WindowReg", "comm");
    REFUSED(trncclCommWindowRegister(comm, IN, 16, NULL, 0), "WindowReg", "win");
    REFUSED(trncclCommWindowRegister(comm, NULL, 16, &win, 0), "WindowReg", "buff");
    REFUSED(trncclCommWindowRegister(comm, IN, 16, &win, 2), "winFlags", "0x2");
    REFUSED(trncclCommWindowDeregister(comm, NULL), "trncclCommWindowDeregister");
    REFUSED(trncclCommWindowDeregister(comm, win), "trncclCommWindowDeregister");
    assert_ptr_equal(handle, garbage);
    assert_ptr_equal(win, garbage);
    assert_int_equal(trncclCommRegister(comm, IN, 16, &handle), trncclSuccess);
    REFUSED_HERE(trncclCommDeregister(comms[0], handle), "trncclCommDeregister");
    assert_int_equal(trncclCommDeregister(comm, handle), trncclSuccess);
}

static void scalars_with_bad_arguments_are_refused(void **state)
{
    (void)state;
    trncclRedOp_t op = trncclMin;
    float two = 2;
    trncclScalarResidence_t here = trncclScalarHostImmediate;
#define CREATE(o, s, t, r, c) trncclRedOpCreatePreMulSum(o, s, t, r, c)
    REFUSED_HERE(CREATE(&op, &two, trncclFloat32, here, NULL), "PreMulSum", "comm");
    REFUSED(CREATE(NULL, &two, trncclFloat32, here, comm), "PreMulSum", "op", "NULL");
    REFUSED(CREATE(&op, NULL, trncclFloat32, here, comm), "PreMulSum", "scalar");
    REFUSED(CREATE(&op, &two, (trncclDataType_t)99, here, comm), "datatype", "99");
    REFUSED(CREATE(&op, &two, trncclFloat32, (trncclScalarResidence_t)2, comm),
            "residence", "2");
    assert_int_equal(op, trncclMin);
    assert_int_equal(CREATE(&op, &two, trncclFloat32, here, comm), trncclSuccess);
    assert_true(op >= trncclNumOps);
    REFUSED(ALLREDUCE(IN, OUT, 8, trncclFloat64, op), "datatype", "float64", "float32");
    REFUSED_HERE(trncclAllReduce(IN, OUT, 8, trncclFloat32, op, comms[0], NULL), "op");
    REFUSED_HERE(trncclRedOpDestroy(op, comms[0]), "trncclRedOpDestroy", "op");
    REFUSED_HERE(trncclRedOpDestroy(op, NULL), "trncclRedOpDestroy", "comm");
    assert_int_equal(trncclRedOpDestroy(op, comm), trncclSuccess);
    REFUSED(ALLREDUCE(IN, OUT, 8, trncclFloat32, op), "trncclAllReduce", "op");
    REFUSED(trncclRedOpDestroy(op, comm), "trncclRedOpDestroy", "op");
}

/* ---- streams, events, groups
 * ------------------------------------------------------------------ */

static void streams_and_events_refuse_what_they_are_not(void **state)
{
    (void)state;
    trncclStream_t no_stream[] = {NULL, (trncclStream_t)(void *)garbage};
    trncclEvent_t no_event[] = {NULL, (trncclEvent_t)(void *)garbage}, event = NULL;
    float ms = -5;
    REFUSED_HERE(trncclStreamCreate(NULL), "trncclStreamCreate", "stream", "NULL");
    REFUSED_HERE(trncclEventCreate(NULL), "trncclEventCreate", "event", "NULL");
    assert_int_equal(trncclEventCreate(&event), trncclSuccess);
    for (int i = 0; i < 2; i++) {
        REFUSED_HERE(trncclStreamDestroy(no_stream[i]), "trncclStreamDestroy", "stream");
        REFUSED_HERE(trncclStreamSynchronize(no_stream[i]), "StreamSync", "stream");
        REFUSED_HERE(trncclStreamQuery(no_stream[i]), "trncclStreamQuery", "stream");
        REFUSED_HERE(trncclStreamWaitEvent(no_stream[i], event), "WaitEvent", "stream");
        REFUSED_HERE(trncclStreamWaitEvent(stream, no_event[i]), "WaitEvent", "event");
        REFUSED_HERE(trncclEventDestroy(no_event[i]), "trncclEventDestroy", "event");
        REFUSED_HERE(trncclEventRecord(no_event[i], stream), "EventRecord", "event");
        REFUSED_HERE(trncclEventSynchronize(no_event[i]), "EventSynchronize", "event");
        REFUSED_HERE(trncclEventQuery(no_event[i]), "trncclEventQuery", "event");
        REFUSED_HERE(trncclEventElapsedTime(&ms, no_event[i], event), "Elapsed", "event");
        REFUSED_HERE(trncclEventElapsedTime(&ms, event, no_event[i]), "Elapsed", "event");
    }
    REFUSED_HERE(trncclEventRecord(event, no_stream[1]), "trncclEventRecord", "stream");
    REFUSED_HERE(trncclEventElapsedTime(NULL, event, event), "ElapsedTime", "ms");
    MISUSED_HERE(trncclEventElapsedTime(&ms, event, event), "ElapsedTime", "recorded");
    assert_true(ms == -5);
    assert_int_equal(trncclEventDestroy(event), trncclSuccess);
}

static void group_end_without_start_is_refused(void **state)
{
    (void)state;
    MISUSED_HERE(trncclGroupEnd(), "trncclGroupEnd", "trncclGroupStart");
}

static void group_with_a_refused_call_runs_nothing(void **state)
{
    (void)state;
    assert_int_equal(trncclGroupStart(), trncclSuccess);
    for (int r = 0; r < NRANKS; r++)
        assert_int_equal(trncclAllReduce(&IN[8 * r], &OUT[8 * r], 8, trncclFloat32,
                                         trncclSum, comms[r], NULL),
                         trncclSuccess);
    REFUSED(trncclSend(NULL, 8, trncclFloat32, 0, comm, NULL), "trncclSend", "sendbuff");
    REFUSED_HERE(trncclGroupEnd(), "group", "trncclSend", "sendbuff");
}

/* Each of them spoils its group, whose end says which it was. */
static void calls_that_block_are_refused_inside_a_group(void **state)
{
    (void)state;
    trncclComm_t c = NULL, more[2] = {NULL, NULL};
    trncclWindow_t win = NULL;
    for (int which = 0; which < 5; which++) {
        const char *names[] = {"InitAll", "InitAll", "Split", "Split", "WindowRegister"};
        assert_int_equal(trncclGroupStart(), trncclSuccess);
        for (int r = 0; r < NRANKS; r++)
            assert_int_equal(do_all_reduce(comms[r], NULL), trncclSuccess);
        if (which == 0)
            MISUSED_HERE(trncclCommInitAll(more, 2, NULL), "trncclCommInitAll", "group");
        if (which == 1)
            REFUSED_HERE(trncclCommInitAll(more, 0, NULL), "trncclCommInitAll", "ndev");
        if (which == 2)
            MISUSED_HERE(trncclCommSplit(comm, 0, 0, &c, NULL), "CommSplit", "group");
        if (which == 3)
            REFUSED_HERE(trncclCommSplit(NULL, 0, 0, &c, NULL), "CommSplit", "comm");
        if (which == 4)
            MISUSED_HERE(trncclCommWindowRegister(comm, IN, 16, &win, 0), "group");
        trncclResult_t expected =
            which == 1 || which == 3 ? trncclInvalidArgument : trncclInvalidUsage;
        refused(__FILE__, __LINE__, "trncclGroupEnd", NULL, trncclGroupEnd(), expected,
                "the group was not run", names[which], NULL);
    }
    assert_null(c);
    assert_null(more[0]);
    assert_null(win);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(collective_without_comm_is_refused),
        CASE(collective_with_a_handle_of_nothing_is_refused),
        CASE(collective_with_a_bad_stream_is_refused),
        CASE(null_buffers_are_refused),
        CASE(null_buffers_of_v_forms_are_refused),
        CASE(overlapping_buffers_are_refused),
        CASE(overlapping_blocks_that_are_received_are_refused),
        CASE(blocks_that_share_nothing_that_is_written_are_accepted),
        CASE(huge_counts_are_refused),
        CASE(bad_counts_of_v_forms_are_refused),
        CASE(bad_types_are_refused),
        CASE(bad_operations_are_refused),
        CASE(bitwise_operations_refuse_floats),
        CASE(ranks_out_of_range_are_refused),
        CASE(bad_pairs_are_refused),
        CASE(questions_without_a_place_are_refused),
        CASE(creation_with_bad_ranks_is_refused),
        CASE(creation_with_a_bad_config_is_refused),
        CASE(creation_with_unknown_names_lists_the_valid_ones),
        CASE(a_shorter_config_of_an_older_header_is_accepted),
        CASE(split_with_bad_arguments_is_refused),
        CASE(memory_calls_refuse_what_is_not_theirs),
        CASE(registration_with_bad_arguments_is_refused),
        CASE(scalars_with_bad_arguments_are_refused),
        CASE(streams_and_events_refuse_what_they_are_not),
        CASE(group_end_without_start_is_refused),
        CASE(group_with_a_refused_call_runs_nothing),
        CASE(calls_that_block_are_refused_inside_a_group),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
