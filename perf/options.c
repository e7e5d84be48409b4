#include "perf/options.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "perf/fail.h"
#include "perf/names.h"

enum {
    KEY_ALGO = 0x100,
    KEY_SCHEDULE,
    KEY_TRANSPORT,
    KEY_JSON,
    KEY_CSV,
    KEY_SHOW_ALGORITHM,
    KEY_UNIQUE,
    KEY_PAIRS,
    KEY_VARIABLE,
    KEY_SEED,
    KEY_COLD,
    KEY_MIN_TIME,
    KEY_MIN_BW,
    KEY_VERSION,
};

static const struct argp_option option_table[] = {
    {0, 0, 0, 0, "Ranks (total = processes x threads x ranks per thread):", 1},
    {"nprocs", 'P', "N", 0, "start N local processes (default 1; not under mpirun)", 1},
    {"nthreads", 't', "N", 0, "threads per process (default 1)", 1},
    {"ngpus", 'g', "N", 0, "ranks per thread, driven through groups (default 1)", 1},
    {"nranks", 0, 0, OPTION_ALIAS, 0, 1},
    {"parallel_init", 'p', "0|1", 0,
     "create communicators in the measuring threads instead of before them", 1},

    {0, 0, 0, 0, "Sizes (K, M, G: powers of 1024):", 2},
    {"minbytes", 'b', "SIZE", 0, "smallest size (default 32M)", 2},
    {"maxbytes", 'e', "SIZE", 0, "largest size (default 32M)", 2},
    {"stepbytes", 'i', "SIZE", 0, "add SIZE from row to row (default 1M)", 2},
    {"stepfactor", 'f', "N", 0, "multiply by N instead", 2},
    {"variable-size", KEY_VARIABLE, "SPEC", 0,
     "counts of the v-forms: a spread 0..1 (default 0.5), weights w0,w1,..., or a file "
     "with n or n x n weights",
     2},

    {0, 0, 0, 0, "What is done:", 3},
    {"op", 'o', "OP", 0,
     "sum (default), prod, min, max, avg, mulsum, band, bor, bxor, land, lor, all", 3},
    {"datatype", 'd', "TYPE", 0,
     "float (default), half, double, bfloat16, f8e4m3, f8e5m2, [u]int8/16/32/64, all", 3},
    {"root", 'r', "RANK", 0, "root (default 0), or all", 3},
    {"algo", KEY_ALGO, "NAME", 0, "force an algorithm", 3},
    {"schedule", KEY_SCHEDULE, "FILE", 0,
     "run an imported schedule (MSCCL's XML); a column that it does not serve says so",
     3},
    {"transport", KEY_TRANSPORT, "NAME", 0, "force a transport", 3},
    {"local_register", 'R', "0|1|2", 0,
     "buffers: 0 plain memory (default), 1 allocated by the library and registered, "
     "2 registered collectively (window)",
     3},
    {"unalign", 'u', "N", 0, "start buffers at element N", 3},
    {"cold", KEY_COLD, 0, 0, "no iteration finds its data in a cache", 3},
    {"unique-buff", KEY_UNIQUE, 0, 0, "every iteration has buffers of its own", 3},
    {"custom-src-target-pairs", KEY_PAIRS, "S:T,...", 0,
     "pairs of permute and sendrecv (default: every rank to the next)", 3},
    {"timeout", 'T', "SEC", 0, "longest a call may make no progress", 3},

    {0, 0, 0, 0, "How it is measured:", 4},
    {"iters", 'n', "N", 0, "iterations (default 20)", 4},
    {"warmup_iters", 'w', "N", 0, "iterations before, not measured (default 5)", 4},
    {"agg_iters", 'm', "N", 0, "calls per iteration, in one group (default 1)", 4},
    {"run_cycles", 'N', "N", 0, "repeat the sweep N times; 0: forever (default 1)", 4},
    {"min-time", KEY_MIN_TIME, "SEC", 0, "raise -n until a row has run for SEC", 4},
    {"blocking", 'z', "0..3", 0,
     "1: wait and barrier after each call, 2: wait, 3: wait and an unmeasured barrier",
     4},
    {"stream_null", 'y', "0|1", 0,
     "1 (default): calls complete before they return; 0: they are queued on a stream", 4},
    {"average", 'a', "0..3", 0, "time of 0 rank 0, 1 average (default), 2 min, 3 max", 4},

    {0, 0, 0, 0, "Checking:", 5},
    {"check", 'c', "N", 0,
     "check every element on every rank N times per row (default 1)", 5},
    {"seed", KEY_SEED, "N", 0, "seed of the data (default 1)", 5},
    {"min-bw", KEY_MIN_BW, "GB/s", 0,
     "fail if the average bus bandwidth is below 0.9 of this", 5},

    {0, 0, 0, 0, "Output:", 6},
    {"output-format", 'O', "FORMAT", 0, "text (default), json or csv on stdout", 6},
    {"output_file", 'J', "FILE", 0, "also write FILE, JSON or CSV by its suffix", 6},
    {"json", KEY_JSON, "FILE", 0, "also write FILE in nccl-tests' JSON shape", 6},
    {"csv", KEY_CSV, "FILE", 0, "also write FILE as CSV", 6},
    {"per_iter_timing", 'I', "0|1", 0, "time each iteration: min, max, p99, cv%", 6},
    {"per_iter_skip", 'K', "N", 0, "leave N first iterations out of that", 6},
    {"percentiles", 's', "LIST", 0,
     "columns for each iteration's time: avg,p50,p99.9,...", 6},
    {"stats", 0, 0, OPTION_ALIAS, 0, 6},
    {"show-algorithm", KEY_SHOW_ALGORITHM, 0, 0, "a column with the algorithm used", 6},
    {"report_cputime", 'C', "0|1", 0, "report the time until calls returned", 6},
    {"report_timestamps", 'S', "0|1", 0, "a column with the time of day", 6},
    {"memory", 'M', "0|1", 0, "report memory used", 6},

    {0, 0, 0, 0, "Known from nccl-tests, without meaning on hosts (refused):", 7},
    {"cudagraph", 'G', "N", 0, "CUDA graphs", 7},
    {"cta_policy", 'x', "N", 0, "CTA policy", 7},
    {"device_implementation", 'D', "N", 0, "device kernels", 7},
    {"device_cta_count", 'V', "N", 0, "their CTAs", 7},

    {0, 0, 0, 0, "", -1},
    {"help", 'h', 0, 0, "this text", -1},
    {"version", KEY_VERSION, 0, 0, "version", -1},
    {0},
};

