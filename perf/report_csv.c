#include <stdio.h>
#include <string.h>
#include "perf/fail.h"
#include "perf/report.h"

/* One line per half of a row. Columns are only ever added at the end. */
static const char header[] =
    "collective,ranks,size_bytes,count,type,redop,root,place,iterations,time_us,"
    "cpu_time_us,algbw_gbps,busbw_gbps,algbw_gibps,busbw_gibps,wrong,iter_min_us,"
    "iter_avg_us,iter_p50_us,iter_p95_us,iter_p99_us,iter_max_us,iter_cv_pct,algorithm\n";

#define GIB_PER_GB (1e9 / (1024.0 * 1024 * 1024))

static void csv_begin(struct report *r, const struct report_run *run)
{
    (void)run;
    fputs(header, r->file);
}

static void csv_half(FILE *f, const struct report_run *run, const struct report_row *row,
                     int place)
{
    const struct report_half *h = &row->half[place];
    fprintf(f, "%s,%d,%zu,%zu,%s,%s,%d,%s,%d,%.4f,%.4f,%.6g,%.6g,%.6g,%.6g,",
            run->o->op->name, run->nranks, row->nbytes, row->count, row->type, row->redop,
            row->root, place == REPORT_IN_PLACE ? "in_place" : "out_of_place", h->niters,
            h->time_us, h->cpu_us, h->alg_gbps, h->bus_gbps, h->alg_gbps * GIB_PER_GB,
            h->bus_gbps * GIB_PER_GB);
    if (h->nwrong >= 0)
        fprintf(f, "%lld", h->nwrong);
    size_t skip = (size_t)run->o->per_iter_skip;
    if (h->ntimes > skip) {
        struct stats s;
        if (!stats_compute(h->times_us + skip, h->ntimes - skip, &s))
            fail_with("out of memory for %zu times", h->ntimes);
        fprintf(f, ",%.4f,%.4f,%.4f,%.4f,%.4f,%.4f,%.3f", s.min, s.avg, s.p50, s.p95,
                s.p99, s.max, s.cv_pct);
    } else {
        fputs(",,,,,,,", f);
    }
    fprintf(f, ",%s\n", row->algorithm);
}

static void csv_row(struct report *r, const struct report_run *run,
                    const struct report_row *row)
{
    for (int place = 0; place < 2; place++) {
        if (row->half[place].present)
            csv_half(r->file, run, row, place);
    }
    fflush(r->file);
}

static void csv_end(struct report *r, const struct report_run *run,
                    const struct report_end *end)
{
    (void)run, (void)end;
    fflush(r->file);
}

const struct report_format report_csv = {
    .begin = csv_begin, .row = csv_row, .end = csv_end};
