/* Every collective between the ranks of an MPI job, which only makes the introductions:
 * trncclConfig_t.oobAllgather is MPI_Allgather. Run by tests/mpi/run.
 *
 *     collectives          checks every result on every rank
 *     collectives die      rank 1 is killed amid the calls; the others must be told */
#include <mpi.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trnccl.h"

static int me, n;
static trncclComm_t comm;
static trncclStream_t stream; /* NULL in the first round */
static size_t count;
static int64_t *in, *out;

static void fail(const char *what, long long found, long long expected)
{
    fprintf(stderr,
            "rank %d of %d, count %zu, %s stream: %s: found %lld, expected %lld\n", me, n,
            count, stream ? "with" : "without", what, found, expected);
    MPI_Abort(MPI_COMM_WORLD, 1);
    exit(1);
}

static void okay(trncclResult_t result, const char *call)
{
    if (result == trncclSuccess)
        return;
    fprintf(stderr, "rank %d: %s: %s: %s\n", me, call, trncclGetErrorString(result),
            trncclGetLastError(comm));
    MPI_Abort(MPI_COMM_WORLD, 1);
    exit(1);
}
#define OK(call) okay(call, #call)

static void same(const char *what, long long found, long long expected)
{
    if (found != expected)
        fail(what, found, expected);
}

/* Element i of what rank r contributes. */
static int64_t value(int r, size_t i)
{
    return 1000003LL * r + (int64_t)i;
}

/* Sends: nblocks blocks of own values; receives: nothing yet. */
static void fill(size_t nblocks)
{
    for (size_t i = 0; i < nblocks * count; i++)
        in[i] = value(me, i);
    for (size_t i = 0; i < (size_t)n * (count + 1); i++)
        out[i] = -1;
}

static void done(void)
{
    if (stream)
        OK(trncclStreamSynchronize(stream));
}

static int64_t sum_of(size_t i)
{
    int64_t sum = 0;
    for (int r = 0; r < n; r++)
        sum += value(r, i);
    return sum;
}

static void check_alike(void)
{
    fill(1);
    OK(trncclAllReduce(in, out, count, trncclInt64, trncclSum, comm, stream));
    done();
    for (size_t i = 0; i < count; i++)
        same("all-reduce", out[i], sum_of(i));
    fill(1);
    OK(trncclAllReduce(in, in, count, trncclInt64, trncclMax, comm, stream));
    done();
    for (size_t i = 0; i < count; i++)
        same("all-reduce in place", in[i], value(n - 1, i));
    fill(1);
    OK(trncclAllGather(in, out, count, trncclInt64, comm, stream));
    done();
    for (size_t i = 0; i < count * (size_t)n; i++)
        same("all-gather", out[i], value((int)(i / count), i % count));
    fill((size_t)n);
    OK(trncclReduceScatter(in, out, count, trncclInt64, trncclSum, comm, stream));
    done();
    for (size_t i = 0; i < count; i++)
        same("reduce-scatter", out[i], sum_of((size_t)me * count + i));
    fill((size_t)n);
    OK(trncclAllToAll(in, out, count, trncclInt64, comm, stream));
    done();
    for (size_t i = 0; i < count * (size_t)n; i++)
        same("all-to-all", out[i],
             value((int)(i / count), (size_t)me * count + i % count));
    OK(trncclBarrier(comm, stream));
    done();
}

static void check_rooted(int root)
{
    fill(1);
    OK(trncclBroadcast(in, out, count, trncclInt64, root, comm, stream));
    done();
    for (size_t i = 0; i < count; i++)
        same("broadcast", out[i], value(root, i));
    fill(1);
    OK(trncclReduce(in, me == root ? out : NULL, count, trncclInt64, trncclSum, root,
                    comm, stream));
    done();
    for (size_t i = 0; i < count && me == root; i++)
        same("reduce", out[i], sum_of(i));
    fill(1);
    OK(trncclGather(in, me == root ? out : NULL, count, trncclInt64, root, comm, stream));
    done();
    for (size_t i = 0; i < count * (size_t)n && me == root; i++)
        same("gather", out[i], value((int)(i / count), i % count));
    fill((size_t)n);
    OK(trncclScatter(me == root ? in : NULL, out, count, trncclInt64, root, comm,
                     stream));
    done();
    for (size_t i = 0; i < count; i++)
        same("scatter", out[i], value(root, (size_t)me * count + i));
}

/* The last rank whose block starts at or before element i. */
static int owner(const size_t *displs, size_t i)
{
    int r = n - 1;
    while (displs[r] > i)
        r--;
    return r;
}

