/* trn-collective-perf: measures and checks every collective of trnccl. See the manual
 * page; the order of things is options -> launch -> sweep -> measure -> report. */
#include <stdio.h>
#include <stdlib.h>
#include "perf/launch.h"
#include "perf/options.h"
#include "perf/sweep.h"

int main(int argc, char **argv)
{
    struct options o;
    options_parse(argc, argv, &o);
    if (o.schedule) /* before the library reads its settings */
        setenv("TRNCCL_SCHEDULE", o.schedule, 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int status = launch_run(&o, sweep_run);
    options_fini(&o);
    return status;
}
