/* Getting the processes of a run: started here (-P), by mpirun, or just this one. */
#ifndef TRNCCL_PERF_LAUNCH_H
#define TRNCCL_PERF_LAUNCH_H

#include <stdbool.h>
#include "perf/options.h"
#include "perf/team.h"

struct launch {
    struct team_link link;
    bool under_mpi;
};

/* The work of one process; its value is the exit status. */
typedef int (*launch_body)(const struct options *o, const struct launch *l);

/* Runs `body` in every process of the run and returns the exit status of this one. With
 * -P the caller only supervises: when a rank dies or fails, or a signal comes, the others
 * are ended and the reason is printed once. */
int launch_run(const struct options *o, launch_body body);

/* launch_local.c: -P n. */
int launch_local(const struct options *o, launch_body body);
/* launch_mpi.c. Processes according to an MPI launcher's environment, 0 if there is none;
 * `name` is the variable that says so. */
int launch_mpi_size(const char **name);
int launch_mpi(const struct options *o, launch_body body, int expected);

#endif