static long number(const struct argp_state *state, const char *what, const char *text,
                   long lowest, long highest)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 0);
    if (end == text || *end || errno || value < lowest || value > highest)
        argp_error(state, "%s: expected a whole number from %ld to %ld, found \"%s\"",
                   what, lowest, highest, text);
    return value;
}

static double seconds(const struct argp_state *state, const char *what, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0) || value > 1e6)
        argp_error(state, "%s: expected a number from 0 to 1000000, found \"%s\"", what,
                   text);
    return value;
}

static size_t size(const struct argp_state *state, const char *what, const char *text)
{
    size_t nbytes = 0;
    switch (names_size_parse(text, &nbytes)) {
    case NAMES_SIZE_GOOD:
        break;
    case NAMES_SIZE_NONE:
        argp_error(state, "%s: expected a size such as 8, 64K, 1.5M or 2G, found \"%s\"",
                   what, text);
        break;
    case NAMES_SIZE_HUGE:
        argp_error(state, "%s: %s is too large: no address space holds it", what, text);
        break;
    }
    return nbytes;
}

/* Explains that `text` is none of the names, the nearest first. */
static void unknown_name(const struct argp_state *state, const char *what,
                         const char *text, const char *(*name)(int), int n)
{
    char list[512];
    bool used[64] = {false};
    size_t length = 0;
    for (int k = 0; k < n; k++) {
        int best = -1;
        for (int i = 0; i < n; i++) {
            if (!used[i] && (best < 0 || names_distance(text, name(i)) <
                                             names_distance(text, name(best))))
                best = i;
        }
        used[best] = true;
        length +=
            (size_t)snprintf(list + length, sizeof list - length, "%s, ", name(best));
    }
    argp_error(state, "%s: there is no \"%s\"; there are %sall", what, text, list);
}

