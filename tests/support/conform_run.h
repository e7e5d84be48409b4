/* Runs a list of cases on one communicator whose ranks are threads, processes, both, or
 * all driven by one thread. */
#ifndef TRNCCL_TESTS_SUPPORT_CONFORM_RUN_H
#define TRNCCL_TESTS_SUPPORT_CONFORM_RUN_H

#include "conform.h"
#include "graphs.h"

struct conform_run {
    int nranks;
    int nprocesses;   /* forked; 1: none */
    bool one_thread;  /* one thread per process drives its ranks in groups */
    bool interleaved; /* rank r is in process r % nprocesses, else in blocks */
    const char *algo; /* of the config; NULL: the library's choice */
    const struct graphs_entry *machine; /* for algorithms that follow one, or NULL */
    const struct conform_case *cases;
    int ncases;
    int flip_rank; /* planted fault, see conform_rank.flip */
    long flip;     /* -1: none */
    struct report *report;
};

void conform_run(const struct conform_run *run);
/* Whether a flipped byte of a result and of a guard are reported: one rank's, once. Says
 * what was reported. */
bool conform_catches_faults(int nprocesses, bool one_thread);
/* The seed: TRNCCL_SUITE_SEED or a fixed one; printed. */
uint64_t conform_seed(void);

#endif