/* Rank r has count + r % 2 elements. */
static void check_unequal(void)
{
    size_t counts[64], displs[64], total = 0;
    for (int r = 0; r < n; r++) {
        counts[r] = count + (size_t)(r % 2);
        displs[r] = total;
        total += counts[r];
    }
    fill(1);
    in[count] = value(me, count);
    OK(trncclAllGatherV(in, counts[me], out, counts, NULL, trncclInt64, comm, stream));
    done();
    for (int r = 0; r < n; r++)
        for (size_t i = 0; i < counts[r]; i++)
            same("all-gather-v", out[displs[r] + i], value(r, i));
    for (size_t i = 0; i < total; i++)
        in[i] = value(me, i);
    OK(trncclReduceScatterV(in, counts, displs, out, trncclInt64, trncclSum, comm,
                            stream));
    done();
    for (size_t i = 0; i < counts[me]; i++)
        same("reduce-scatter-v", out[i], sum_of(displs[me] + i));
    /* Rank i sends rank j count + (i + j) % 2 elements, each block at its own place. */
    size_t both[64], places[64];
    for (int r = 0; r < n; r++) {
        both[r] = count + (size_t)((r + me) % 2);
        places[r] = (size_t)r * (count + 1);
        for (size_t i = 0; i < both[r]; i++)
            in[places[r] + i] = value(me, (size_t)r + i);
    }
    OK(trncclAllToAllV(in, both, places, out, both, places, trncclInt64, comm, stream));
    done();
    for (int r = 0; r < n; r++)
        for (size_t i = 0; i < both[r]; i++)
            same("all-to-all-v", out[places[r] + i], value(r, (size_t)me + i));
    fill(1);
    in[count] = value(me, count);
    OK(trncclGatherV(in, counts[me], out, counts, NULL, trncclInt64, 0, comm, stream));
    done();
    memset(in, 0xff, (count + 1) * sizeof *in);
    OK(trncclScatterV(out, counts, NULL, in, counts[me], trncclInt64, 0, comm, stream));
    done();
    for (size_t i = 0; i < total && me == 0; i++)
        same("gather-v", out[i], value(owner(displs, i), i - displs[owner(displs, i)]));
    for (size_t i = 0; i < counts[me]; i++)
        same("gather-v and scatter-v", in[i], value(me, i));
}

static void check_pairs(void)
{
    int right = (me + 1) % n, left = (me + n - 1) % n, ring[128];
    fill(1);
    OK(trncclGroupStart());
    OK(trncclSend(in, count, trncclInt64, right, comm, stream));
    OK(trncclRecv(out, count, trncclInt64, left, comm, stream));
    OK(trncclGroupEnd());
    done();
    for (size_t i = 0; i < count; i++)
        same("send and receive", out[i], value(left, i));
    for (int r = 0; r < n; r++) {
        ring[2 * r] = r;
        ring[2 * r + 1] = (r + 1) % n;
    }
    fill(1);
    OK(trncclPermute(in, out, count, trncclInt64, ring, n, comm, stream));
    done();
    for (size_t i = 0; i < count; i++)
        same("permute", out[i], value(left, i));
}

/* ---- the job
 * -------------------------------------------------------------------------------- */

static int by_mpi(void *context, const void *mine, void *all, size_t nbytes)
{
    return MPI_Allgather(mine, (int)nbytes, MPI_BYTE, all, (int)nbytes, MPI_BYTE,
                         *(MPI_Comm *)context) != MPI_SUCCESS;
}

static void join(void)
{
    MPI_Comm world = MPI_COMM_WORLD;
    trncclUniqueId unused;
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    memset(&unused, 0, sizeof unused);
    config.oobAllgather = by_mpi;
    config.oobContext = &world;
    config.timeoutMs = 30000;
    OK(trncclCommInitRankConfig(&comm, n, unused, me, &config));
}

static void check_all(void)
{
    static const size_t counts[] = {0, 1, 7, 1000, 40001};
    size_t most = (size_t)n * (counts[4] + 1) * sizeof *in;
    in = malloc(most);
    out = malloc(most);
    if (!in || !out)
        fail("memory for two buffers", 0, (long long)most);
    for (int k = 0; k < 10; k++) {
        count = counts[k % 5];
        if (k == 5)
            OK(trncclStreamCreate(&stream));
        check_alike();
        for (int root = 0; root < n; root++)
            check_rooted(root);
        check_unequal();
        check_pairs();
    }
    OK(trncclStreamDestroy(stream));
    free(in);
    free(out);
}

/* The job is not ended by us: the launcher sees rank 1 die, and this library's word of it
 * is printed before. */
static int survive(void)
{
    struct timespec wait = {.tv_nsec = 100000000};
    OK(trncclBarrier(comm, NULL));
    if (me == 1) {
        nanosleep(&wait, NULL);
        raise(SIGKILL);
    }
    trncclResult_t result = trncclBarrier(comm, NULL);
    printf("rank %d: %s: %s\n", me, trncclGetErrorString(result),
           trncclGetLastError(comm));
    fflush(stdout);
    sleep(20);
    return 1;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    join();
    if (argc > 1 && strcmp(argv[1], "die") == 0)
        return survive();
    check_all();
    OK(trncclCommDestroy(comm));
    MPI_Finalize();
    if (me == 0)
        printf("all collectives of %d ranks are right\n", n);
    return 0;
}