static void parse_op(struct argp_state *state, struct options *o, const char *text)
{
    if (o->op)
        argp_error(state, "one collective per run: \"%s\" follows \"%s\"", text,
                   o->op->name);
    o->op = ops_find(text);
    if (!o->op) {
        char list[512];
        ops_list_near(text, list, sizeof list);
        argp_error(state, "there is no collective \"%s\"; there are %s", text, list);
    }
}

static void parse_pairs(const struct argp_state *state, struct options *o,
                        const char *text)
{
    size_t n = 1;
    for (const char *p = text; *p; p++)
        n += *p == ',';
    free(o->pairs);
    o->pairs = fail_calloc(2 * n, sizeof *o->pairs);
    o->npairs = 0;
    for (const char *p = text;; p++) {
        char *end;
        long source = strtol(p, &end, 10);
        if (end == p || *end != ':' || source < 0 || source > INT_MAX)
            break;
        p = end + 1;
        long target = strtol(p, &end, 10);
        if (end == p || (*end && *end != ',') || target < 0 || target > INT_MAX)
            break;
        o->pairs[2 * o->npairs] = (int)source;
        o->pairs[2 * o->npairs + 1] = (int)target;
        o->npairs++;
        p = end;
        if (!*p)
            return;
    }
    argp_error(state,
               "--custom-src-target-pairs: expected pairs such as 0:1,1:2, found "
               "\"%s\"",
               text);
}

static void parse_output_file(const struct argp_state *state, struct options *o,
                              const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot && strcasecmp(dot, ".json") == 0)
        o->json_path = path;
    else if (dot && strcasecmp(dot, ".csv") == 0)
        o->csv_path = path;
    else
        argp_error(state, "-J: the name must end in .json or .csv, found \"%s\"", path);
}

static void parse_format(const struct argp_state *state, struct options *o,
                         const char *text)
{
    static const char *const formats[] = {"text", "json", "csv"};
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(text, formats[i]) == 0) {
            o->format = (enum options_format)i;
            return;
        }
    }
    argp_error(state, "-O: expected text, json or csv, found \"%s\"", text);
}

static void parse_named(const struct argp_state *state, struct options *o, int key,
                        const char *text)
{
    bool all = strcasecmp(text, "all") == 0;
    if (key == 'o') {
        o->redop = all ? OPTIONS_ALL : names_op_find(text);
        if (o->redop < 0 && !all)
            unknown_name(state, "-o", text, names_op, NAMES_NUM_OPS);
    } else if (key == 'd') {
        o->type = all ? OPTIONS_ALL : names_type_find(text);
        if (o->type < 0 && !all)
            unknown_name(state, "-d", text, names_type, trncclNumTypes);
    } else {
        o->root = all ? OPTIONS_ALL : (int)number(state, "-r", text, -1, INT_MAX);
    }
}

/* Options of CUDA's world: accepted where they ask for nothing, else refused. */
static void refuse(const struct argp_state *state, int key, const char *text)
{
    if ((key == 'G' || key == 'D') && strcmp(text, "0") == 0)
        return;
    const char *why =
        key == 'G' ? "-G: there are no CUDA graphs on hosts; -m puts calls into one group"
        : key == 'x' ? "-x: a CTA policy divides a GPU's processors; hosts have none"
        : key == 'D' ? "-D: collectives written inside a GPU kernel do not exist on hosts"
                     : "-V: it counts the CTAs of -D, which does not exist on hosts";
    argp_error(state, "%s. Leave the option out", why);
}

