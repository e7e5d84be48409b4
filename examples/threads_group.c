/* One thread drives four ranks: groups and streams.
 *
 * A blocking collective returns when its rank is done, and no rank can be done before all
 * have begun. So whoever drives several ranks begins them together: between
 * trncclGroupStart and trncclGroupEnd, or each on a stream of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <trnccl.h>

enum { NRANKS = 4, COUNT = 4096 };

static trncclComm_t comms[NRANKS];
static trncclStream_t streams[NRANKS];
static float in[NRANKS][COUNT], out[NRANKS][COUNT], next[NRANKS][COUNT];

static void check(trncclResult_t result)
{
    if (result == trncclSuccess)
        return;
    fprintf(stderr, "%s: %s\n", trncclGetErrorString(result), trncclGetLastError(NULL));
    exit(1);
}

/* Every call of the group has completed when trncclGroupEnd returns. */
static void sum_blocking(void)
{
    check(trncclGroupStart());
    for (int r = 0; r < NRANKS; r++)
        check(trncclAllReduce(in[r], out[r], COUNT, trncclFloat32, trncclSum, comms[r],
                              NULL));
    check(trncclGroupEnd());
}

/* Queues an average and, behind it, a step around the ring; returns at once. Sends and
 * receives that depend on each other belong in one group. */
static void average_and_shift_on_streams(void)
{
    for (int r = 0; r < NRANKS; r++)
        check(trncclAllReduce(in[r], out[r], COUNT, trncclFloat32, trncclAvg, comms[r],
                              streams[r]));
    check(trncclGroupStart());
    for (int r = 0; r < NRANKS; r++) {
        check(trncclSend(in[r], COUNT, trncclFloat32, (r + 1) % NRANKS, comms[r],
                         streams[r]));
        check(trncclRecv(next[r], COUNT, trncclFloat32, (r + NRANKS - 1) % NRANKS,
                         comms[r], streams[r]));
    }
    check(trncclGroupEnd());
}

static int expect(const char *what, float (*data)[COUNT], int rank, float value)
{
    int nwrong = 0;
    for (int i = 0; i < COUNT; i++)
        nwrong += data[rank][i] != value;
    printf("rank %d: %-8s %g, %d wrong\n", rank, what, data[rank][0], nwrong);
    return nwrong;
}

int main(void)
{
    int nwrong = 0;
    check(trncclCommInitAll(comms, NRANKS, NULL));
    for (int r = 0; r < NRANKS; r++) {
        check(trncclStreamCreate(&streams[r]));
        for (int i = 0; i < COUNT; i++)
            in[r][i] = (float)(r + 1);
    }

    sum_blocking();
    for (int r = 0; r < NRANKS; r++)
        nwrong += expect("sum", out, r, 10);

    average_and_shift_on_streams();
    for (int r = 0; r < NRANKS; r++)
        check(trncclStreamSynchronize(streams[r]));
    for (int r = 0; r < NRANKS; r++) {
        nwrong += expect("average", out, r, 2.5f);
        nwrong += expect("received", next, r, (float)((r + NRANKS - 1) % NRANKS + 1));
    }

    for (int r = 0; r < NRANKS; r++) {
        check(trncclStreamDestroy(streams[r]));
        check(trncclCommDestroy(comms[r]));
    }
    return nwrong != 0;
}
