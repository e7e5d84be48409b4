#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "perf/fail.h"
#include "perf/report.h"

/* nccl-tests' JSON, version 3 (src/util.cu), with these differences: booleans are
 * booleans and the root is a number; of the environment only TRNCCL_* variables are
 * written, since the rest may hold secrets; an unchecked value is null; memory is
 * reported; bandwidths are given in GiB/s too. */
#define JSON_FILE_VERSION 3
#define GIB_PER_GB (1e9 / (1024.0 * 1024 * 1024))

static json_t *environment(void)
{
    json_t *list = json_array();
    for (char **e = environ; *e; e++) {
        if (strncmp(*e, "TRNCCL_", 7) == 0)
            json_array_append_new(list, json_string(*e));
    }
    return list;
}

static json_t *devices(const struct report_run *run)
{
    json_t *list = json_array();
    for (int i = 0; i < run->nranks; i++) {
        const struct report_rank *r = &run->ranks[i];
        json_array_append_new(list, json_pack("{s:i, s:i, s:i, s:s, s:i, s:n, s:s}",
                                              "rank", r->rank, "group", 0, "pid", r->pid,
                                              "hostname", r->host, "device", r->device,
                                              "device_hex", "device_info", r->cpu));
    }
    return list;
}

static json_t *size_value(size_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *config(const struct report_run *run)
{
    const struct options *o = run->o;
    json_t *c =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:o, s:o}", "collective", o->op->name,
                  "nprocs", run->nprocs, "nthreads", o->nthreads, "ngpus", o->nper_thread,
                  "nranks", run->nranks, "minimum_bytes", size_value(o->min_nbytes),
                  "maximum_bytes", size_value(run->max_nbytes));
    if (o->step_factor > 1)
        json_object_set_new(c, "step_factor", json_integer(o->step_factor));
    else
        json_object_set_new(c, "step_bytes", size_value(o->step_nbytes));
    json_t *more = json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:i, s:b, s:b, s:i, s:i, s:b, s:b, s:I}",
        "warmup_iters", o->warmup, "iterations", o->iters, "aggregated_iterations",
        o->agg_iters, "validation", o->check, "graph", 0, "blocking_mode", o->blocking,
        "per_iter_timing", o->per_iter, "per_iter_skip", o->per_iter_skip,
        "parallel_init", o->parallel_init, "stream_null", o->stream_null,
        "local_register", (int)o->local_register, "unalign", o->unalign, "cold", o->cold,
        "unique_buffers", o->unique_buffers, "seed", (json_int_t)o->seed);
    json_object_update(c, more);
    json_decref(more);
    json_object_set_new(c, "blocking_collectives", json_boolean(o->blocking));
    json_object_set_new(c, "devices", devices(run));
    return c;
}

static void json_begin(struct report *r, const struct report_run *run)
{
    char text[32];
    json_t *args = json_array();
    for (int i = 0; i < run->o->argc; i++)
        json_array_append_new(args, json_string(run->o->argv[i]));
    json_t *root =
        json_pack("{s:i, s:s, s:o, s:o, s:i, s:o, s:[]}", "version", JSON_FILE_VERSION,
                  "start_time", report_time(run->started, text, sizeof text), "args",
                  args, "env", environment(), "trnccl_version", run->library_version,
                  "config", config(run), "results");
    if (!root)
        fail_with("the arguments cannot be written as JSON: not UTF-8, or out of memory");
    r->state = root;
}