static bool parse_sizes(int key, char *arg, struct argp_state *state, struct options *o)
{
    switch (key) {
    case 'b':
        o->min_nbytes = size(state, "-b", arg);
        return true;
    case 'e':
        o->max_nbytes = size(state, "-e", arg);
        return true;
    case 'i':
        o->step_nbytes = size(state, "-i", arg);
        return true;
    case 'f':
        o->step_factor = (int)number(state, "-f", arg, 0, INT_MAX);
        return true;
    case KEY_VARIABLE: {
        char why[160];
        vsizes_fini(&o->vsizes);
        if (!vsizes_parse(arg, &o->vsizes, why, sizeof why))
            argp_error(state, "--variable-size %s: %s", arg, why);
        return true;
    }
    default:
        return false;
    }
}

static bool parse_counts(int key, char *arg, struct argp_state *state, struct options *o)
{
    switch (key) {
    case 'P':
        o->nprocs = (int)number(state, "-P", arg, 1, 4096);
        o->nprocs_given = true;
        return true;
    case 't':
        o->nthreads = (int)number(state, "-t", arg, 1, 4096);
        return true;
    case 'g':
        o->nper_thread = (int)number(state, "-g", arg, 1, 4096);
        return true;
    case 'n':
        o->iters = (int)number(state, "-n", arg, 1, 100000000);
        return true;
    case 'w':
        o->warmup = (int)number(state, "-w", arg, 0, 100000000);
        return true;
    case 'm':
        o->agg_iters = (int)number(state, "-m", arg, 1, 1000000);
        return true;
    case 'N':
        o->cycles = (int)number(state, "-N", arg, 0, INT_MAX);
        return true;
    case 'c':
        o->check = (int)number(state, "-c", arg, 0, 1000000);
        return true;
    case 'u':
        o->unalign = (int)number(state, "-u", arg, 0, 4096);
        return true;
    case 'K':
        o->per_iter_skip = (int)number(state, "-K", arg, 0, INT_MAX);
        return true;
    case 'z':
        o->blocking = (int)number(state, "-z", arg, 0, 3);
        return true;
    case 'a':
        o->average = (enum options_average)number(state, "-a", arg, 0, 3);
        return true;
    case 'R':
        o->local_register = (enum options_register)number(state, "-R", arg, 0, 2);
        return true;
    default:
        return false;
    }
}

static bool parse_switches(int key, char *arg, struct argp_state *state,
                           struct options *o)
{
    const struct {
        int key;
        bool *flag;
        bool takes_number;
    } switches[] = {
        {'p', &o->parallel_init, true},
        {'y', &o->stream_null, true},
        {'C', &o->report_cputime, true},
        {'S', &o->report_timestamps, true},
        {'M', &o->report_memory, true},
        {'I', &o->per_iter, true},
        {KEY_COLD, &o->cold, false},
        {KEY_UNIQUE, &o->unique_buffers, false},
        {KEY_SHOW_ALGORITHM, &o->show_algorithm, false},
    };
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (key != switches[i].key)
            continue;
        char name[3] = {'-', (char)key, 0};
        *switches[i].flag =
            switches[i].takes_number ? number(state, name, arg, 0, 1) != 0 : true;
        return true;
    }
    return false;
}

