/* One half of a row on the ranks of one thread: fill, warm up, time, check. */
#ifndef TRNCCL_PERF_MEASURE_H
#define TRNCCL_PERF_MEASURE_H

#include "perf/session.h"

/* A measuring thread and the ranks it drives. */
struct worker {
    struct session *session;
    int thread;                 /* within the process */
    struct session_rank *ranks; /* [nper_thread], borrowed */
    bool speaks;                /* the one that prints */
    unsigned rep;               /* repetitions of checked data so far */
    /* Of each rank: */
    struct data *data;           /* [nper_thread], of the current type and reduction */
    trncclRedOp_t *redops;       /* [nper_thread] handles of this case */
    struct op_call *calls;       /* [nper_thread] */
    struct op_layout *layouts;   /* [nper_thread] */
    struct op_segment *segments; /* [nper_thread * nranks] */
    size_t *scratch;             /* [nper_thread * 2 * nranks] */
    /* Filled with -I: */
    double *times;         /* [times_capacity], of this process */
    double *process_times; /* [nprocs * times_capacity] */
    size_t times_capacity;
};

/* What is measured: the same on all threads. */
struct measure_case {
    struct op_case c;
    int type, redop; /* redop: DATA_COPY where there is none */
    bool in_place;
};

void worker_init(struct worker *w, struct session *s, int thread);
void worker_fini(struct worker *w);
/* Before the first case of a type and reduction, and after the last. Collective. */
void worker_begin(struct worker *w, int type, int redop);
void worker_end(struct worker *w, int redop);
/* Measures and checks; all threads get the same values, times excepted. With --schedule a
 * half that the schedule does not serve is left out (not half->present), and first_wrong
 * says why. The arrays of
 * `half` are the worker's until the next call. `first_wrong` (at least 256 bytes) gets a
 * sentence about the first wrong element, or "". */
void worker_measure(struct worker *w, const struct measure_case *m,
                    struct report_half *half, char *first_wrong);

#endif
