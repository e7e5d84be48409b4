#include <stdio.h>
#include <string.h>
#include "perf/fail.h"
#include "perf/names.h"
#include "perf/report.h"

/* The columns are those of nccl-tests 2.19 (src/util.cu), width for width, so that what
 * parses its output parses this. */

char *report_number(double value, int width, char *text, size_t text_nbytes)
{
    for (int decimals = 2; decimals >= 0; decimals--) {
        if (snprintf(text, text_nbytes, "%*.*f", width, decimals, value) <= width)
            return text;
    }
    snprintf(text, text_nbytes, width >= 7 ? "%*.1e" : "%*.0e", width, value);
    return text;
}

char *report_time(time_t t, char *text, size_t text_nbytes)
{
    struct tm parts;
    if (!localtime_r(&t, &parts) ||
        strftime(text, text_nbytes, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(text, text_nbytes, "-");
    return text;
}

int report_columns(const struct options *o, struct stats_column *columns)
{
    if (!o->per_iter)
        return 0;
    if (o->nstats > 0) {
        memcpy(columns, o->stats, (size_t)o->nstats * sizeof *columns);
        return o->nstats;
    }
    char bad[32];
    return stats_columns_parse("min,max,p99,cv", columns, bad);
}

static void print_ranks(FILE *f, const struct report_run *run)
{
    fprintf(f, "# Using ranks\n");
    for (int i = 0; i < run->nranks; i++) {
        const struct report_rank *r = &run->ranks[i];
        fprintf(f, "#  Rank %2d Group %2d Pid %6d on %10s device %2d [host] %s\n",
                r->rank, 0, r->pid, r->host, r->device, r->cpu);
    }
}

static const char *column_label(const struct stats_column *c, char *text)
{
    snprintf(text, 24, "i_%.15s%s", c->name, strcmp(c->name, "cv") == 0 ? "%" : "");
    return text;
}

static void print_titles(FILE *f, const struct options *o, bool units)
{
    struct stats_column columns[STATS_MAX_COLUMNS];
    int ncolumns = report_columns(o, columns);
    const char *time_name = o->report_cputime ? "cputime" : "time";
    if (units)
        fprintf(f, "# %10s  %12s  %8s  %6s  %6s", "(B)", "(elements)", "", "", "");
    else
        fprintf(f, "# %10s  %12s  %8s  %6s  %6s", "size", "count", "type", "redop",
                "root");
    for (int half = 0; half < 2; half++) {
        if (units)
            fprintf(f, "  %7s  %6s  %6s  %6s", "(us)", "(GB/s)", "(GB/s)", "");
        else
            fprintf(f, "  %7s  %6s  %6s  %6s", time_name, "algbw", "busbw", "#wrong");
        for (int i = 0; i < ncolumns; i++) {
            char label[24];
            bool percent = strcmp(columns[i].name, "cv") == 0;
            fprintf(f, "  %7s",
                    !units    ? column_label(&columns[i], label)
                    : percent ? "(%)"
                              : "(us)");
        }
    }
    if (o->report_timestamps)
        fprintf(f, "  %19s", units ? "%Y-%m-%d %H:%M:%S" : "timestamp");
    if (o->show_algorithm)
        fprintf(f, "  %-12s", units ? "" : "algorithm");
    fprintf(f, "\n");
}

static void text_begin(struct report *r, const struct report_run *run)
{
    const struct options *o = run->o;
    FILE *f = r->file;
    bool multiplies = o->step_factor > 1;
    fprintf(f, "# " PERF_NAME " version %d.%d.%d trnccl-headers=%d trnccl-library=%d\n",
            TRNCCL_MAJOR, TRNCCL_MINOR, TRNCCL_PATCH, TRNCCL_VERSION_CODE,
            run->library_version);
    fprintf(f, "# Collective test starting: %s\n", o->op->name);
    fprintf(
        f,
        "# nProcs %d nThread %d nRanksPerThread %d minBytes %zu maxBytes %zu step: "
        "%zu(%s) warmup iters: %d iters: %d agg iters: %d validation: %d unalign: %d\n",
        run->nprocs, o->nthreads, o->nper_thread, o->min_nbytes, run->max_nbytes,
        multiplies ? (size_t)o->step_factor : o->step_nbytes,
        multiplies ? "factor" : "bytes", o->warmup, o->iters, o->agg_iters, o->check,
        o->unalign);
    static const char *const buffers[] = {"plain memory", "registered", "window"};
    fprintf(f, "# Buffers: %s%s%s, calls %s; seed %llu\n", buffers[o->local_register],
            o->cold ? ", cold" : "", o->unique_buffers ? ", unique" : "",
            o->stream_null ? "complete before they return" : "queued on a stream",
            (unsigned long long)o->seed);
    if (o->per_iter)
        fprintf(f, "# Per-iteration columns i_*: longest over processes; skipping %d\n",
                o->per_iter_skip);
    if (run->max_nbytes < o->max_nbytes)
        fprintf(f, "# Reducing maxBytes to %zu due to memory limitation\n",
                run->max_nbytes);
    fprintf(f, "#\n");
    print_ranks(f, run);
    int extra = 9 * report_columns(o, (struct stats_column[STATS_MAX_COLUMNS]){{{0}, 0}});
    fprintf(f, "#\n# %10s  %12s  %8s  %6s  %6s           %-*s           %s\n", "", "", "",
            "", "", 24 + extra, "out-of-place", "in-place");
    print_titles(f, o, false);
    print_titles(f, o, true);
    fflush(f);
}

static void print_half(FILE *f, const struct options *o, const struct report_half *h)
{
    struct stats_column columns[STATS_MAX_COLUMNS];
    int ncolumns = report_columns(o, columns);
    char time_text[32], alg[32], bus[32], wrong[32] = "N/A";
    if (!h->present) {
        fprintf(f, "  %7s  %6s  %6s  %6s", "N/A", "N/A", "N/A", "N/A");
        for (int i = 0; i < ncolumns; i++)
            fprintf(f, "  %7s", "N/A");
        return;
    }
    report_number(o->report_cputime ? h->cpu_us : h->time_us, 7, time_text,
                  sizeof time_text);
    report_number(h->alg_gbps, 6, alg, sizeof alg);
    report_number(h->bus_gbps, 6, bus, sizeof bus);
    if (h->nwrong >= 0)
        snprintf(wrong, sizeof wrong, "%6g", (double)h->nwrong);
    fprintf(f, "  %7s  %6s  %6s  %6s", time_text, alg, bus, wrong);
    for (int i = 0; i < ncolumns; i++) {
        double value = 0;
        size_t skip = (size_t)o->per_iter_skip;
        if (h->ntimes > skip && !stats_column_value(&columns[i], h->times_us + skip,
                                                    h->ntimes - skip, &value))
            fail_with("out of memory for %zu times", h->ntimes);
        fprintf(f, "  %7s", report_number(value, 7, time_text, sizeof time_text));
    }
}

static void text_row(struct report *r, const struct report_run *run,
                     const struct report_row *row)
{
    char now[32];
    FILE *f = r->file;
    fprintf(f, "%12zu  %12zu  %8s  %6s  %6d", row->nbytes, row->count, row->type,
            row->redop, row->root);
    for (int i = 0; i < 2; i++)
        print_half(f, run->o, &row->half[i]);
    if (run->o->report_timestamps)
        fprintf(f, "  %19s", report_time(time(NULL), now, sizeof now));
    if (run->o->show_algorithm)
        fprintf(f, "  %-12s", row->algorithm);
    fprintf(f, "\n");
    fflush(f);
}

static void text_end(struct report *r, const struct report_run *run,
                     const struct report_end *end)
{
    FILE *f = r->file;
    const char *verdict = run->o->min_bw_gbps <= 0 ? ""
                          : end->bandwidth_ok      ? "OK"
                                                   : "FAILED";
    fprintf(f, "# %-20s : %d %s\n", "Out of bounds values", end->nbad,
            end->nbad ? "FAILED" : "OK");
    fprintf(f, "# %-20s : %g %s\n", "Avg bus bandwidth", end->bus_gbps, verdict);
    if (run->o->report_memory) {
        char a[32], b[32], c[32];
        fprintf(f, "# %-20s : Communicators %s | Buffers %s | Peak resident %s\n",
                "Memory per process", names_size_format(end->comm_nbytes, a, sizeof a),
                names_size_format(end->buffer_nbytes, b, sizeof b),
                names_size_format(end->peak_nbytes, c, sizeof c));
    }
    fprintf(f, "#\n# Collective test concluded: %s\n", run->o->op->name);
    fflush(f);
}

const struct report_format report_text = {
    .begin = text_begin, .row = text_row, .end = text_end};