static bool parse_texts(int key, char *arg, struct argp_state *state, struct options *o)
{
    char bad[32];
    switch (key) {
    case KEY_ALGO:
        o->algo = arg;
        return true;
    case KEY_SCHEDULE:
        o->schedule = arg;
        return true;
    case KEY_TRANSPORT:
        o->transport = arg;
        return true;
    case KEY_JSON:
        o->json_path = arg;
        return true;
    case KEY_CSV:
        o->csv_path = arg;
        return true;
    case KEY_PAIRS:
        parse_pairs(state, o, arg);
        return true;
    case 'J':
        parse_output_file(state, o, arg);
        return true;
    case 'O':
        parse_format(state, o, arg);
        return true;
    case 's':
        o->nstats = stats_columns_parse(arg, o->stats, bad);
        if (o->nstats < 0)
            argp_error(state,
                       "-s: expected at most %d of min, max, avg, stdev, cv, p0 to p100, "
                       "found \"%s\"",
                       STATS_MAX_COLUMNS, bad);
        return true;
    default:
        return false;
    }
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    if (parse_sizes(key, arg, state, o) || parse_counts(key, arg, state, o) ||
        parse_switches(key, arg, state, o) || parse_texts(key, arg, state, o))
        return 0;
    switch (key) {
    case 'o':
    case 'd':
    case 'r':
        parse_named(state, o, key, arg);
        return 0;
    case 'G':
    case 'x':
    case 'D':
    case 'V':
        refuse(state, key, arg);
        return 0;
    case 'T':
        o->timeout_s = seconds(state, "-T", arg);
        return 0;
    case KEY_MIN_TIME:
        o->min_time_s = seconds(state, "--min-time", arg);
        return 0;
    case KEY_MIN_BW:
        o->min_bw_gbps = seconds(state, "--min-bw", arg);
        return 0;
    case KEY_SEED:
        o->seed = (uint64_t)number(state, "--seed", arg, 0, LONG_MAX);
        return 0;
    case 'h':
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
        return 0;
    case KEY_VERSION:
        printf(PERF_NAME " %d.%d.%d\n", TRNCCL_MAJOR, TRNCCL_MINOR, TRNCCL_PATCH);
        exit(PERF_EXIT_OK);
    case ARGP_KEY_ARG:
        parse_op(state, o, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Whether some entry of a list such as "all_reduce=ring,broadcast=chain" is for coll. */
static bool forces_some(const char *list, const char *coll)
{
    size_t n = strlen(coll);
    for (const char *p = list; *p; p += *p == ',') {
        size_t length = strcspn(p, ",");
        const char *equal = memchr(p, '=', length);
        if (length && (!equal || ((size_t)(equal - p) == n && !memcmp(p, coll, n))))
            return true;
        p += length;
    }
    return false;
}

/* A name alone is meant for the collective that is measured: the library would take one
 * that only others have, and measure what it chooses itself. */
static void check_algo(const struct argp_state *state, struct options *o)
{
    char coll[64];
    if (!ops_collective(o->op, coll, sizeof coll))
        argp_error(state, "--algo: %s has no algorithms to choose from", o->op->name);
    if (strlen(o->algo) > 80)
        argp_error(state, "--algo: expected at most 80 letters, found %zu",
                   strlen(o->algo));
    if (strpbrk(o->algo, "=,"))
        snprintf(o->algo_setting, sizeof o->algo_setting, "%s", o->algo);
    else
        snprintf(o->algo_setting, sizeof o->algo_setting, "%s=%s", coll, o->algo);
    if (!forces_some(o->algo, coll))
        argp_error(state, "--algo %s forces nothing for %s", o->algo, coll);
}

/* Rules between options. */
static void check_together(const struct argp *argp, struct options *o)
{
    struct argp_state state = {
        .root_argp = argp, .name = (char *)(uintptr_t)PERF_NAME, .err_stream = stderr};
    if (!o->op)
        o->op = ops_find("all_reduce");
    if (o->min_nbytes > o->max_nbytes)
        argp_error(&state, "-b %zu is more than -e %zu", o->min_nbytes, o->max_nbytes);
    if (o->step_factor < 2 && o->step_nbytes == 0 && o->min_nbytes != o->max_nbytes)
        argp_error(&state, "-i 0 would never reach -e; give -i or -f 2 or more");
    if (o->step_factor > 1 && o->min_nbytes == 0 && o->max_nbytes > 0)
        argp_error(&state, "-b 0 times -f never reaches -e; use -i or a larger -b");
    if (o->nstats > 0)
        o->per_iter = true;
    if (o->per_iter_skip > 0 && !o->per_iter)
        argp_error(&state, "-K leaves iterations out of -I 1 or -s, which is not given");
    if (o->per_iter_skip >= o->iters)
        argp_error(&state, "-K %d leaves none of the %d iterations", o->per_iter_skip,
                   o->iters);
    if (o->op->flags & OP_REDUCES && o->redop >= 0 && o->type >= 0 &&
        !names_op_takes(o->redop, o->type))
        argp_error(&state, "-o %s needs an integer type, not %s", names_op(o->redop),
                   names_type(o->type));
    if (o->pairs && !(o->op->flags & OP_PAIRS))
        argp_error(&state, "--custom-src-target-pairs is for permute and sendrecv");
    if (o->algo)
        check_algo(&state, o);
    if (o->cold && o->unique_buffers)
        argp_error(&state, "--cold and --unique-buff exclude each other");
}

static const char doc[] =
    "Measures and checks a collective of trnccl between ranks on this host, or wherever "
    "mpirun starts them.\vCOLLECTIVE is all_reduce (default), all_gather, "
    "reduce_scatter, broadcast, reduce, all_to_all, gather, scatter, all_gather_v, "
    "reduce_scatter_v, all_to_all_v, gather_v, scatter_v, sendrecv, permute or barrier; "
    "short names such as allr, allg, redsct, a2a work too.\n\n"
    "Example: " PERF_NAME " all_reduce -P 4 -b 8 -e 256M -f 4\n\n"
    "Exit status: 0 all right, 1 wrong values or too slow for --min-bw, 2 wrong usage, "
    "3 a call failed, 4 a rank died, 128+N interrupted by signal N.";

void options_parse(int argc, char **argv, struct options *o)
{
    static const struct argp argp = {
        option_table, parse_one, "[COLLECTIVE]", doc, 0, 0, 0};
    *o = (struct options){
        .argc = argc,
        .nprocs = 1,
        .nthreads = 1,
        .nper_thread = 1,
        .min_nbytes = 32 << 20,
        .max_nbytes = 32 << 20,
        .step_nbytes = 1 << 20,
        .iters = 20,
        .warmup = 5,
        .agg_iters = 1,
        .cycles = 1,
        .check = 1,
        .redop = trncclSum,
        .type = trncclFloat32,
        .stream_null = true,
        .average = OPTIONS_AVG,
        .vsizes = {.spread = VSIZES_DEFAULT_SPREAD},
        .seed = 1,
    };
    /* argp reorders argv; reports show what was typed. */
    o->argv = fail_malloc((size_t)argc * sizeof *o->argv);
    memcpy(o->argv, argv, (size_t)argc * sizeof *o->argv);
    argp_err_exit_status = PERF_EXIT_USAGE;
    /* ARGP_NO_HELP: its --help would not have the letter -h of nccl-tests. */
    argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, o);
    check_together(&argp, o);
}

const char *options_misfit(const struct options *o, int nranks, char *why,
                           size_t why_nbytes)
{
    if ((o->op->flags & OP_ROOTED) && o->root >= nranks) {
        snprintf(why, why_nbytes, "-r %d: the ranks are 0 to %d", o->root, nranks - 1);
        return why;
    }
    bool is_matrix = strcmp(o->op->name, "all_to_all_v") == 0;
    if ((o->op->flags & OP_VARIES) &&
        vsizes_misfit(&o->vsizes, nranks, is_matrix, why, why_nbytes))
        return why;
    for (int i = 0; i < 2 * o->npairs; i++) {
        if (o->pairs[i] >= nranks) {
            snprintf(why, why_nbytes,
                     "--custom-src-target-pairs: rank %d, but the ranks are 0 to %d",
                     o->pairs[i], nranks - 1);
            return why;
        }
        for (int k = i % 2; k < i; k += 2) {
            if (o->pairs[k] == o->pairs[i]) {
                snprintf(why, why_nbytes,
                         "--custom-src-target-pairs: rank %d is the %s of two pairs",
                         o->pairs[i], i % 2 ? "target" : "source");
                return why;
            }
        }
    }
    return NULL;
}

void options_fini(struct options *o)
{
    free(o->argv);
    free(o->pairs);
    vsizes_fini(&o->vsizes);
    o->argv = NULL;
    o->pairs = NULL;
}
