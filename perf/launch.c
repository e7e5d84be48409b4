#include "perf/launch.h"

#include <stdio.h>
#include "perf/fail.h"

static int launch_alone(const struct options *o, launch_body body)
{
    struct launch l = {0};
    team_link_alone(&l.link);
    return body(o, &l);
}

int launch_run(const struct options *o, launch_body body)
{
    const char *variable = NULL;
    int expected = launch_mpi_size(&variable);
    if (expected <= 1)
        return o->nprocs_given ? launch_local(o, body) : launch_alone(o, body);
    if (o->nprocs > 1) {
        fprintf(stderr,
                PERF_NAME ": -P %d starts local ranks, but an MPI launcher has started "
                          "%d already (%s); use one of the two\n",
                o->nprocs, expected, variable);
        return PERF_EXIT_USAGE;
    }
    return launch_mpi(o, body, expected);
}
