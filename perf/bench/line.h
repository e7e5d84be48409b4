/* How long a cache line takes from one core to another, one way: the unit in which small
 * collectives must be compared, since virtual cores move. */
#ifndef TRNCCL_PERF_BENCH_LINE_H
#define TRNCCL_PERF_BENCH_LINE_H

/* A page shared by ranks 0 and 1 of a team; other ranks have none. */
struct line {
    int rank;
    void *page; /* NULL where there is none */
};

/* Collective: the page is shared through /proc/PID/fd of rank 0. */
void line_open(struct line *l, int rank, int nranks);
void line_close(struct line *l);
/* Nanoseconds one way, the median of short rounds; on ranks 0 and 1 together, 0 on
 * others. */
double line_measure(struct line *l);

#endif
