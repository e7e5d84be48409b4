#include "perf/mpi_module.h"

#include <limits.h>
#include <mpi.h>
#include <string.h>

static int module_init(int *rank, int *size)
{
    int provided = MPI_THREAD_SINGLE;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS ||
        provided < MPI_THREAD_SERIALIZED)
        return 1;
    return MPI_Comm_rank(MPI_COMM_WORLD, rank) != MPI_SUCCESS ||
           MPI_Comm_size(MPI_COMM_WORLD, size) != MPI_SUCCESS;
}

static int module_allgather(const void *mine, void *all, size_t nbytes)
{
    if (nbytes > INT_MAX)
        return 1;
    return MPI_Allgather(mine, (int)nbytes, MPI_BYTE, all, (int)nbytes, MPI_BYTE,
                         MPI_COMM_WORLD) != MPI_SUCCESS;
}

static void module_abort(int status)
{
    MPI_Abort(MPI_COMM_WORLD, status);
}

static void module_finalize(void)
{
    MPI_Finalize();
}

static const char *module_version(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, "\n,")] = '\0';
    return text;
}

extern const struct mpi_module trnccl_perf_mpi_module;
__attribute__((visibility("default"))) const struct mpi_module trnccl_perf_mpi_module = {
    .init = module_init,
    .allgather = module_allgather,
    .abort = module_abort,
    .finalize = module_finalize,
    .version = module_version,
};
