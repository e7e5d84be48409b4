/* Four processes add up their ranks: the shortest way into the library.
 *
 *     cc hello_allreduce.c $(pkg-config --cflags --libs trnccl) && ./a.out
 *
 * Any way of handing the unique id to all ranks will do: a file, a socket, an environment
 * variable. Here the parent writes it into a pipe, once for each rank. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <trnccl.h>

enum { NRANKS = 4, COUNT = 1000000 };

/* The text of the failing call says which rank, what was found and what was expected. */
static void check(trncclResult_t result, trncclComm_t comm)
{
    if (result == trncclSuccess)
        return;
    fprintf(stderr, "%s: %s\n", trncclGetErrorString(result), trncclGetLastError(comm));
    exit(1);
}

static int run_rank(int rank, int pipe_fd)
{
    trncclUniqueId id;
    if (read(pipe_fd, &id, sizeof id) != sizeof id)
        return 1;

    trncclComm_t comm;
    check(trncclCommInitRank(&comm, NRANKS, id, rank), NULL);

    /* Memory from trncclMemAlloc is read by the other ranks where it lies; any other
     * memory works as well, with one copy more. */
    void *memory;
    check(trncclMemAlloc(&memory, COUNT * sizeof(float)), comm);
    float *data = memory;
    for (int i = 0; i < COUNT; i++)
        data[i] = (float)rank;

    check(trncclAllReduce(data, data, COUNT, trncclFloat32, trncclSum, comm, NULL), comm);

    const char *algorithm;
    check(trncclCommGetAlgorithm(comm, &algorithm), comm);
    float expected = NRANKS * (NRANKS - 1) / 2;
    int nwrong = 0;
    for (int i = 0; i < COUNT; i++)
        nwrong += data[i] != expected;
    printf("rank %d of %d: sum %g, %d wrong, algorithm %s\n", rank, NRANKS, data[0],
           nwrong, algorithm);

    check(trncclMemFree(memory), comm);
    check(trncclCommDestroy(comm), NULL);
    return nwrong != 0;
}

int main(void)
{
    int ends[2], failed = 0, status;
    if (pipe(ends) != 0)
        return 1;
    for (int rank = 0; rank < NRANKS; rank++)
        if (fork() == 0)
            return run_rank(rank, ends[0]);

    /* The process that makes the id serves the rendezvous: it must live until all ranks
     * have met. */
    trncclUniqueId id;
    check(trncclGetUniqueId(&id), NULL);
    for (int rank = 0; rank < NRANKS; rank++)
        if (write(ends[1], &id, sizeof id) != sizeof id)
            return 1;

    while (wait(&status) > 0)
        failed |= status;
    return failed != 0;
}
