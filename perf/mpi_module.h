/* The only contact with MPI: a small module, opened when an MPI launcher has started this
 * process. The tool itself does not link MPI; it starts fast and runs without it. */
#ifndef TRNCCL_PERF_MPI_MODULE_H
#define TRNCCL_PERF_MPI_MODULE_H

#include <stddef.h>

#define MPI_MODULE_FILE "trnccl-perf-mpi.so"
#define MPI_MODULE_SYMBOL "trnccl_perf_mpi_module"

struct mpi_module {
    /* MPI_Init_thread with MPI_THREAD_SERIALIZED; 0 on success. */
    int (*init)(int *rank, int *size);
    /* MPI_Allgather of nbytes from each process; 0 on success. */
    int (*allgather)(const void *mine, void *all, size_t nbytes);
    void (*abort)(int status);
    void (*finalize)(void);
    /* One line: which MPI this is. */
    const char *(*version)(void);
};

#endif