/* JSON has no infinity and no NaN. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *half_json(const struct report_half *h, const struct options *o)
{
    if (!h->present)
        return json_null();
    json_t *j = json_object();
    json_object_set_new(j, o->report_cputime ? "cpu_time" : "time",
                        real(o->report_cputime ? h->cpu_us : h->time_us));
    json_object_set_new(j, "alg_bw", real(h->alg_gbps));
    json_object_set_new(j, "bus_bw", real(h->bus_gbps));
    json_object_set_new(j, "alg_bw_gib", real(h->alg_gbps * GIB_PER_GB));
    json_object_set_new(j, "bus_bw_gib", real(h->bus_gbps * GIB_PER_GB));
    json_object_set_new(j, "nwrong",
                        h->nwrong < 0 ? json_null() : json_integer(h->nwrong));
    return j;
}

static json_t *times_json(const double *times, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, real(times[i]));
    return list;
}

static json_t *per_iter_json(const struct report_half *h, const struct report_run *run)
{
    struct stats s;
    size_t skip = (size_t)run->o->per_iter_skip;
    if (!stats_compute(h->times_us + skip, h->ntimes - skip, &s))
        fail_with("out of memory for %zu times", h->ntimes);
    json_t *j =
        json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "skipped_iterations",
                  run->o->per_iter_skip, "min_us", s.min, "max_us", s.max, "avg_us",
                  s.avg, "p50_us", s.p50, "p95_us", s.p95, "p99_us", s.p99, "stdev_us",
                  s.stdev, "cv_pct", s.cv_pct);
    json_object_set_new(j, "times_us", times_json(h->times_us, h->ntimes));
    if (run->nprocs > 1 && h->process_times_us) {
        json_t *processes = json_array();
        for (int p = 0; p < run->nprocs; p++)
            json_array_append_new(
                processes,
                times_json(h->process_times_us + (size_t)p * h->ntimes, h->ntimes));
        json_object_set_new(j, "per_process_max_times_us", processes);
    }
    return j;
}

static void json_row(struct report *r, const struct report_run *run,
                     const struct report_row *row)
{
    static const char *const names[] = {"out_of_place", "in_place"};
    static const char *const per_iter[] = {"out_of_place_per_iter", "in_place_per_iter"};
    json_t *j = json_pack("{s:o, s:o, s:s, s:s, s:i}", "size", size_value(row->nbytes),
                          "count", size_value(row->count), "type", row->type, "redop",
                          row->redop, "root", row->root);
    int niters = 0;
    for (int place = 0; place < 2; place++) {
        const struct report_half *h = &row->half[place];
        json_object_set_new(j, names[place], half_json(h, run->o));
        if (h->present && h->ntimes > (size_t)run->o->per_iter_skip)
            json_object_set_new(j, per_iter[place], per_iter_json(h, run));
        niters = h->present ? h->niters : niters;
    }
    json_object_set_new(j, "actual_iterations", json_integer(niters));
    json_object_set_new(j, "experiment_name", json_string(run->o->op->name));
    if (run->o->show_algorithm)
        json_object_set_new(j, "algorithm", json_string(row->algorithm));
    json_array_append_new(json_object_get(r->state, "results"), j);
}

static void json_end(struct report *r, const struct report_run *run,
                     const struct report_end *end)
{
    char text[32];
    json_t *root = r->state;
    json_object_set_new(
        root, "out_of_bounds",
        json_pack("{s:i, s:b}", "count", end->nbad, "okay", end->nbad == 0));
    json_t *bandwidth = json_object();
    json_object_set_new(bandwidth, "bandwidth", real(end->bus_gbps));
    json_object_set_new(bandwidth, "okay",
                        run->o->min_bw_gbps > 0 ? json_boolean(end->bandwidth_ok)
                                                : json_null());
    json_object_set_new(root, "average_bus_bandwidth", bandwidth);
    json_object_set_new(root, "memory",
                        json_pack("{s:o, s:o, s:o}", "communicator_bytes",
                                  size_value(end->comm_nbytes), "buffer_bytes",
                                  size_value(end->buffer_nbytes), "peak_resident_bytes",
                                  size_value(end->peak_nbytes)));
    json_object_set_new(root, "errors", json_array());
    json_object_set_new(root, "end_time",
                        json_string(report_time(end->ended, text, sizeof text)));
    if (json_dumpf(root, r->file, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) != 0 ||
        fputc('\n', r->file) == EOF || fflush(r->file) != 0)
        fail_with("the JSON output could not be written");
    json_decref(root);
    r->state = NULL;
}

const struct report_format report_json = {
    .begin = json_begin, .row = json_row, .end = json_end};
