/* The whole run of one process: ranks are made, rows measured and reported. */
#ifndef TRNCCL_PERF_SWEEP_H
#define TRNCCL_PERF_SWEEP_H

#include "perf/launch.h"

/* A launch_body. */
int sweep_run(const struct options *o, const struct launch *l);

#endif
