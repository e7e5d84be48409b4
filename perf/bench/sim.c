/* bench-sim: what the simulator costs.
 *
 *   bench-sim [-u]
 *
 * Prints for each job its simulated time, the seconds it took, steps and messages per
 * second of processor time, events of the queue per second, and the memory that the
 * simulation added to the process, in bytes per rank. The boxes are 4 x 4 x 4 tori with
 * a NIC per chip. -u: the job of 499,968 chips also without folding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "perf/bench/sim_sources.h"
#include "sim/fold.h"
#include "tests/support/sim_models.h"

enum { SIDE = 4, PER_BOX = SIDE * SIDE * SIDE, RAINIER_BOXES = 7812 };

static const struct sim_box_spec box_spec = {
    .ndims = 3,
    .dims = {SIDE, SIDE, SIDE},
    .bw_gbps = {64, 64, 32},
    .latency_us = 0.5,
    .die_gbps = 512,
    .nic_gbps = 25,
    .costs = {.step_us = 1.5,
              .message_us = 0.1,
              .copy_gbps = 200,
              .reduce_gbps = 150,
              .memory_gbps = 2900},
};
static const struct topo_net net = {
    .latency_us = 15, .message_us = 0.2, .efficiency = 0.95};

static long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Processor time: other work on the machine does not count. */
static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void give_up(const char *what)
{
    fprintf(stderr, "bench-sim: %s: %s\n", what, error_text());
    exit(1);
}

static void report(const char *name, const struct sim_args *args,
                   const struct sim_result *r, double seconds, long kib)
{
    double moved = (double)(r->nsteps + r->nmessages);
    printf(
        "%-28s %8d ranks %12.1f us simulated in %7.3f s: %6.2f M steps and messages/s, "
        "%6.2f M events/s, %ld KiB (%.0f bytes/rank)\n",
        name, args->source->nranks, r->time_us, seconds, moved / seconds / 1e6,
        (double)r->nevents / seconds / 1e6, kib,
        (double)kib * 1024 / args->source->nranks);
    fflush(stdout);
}

static void job_run(const char *name, const struct topo_box *box, int32_t nboxes,
                    const struct sim_source *source, uint64_t nelems,
                    const struct sim_generator *generator)
{
    struct topo_model *model = sim_model_create(box, nboxes, &net);
    const struct sim_args args = {
        .model = model,
        .source = source,
        .nelems = nelems,
        .elem_nbytes = 4,
        .slice_nbytes = UINT64_C(1) << 32,
        .credits = 2,
    };
    struct sim_result r;
    struct sim_fold *fold = NULL;
    long before = peak_kib();
    double start = cpu_s();
    if (generator &&
        fold_create(&args, generator, 1, FOLD_CHECK_SOME, &fold) != trncclSuccess)
        give_up(name);
    if ((fold ? sim_run_folded(&args, fold, &r) : sim_run(&args, &r)) != trncclSuccess)
        give_up(name);
    report(name, &args, &r, cpu_s() - start, peak_kib() - before);
    fold_destroy(fold);
    sim_model_destroy(model);
}

/* A Hamiltonian cycle of the torus: rows to and fro, layers to and fro, home by the wrap
 * of the last dimension. */
static void cycle_fill(int32_t *ring, int32_t *position)
{
    for (int32_t p = 0; p < PER_BOX; p++) {
        int32_t z = p / (SIDE * SIDE), y = p / SIDE % SIDE, x = p % SIDE;
        y = z % 2 ? SIDE - 1 - y : y;
        x = (p / SIDE) % 2 ? SIDE - 1 - x : x;
        ring[p] = x + SIDE * y + SIDE * SIDE * z;
        position[ring[p]] = p;
    }
}

static int32_t next_box(void *context, int32_t rank)
{
    int32_t nranks = *(const int32_t *)context;
    return rank < nranks - PER_BOX ? rank + PER_BOX : rank + PER_BOX - nranks;
}

int main(int argc, char **argv)
{
    struct topo_box *box = sim_box_create(&box_spec);
    struct sim_job job;
    struct sim_source source;
    int32_t ring[PER_BOX], position[PER_BOX];
    cycle_fill(ring, position);
    sim_job_ring(&job, 1024, &source);
    job_run("ring all-reduce", box, 16, &source, UINT64_C(1) << 28, NULL);
    sim_job_halving(&job, 65536, &source);
    job_run("halving all-reduce", box, 1024, &source, UINT64_C(1) << 28, NULL);
    sim_job_hierarchical(&job, RAINIER_BOXES, PER_BOX, ring, position, &source);
    const struct sim_generator turn = {RAINIER_BOXES, next_box, &job.nranks};
    job_run("hierarchical, folded", box, RAINIER_BOXES, &source, UINT64_C(1) << 28,
            &turn);
    if (argc > 1 && strcmp(argv[1], "-u") == 0)
        job_run("hierarchical", box, RAINIER_BOXES, &source, UINT64_C(1) << 28, NULL);
    sim_box_destroy(box);
    return 0;
}
