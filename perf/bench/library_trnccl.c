#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/bench/library.h"
#include "perf/fail.h"
#include "perf/launch.h"
#include "trnccl.h"

const char library_name[] = "trnccl";

/* One rank per process, one thread: written before the measuring starts. */
static const struct team_link *the_link;
static trncclComm_t the_comm;
static struct bench_team the_team;
static struct {
    void *p, *handle;
} registrations[8];

static int the_argc;
static char **the_argv;
static bench_body the_body;

static int rank_main(const struct options *o, const struct launch *l)
{
    (void)o;
    the_link = &l->link;
    the_team.rank = l->link.proc;
    the_team.nranks = l->link.nprocs;
    trncclUniqueId mine, *all = fail_malloc((size_t)l->link.nprocs * sizeof *all);
    memset(&mine, 0, sizeof mine);
    if (the_team.rank == 0)
        fail_unless(trncclGetUniqueId(&mine), "trncclGetUniqueId", 0, NULL);
    library_gather(&mine, all, sizeof mine);
    fail_unless(trncclCommInitRank(&the_comm, the_team.nranks, all[0], the_team.rank),
                "trncclCommInitRank", the_team.rank, NULL);
    free(all);
    int status = the_body(&the_team, the_argc, the_argv);
    fail_unless(trncclCommDestroy(the_comm), "trncclCommDestroy", the_team.rank, NULL);
    return status;
}

/* argv: -P ranks [-r] and what the driver takes. */
int library_main(int argc, char **argv, bench_body body)
{
    int nranks = argc > 2 && strcmp(argv[1], "-P") == 0 ? atoi(argv[2]) : 0;
    if (nranks < 1) {
        fprintf(stderr, "usage: bench-trnccl -P RANKS [-r] DRIVER-ARGUMENTS\n");
        return 2;
    }
    the_argc = argc - 2;
    the_argv = argv + 2;
    if (the_argc > 1 && strcmp(the_argv[1], "-r") == 0) {
        the_team.registered = true;
        the_argc--;
        the_argv++;
    }
    the_body = body;
    struct options o = {
        .nprocs = nranks, .nprocs_given = true, .nthreads = 1, .nper_thread = 1};
    return launch_local(&o, rank_main);
}

void library_gather(const void *mine, void *all, size_t nbytes)
{
    the_link->allgather(the_link->context, mine, all, nbytes);
}

void *library_alloc(size_t nbytes)
{
    void *p = NULL;
    if (!the_team.registered) {
        if (posix_memalign(&p, 4096, nbytes) != 0)
            fail_with("no memory for %zu bytes", nbytes);
        return p;
    }
    fail_unless(trncclMemAlloc(&p, nbytes), "trncclMemAlloc", the_team.rank, NULL);
    for (size_t i = 0; i < sizeof registrations / sizeof registrations[0]; i++) {
        if (registrations[i].p)
            continue;
        registrations[i].p = p;
        fail_unless(trncclCommRegister(the_comm, p, nbytes, &registrations[i].handle),
                    "trncclCommRegister", the_team.rank, the_comm);
        return p;
    }
    fail_with("more buffers than the driver may register");
}

void library_free(void *p)
{
    if (!the_team.registered) {
        free(p);
        return;
    }
    for (size_t i = 0; i < sizeof registrations / sizeof registrations[0]; i++) {
        if (registrations[i].p != p)
            continue;
        registrations[i].p = NULL;
        fail_unless(trncclCommDeregister(the_comm, registrations[i].handle),
                    "trncclCommDeregister", the_team.rank, the_comm);
    }
    fail_unless(trncclMemFree(p), "trncclMemFree", the_team.rank, NULL);
}

void library_run(enum bench_op op, const void *send, void *recv, size_t count)
{
    trncclResult_t result;
    switch (op) {
    case BENCH_ALL_REDUCE:
        result =
            trncclAllReduce(send, recv, count, trncclFloat32, trncclSum, the_comm, NULL);
        break;
    case BENCH_ALL_GATHER:
        result = trncclAllGather(send, recv, count, trncclFloat32, the_comm, NULL);
        break;
    default:
        result = trncclReduceScatter(send, recv, count, trncclFloat32, trncclSum,
                                     the_comm, NULL);
    }
    fail_unless(result, "collective", the_team.rank, the_comm);
}

void library_barrier(void)
{
    fail_unless(trncclBarrier(the_comm, NULL), "trncclBarrier", the_team.rank, the_comm);
}
