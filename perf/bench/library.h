/* What the comparison needs of a library under test. Each driver program is driver.c with
 * one implementation of this, so that all are measured by the same loop. */
#ifndef TRNCCL_PERF_BENCH_LIBRARY_H
#define TRNCCL_PERF_BENCH_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

enum bench_op { BENCH_ALL_REDUCE, BENCH_ALL_GATHER, BENCH_REDUCE_SCATTER, BENCH_NOPS };

struct bench_team {
    int rank, nranks;
    bool registered;
};

/* The work of one rank; its value is the exit status. */
typedef int (*bench_body)(const struct bench_team *team, int argc, char **argv);

/* Starts the ranks (or is one of them) and runs body. */
int library_main(int argc, char **argv, bench_body body);
extern const char library_name[];

/* All return only on success; else they say why and end the run. */
void library_gather(const void *mine, void *all, size_t nbytes);
void *library_alloc(size_t nbytes);
void library_free(void *p);
/* One call on float32; count as the collective's own. */
void library_run(enum bench_op op, const void *send, void *recv, size_t count);
void library_barrier(void);

#endif
