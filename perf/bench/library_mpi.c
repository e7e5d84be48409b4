#include <mpi.h>
#include <stdlib.h>
#include "perf/bench/library.h"

/* Errors end the job: MPI_ERRORS_ARE_FATAL is the default handler. */
#ifdef OPEN_MPI
const char library_name[] = "openmpi";
#else
const char library_name[] = "mpich";
#endif

int library_main(int argc, char **argv, bench_body body)
{
    struct bench_team team = {0};
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &team.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &team.nranks);
    int status = body(&team, argc, argv);
    MPI_Finalize();
    return status;
}

void library_gather(const void *mine, void *all, size_t nbytes)
{
    MPI_Allgather(mine, (int)nbytes, MPI_BYTE, all, (int)nbytes, MPI_BYTE,
                  MPI_COMM_WORLD);
}

void *library_alloc(size_t nbytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 4096, nbytes) != 0)
        MPI_Abort(MPI_COMM_WORLD, 3);
    return p;
}

void library_free(void *p)
{
    free(p);
}

void library_run(enum bench_op op, const void *send, void *recv, size_t count)
{
    switch (op) {
    case BENCH_ALL_REDUCE:
        MPI_Allreduce(send, recv, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        return;
    case BENCH_ALL_GATHER:
        MPI_Allgather(send, (int)count, MPI_FLOAT, recv, (int)count, MPI_FLOAT,
                      MPI_COMM_WORLD);
        return;
    default:
        MPI_Reduce_scatter_block(send, recv, (int)count, MPI_FLOAT, MPI_SUM,
                                 MPI_COMM_WORLD);
    }
}

void library_barrier(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}
