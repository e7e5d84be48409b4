/* Summaries of a list of times, as nccl-tests defines them. */
#ifndef TRNCCL_PERF_STATS_H
#define TRNCCL_PERF_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct stats {
    double min, max, avg, stdev; /* population standard deviation */
    double p50, p95, p99;
    double cv_pct; /* stdev / avg, in percent */
};

/* Summary of n >= 1 values; `values` is left as it was. False if memory ran out. */
bool stats_compute(const double *values, size_t n, struct stats *out);
/* The value of rank ceil(n * percent / 100) of sorted values (nearest-rank percentile);
 * percent in [0, 100]. */
double stats_percentile(const double *sorted, size_t n, double percent);

/* What a column of --stats asks for. */
struct stats_column {
    char name[16];  /* as typed: "avg", "p99.9", "cv" */
    double percent; /* >= 0: this percentile; else one of enum stats_kind, negated */
};
enum stats_kind { STATS_MIN = 1, STATS_MAX, STATS_AVG, STATS_STDEV, STATS_CV };

#define STATS_MAX_COLUMNS 16
/* Parses "avg,p50,p99" into at most STATS_MAX_COLUMNS columns. Returns how many, or -1
 * with the bad word in `bad` (at least 32 bytes). */
int stats_columns_parse(const char *text, struct stats_column *columns, char *bad);
/* The value of a column; false if memory ran out. */
bool stats_column_value(const struct stats_column *column, const double *values, size_t n,
                        double *value);

#endif
