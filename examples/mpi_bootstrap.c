/* Ranks that mpirun started meet through MPI instead of a unique id.
 *
 *     mpicc mpi_bootstrap.c $(pkg-config --cflags --libs trnccl) && mpirun -n 4 ./a.out
 *
 * The library does not link MPI: all it needs is a function that gathers a few bytes from
 * every rank. MPI_Allgather is one; so is a key-value store. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <trnccl.h>

static void check(trncclResult_t result, trncclComm_t comm)
{
    if (result == trncclSuccess)
        return;
    fprintf(stderr, "%s: %s\n", trncclGetErrorString(result), trncclGetLastError(comm));
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* A trncclOobAllgather_t; context is the MPI communicator. */
static int mpi_allgather(void *context, const void *mine, void *all, size_t nbytes)
{
    return MPI_Allgather(mine, (int)nbytes, MPI_BYTE, all, (int)nbytes, MPI_BYTE,
                         *(MPI_Comm *)context) != MPI_SUCCESS;
}

int main(int argc, char **argv)
{
    MPI_Comm world = MPI_COMM_WORLD;
    int rank, nranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(world, &rank);
    MPI_Comm_size(world, &nranks);

    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.commName = "world";
    config.oobAllgather = mpi_allgather;
    config.oobContext = &world;
    trncclUniqueId unused = {{0}};
    trncclComm_t comm;
    check(trncclCommInitRankConfig(&comm, nranks, unused, rank, &config), NULL);

    /* Every rank contributes its number and learns all of them. */
    int *all = malloc((size_t)nranks * sizeof *all);
    check(trncclAllGather(&rank, all, 1, trncclInt32, comm, NULL), comm);
    int nwrong = 0;
    for (int r = 0; r < nranks; r++)
        nwrong += all[r] != r;
    printf("rank %d of %d: %d wrong\n", rank, nranks, nwrong);

    free(all);
    check(trncclCommDestroy(comm), NULL);
    MPI_Finalize();
    return nwrong != 0;
}
