/* What a run says: beginning, one row per size, end; as text, JSON or CSV. */
#ifndef TRNCCL_PERF_REPORT_H
#define TRNCCL_PERF_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include "perf/options.h"

/* Of one rank; gathered from all. */
struct report_rank {
    int rank, pid, device;
    char host[64];
    char cpu[64];
};

struct report_run {
    const struct options *o;
    int nprocs, nranks;
    const struct report_rank *ranks; /* [nranks] */
    size_t max_nbytes;               /* may be less than asked for: memory */
    int library_version;
    time_t started;
};

/* One half of a row: out of place or in place. */
struct report_half {
    bool present;
    double time_us;            /* per call, across ranks as -a says */
    double cpu_us;             /* until the calls had returned */
    double alg_gbps, bus_gbps; /* decimal */
    long long nwrong;          /* -1: not checked */
    int niters;                /* measured iterations */
    /* With -I: time of each iteration, the longest over the processes; and per process,
     * [nprocs][ntimes]. Borrowed. */
    size_t ntimes;
    const double *times_us, *process_times_us;
};

enum { REPORT_OUT_OF_PLACE, REPORT_IN_PLACE };

struct report_row {
    size_t nbytes, count;
    const char *type, *redop; /* "none" where there is none */
    int root;                 /* -1 where there is none */
    const char *algorithm;    /* "" if unknown or not asked for */
    struct report_half half[2];
};

struct report_end {
    int nbad; /* halves with wrong elements */
    double bus_gbps;
    bool bandwidth_ok;                              /* meaningful with --min-bw */
    size_t comm_nbytes, buffer_nbytes, peak_nbytes; /* of one process */
    time_t ended;
};

/* One kind of output. */
struct report {
    const struct report_format *format;
    FILE *file; /* owned unless stdout */
    void *state;
};

struct report_format {
    void (*begin)(struct report *r, const struct report_run *run);
    void (*row)(struct report *r, const struct report_run *run,
                const struct report_row *row);
    /* Frees the state too. */
    void (*end)(struct report *r, const struct report_run *run,
                const struct report_end *end);
};

extern const struct report_format report_text, report_json, report_csv;

/* nccl-tests' number in `width` columns: two, one or no decimals, then an exponent. */
char *report_number(double value, int width, char *text, size_t text_nbytes);
/* "2026-11-23 18:00:00", local time, at least 32 bytes. */
char *report_time(time_t t, char *text, size_t text_nbytes);
/* The columns of per-iteration times: -s's, or nccl-tests' four. Returns how many. */
int report_columns(const struct options *o, struct stats_column *columns);

#endif
