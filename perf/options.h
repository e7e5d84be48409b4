/* The command line. */
#ifndef TRNCCL_PERF_OPTIONS_H
#define TRNCCL_PERF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "perf/ops.h"
#include "perf/stats.h"
#include "perf/vsizes.h"

#define OPTIONS_ALL (-1) /* of types, reductions, roots */

enum options_format { OPTIONS_TEXT, OPTIONS_JSON, OPTIONS_CSV };
enum options_average { OPTIONS_RANK0, OPTIONS_AVG, OPTIONS_MIN, OPTIONS_MAX };
enum options_register { OPTIONS_PLAIN, OPTIONS_REGISTERED, OPTIONS_SYMMETRIC };

/* Strings are borrowed from argv; the rest is owned. */
struct options {
    int argc;
    char **argv; /* as typed */
    const struct op *op;
    int nprocs, nthreads, nper_thread;
    bool nprocs_given;
    size_t min_nbytes, max_nbytes, step_nbytes;
    int step_factor; /* > 1: multiply instead of adding step_nbytes */
    int iters, warmup, agg_iters, cycles;
    bool parallel_init;
    int check;
    int redop, type, root; /* or OPTIONS_ALL */
    int blocking;          /* -z */
    bool stream_null;
    double timeout_s; /* 0: the library's default */
    bool report_cputime, report_timestamps, report_memory;
    enum options_average average;
    enum options_register local_register;
    int unalign;
    bool per_iter;
    int per_iter_skip;
    const char *algo, *transport;
    char algo_setting[160]; /* --algo for this collective, as the library takes it */
    const char *schedule;   /* a file of another tool, or NULL */
    const char *json_path, *csv_path;
    enum options_format format;
    int nstats;
    struct stats_column stats[STATS_MAX_COLUMNS];
    bool show_algorithm, unique_buffers, cold;
    int *pairs; /* NULL: every rank to the next */
    int npairs;
    struct vsizes vsizes;
    uint64_t seed;
    double min_time_s, min_bw_gbps;
};

/* Parses the command line. Wrong usage is explained on stderr and ends the process with
 * PERF_EXIT_USAGE; --help and --version end it with 0. */
void options_parse(int argc, char **argv, struct options *o);
/* What can be checked only when the number of ranks is known. NULL, or a sentence in
 * `why`. */
const char *options_misfit(const struct options *o, int nranks, char *why,
                           size_t why_nbytes);
void options_fini(struct options *o);

#endif
