#include "perf/sweep.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "perf/fail.h"
#include "perf/host.h"
#include "perf/measure.h"
#include "perf/names.h"
#include "perf/report.h"

/* What the speaking thread keeps; the others have none. */
struct speaker {
    struct report reports[3];
    int nreports;
    struct report_run run;
    bool progress; /* stderr is a terminal */
};

/* Sums every thread computes alike. */
struct tally {
    int nbad, nhalves;
    double bus_gbps;
};

struct sweep {
    struct worker w;
    struct speaker *speaker; /* NULL on threads that do not print */
    size_t *counts[2];       /* [nranks * nranks]: of this row and of the last one */
    struct tally tally;
    bool unserved[2]; /* halves that the schedule does not serve have been told */
};

/* ---- Speaking -----------------------------------------------------------------------
 */

static void add_report(struct speaker *s, const struct report_format *format,
                       const char *path)
{
    struct report *r = &s->reports[s->nreports++];
    *r = (struct report){.format = format, .file = path ? fopen(path, "w") : stdout};
    if (!r->file)
        fail_with("cannot write %s: %s", path, strerror(errno));
}

static void speaker_open(struct speaker *s, const struct session *session)
{
    const struct options *o = session->o;
    static const struct report_format *const formats[] = {
        [OPTIONS_TEXT] = &report_text,
        [OPTIONS_JSON] = &report_json,
        [OPTIONS_CSV] = &report_csv,
    };
    *s = (struct speaker){.progress = isatty(STDERR_FILENO)};
    add_report(s, formats[o->format], NULL);
    if (o->json_path)
        add_report(s, &report_json, o->json_path);
    if (o->csv_path)
        add_report(s, &report_csv, o->csv_path);
    s->run = (struct report_run){
        .o = o,
        .nprocs = session->l->link.nprocs,
        .nranks = session->nranks,
        .ranks = session->all_ranks,
        .max_nbytes = session->max_nbytes,
        .started = time(NULL),
    };
    fail_unless(trncclGetVersion(&s->run.library_version), "trncclGetVersion", 0, NULL);
    for (int i = 0; i < s->nreports; i++)
        s->reports[i].format->begin(&s->reports[i], &s->run);
}

static void progress(const struct speaker *s, const struct report_row *row,
                     const char *doing)
{
    char size[32];
    if (!s || !s->progress)
        return;
    fprintf(stderr, "\r\033[K%s %s %s %s %s", s->run.o->op->name,
            names_size_format(row->nbytes, size, sizeof size), row->type, row->redop,
            doing);
}

static void progress_clear(const struct speaker *s)
{
    if (s && s->progress)
        fputs("\r\033[K", stderr);
}

static void speak_row(struct speaker *s, const struct report_row *row)
{
    progress_clear(s);
    for (int i = 0; i < s->nreports; i++)
        s->reports[i].format->row(&s->reports[i], &s->run, row);
}

static void speaker_close(struct speaker *s, const struct report_end *end)
{
    progress_clear(s);
    for (int i = 0; i < s->nreports; i++) {
        struct report *r = &s->reports[i];
        r->format->end(r, &s->run, end);
        if (r->file != stdout && fclose(r->file) != 0)
            fail_with("writing the report failed: %s", strerror(errno));
    }
}

/* ---- Rows ---------------------------------------------------------------------------
 */

/* The largest of what any rank sends or receives: nccl-tests' "size". */
static size_t row_nbytes(struct sweep *s, const struct measure_case *m)
{
    const struct session *session = s->w.session;
    size_t most = 0;
    for (int rank = 0; rank < session->nranks; rank++) {
        struct op_layout l;
        ops_layout(session->o->op, &m->c, rank, false, s->w.segments, &l);
        most = l.send_extent > most ? l.send_extent : most;
        most = l.recv_extent > most ? l.recv_extent : most;
    }
    return most * names_type_nbytes(m->type);
}

static const char *algorithm_used(const struct sweep *s)
{
    const char *name = "";
    const struct session_rank *r = &s->w.ranks[0];
    fail_unless(trncclCommGetAlgorithm(r->comm, &name), "trncclCommGetAlgorithm", r->rank,
                r->comm);
    return name;
}

/* The library leaves blocks of different sizes to the default if what is forced cannot
 * serve them; then there is nothing to measure. */
static void check_algorithm(const struct sweep *s)
{
    const struct options *o = s->w.session->o;
    if (!s->speaker || !o->algo || strchr(o->algo, ',') || !(o->op->flags & OP_VARIES))
        return;
    const char *used = algorithm_used(s), *forced = strchr(o->algo_setting, '=') + 1;
    if (strcmp(used, forced) != 0)
        fail_usage("--algo: %s cannot serve blocks of different sizes; %s was used",
                   forced, used);
}

/* Says once why a column stays empty. */
static void tell_unserved(struct sweep *s, bool in_place, const char *why)
{
    if (!s->speaker || s->unserved[in_place])
        return;
    s->unserved[in_place] = true;
    progress_clear(s->speaker);
    fprintf(stderr, PERF_NAME ": %s: not measured: %s\n",
            in_place ? "in place" : "out of place", why);
}

static void run_row(struct sweep *s, struct measure_case *m)
{
    const struct options *o = s->w.session->o;
    char wrong[256];
    struct report_row row = {
        .nbytes = row_nbytes(s, m),
        .count = m->c.count,
        .type = o->op->flags & OP_NO_DATA ? "none" : names_type(m->type),
        .redop = m->redop == DATA_COPY ? "none" : names_op(m->redop),
        .root = o->op->flags & OP_ROOTED ? m->c.root : -1,
    };
    /* Times of the first half must survive the second's. */
    double *kept[2] = {NULL, NULL};
    for (int place = 0; place < 2; place++) {
        struct report_half *half = &row.half[place];
        m->in_place = place == REPORT_IN_PLACE;
        if (m->in_place && !(o->op->flags & OP_IN_PLACE))
            continue;
        progress(s->speaker, &row, m->in_place ? "in place" : "out of place");
        worker_measure(&s->w, m, half, wrong);
        if (!half->present) {
            tell_unserved(s, m->in_place, wrong);
            continue;
        }
        s->tally.nbad += half->nwrong > 0;
        s->tally.nhalves++;
        s->tally.bus_gbps += half->bus_gbps;
        if (s->speaker && wrong[0]) {
            progress_clear(s->speaker);
            fprintf(stderr, PERF_NAME ": %s %s: %s\n", o->op->name,
                    m->in_place ? "in place" : "out of place", wrong);
        }
        if (s->speaker && half->ntimes > 0) {
            size_t n = half->ntimes, nprocs = (size_t)s->speaker->run.nprocs;
            kept[place] = fail_malloc(n * (1 + nprocs) * sizeof **kept);
            memcpy(kept[place], half->times_us, n * sizeof **kept);
            memcpy(kept[place] + n, half->process_times_us, n * nprocs * sizeof **kept);
            half->times_us = kept[place];
            half->process_times_us = kept[place] + n;
        }
    }
    check_algorithm(s);
    row.algorithm = o->show_algorithm ? algorithm_used(s) : "";
    if (s->speaker)
        speak_row(s->speaker, &row);
    free(kept[0]);
    free(kept[1]);
}

static bool same_counts(const struct op *op, const struct op_case *a,
                        const struct op_case *b)
{
    if (!(op->flags & OP_VARIES))
        return a->count == b->count;
    size_t n = (size_t)a->nranks, ncounts = op->flags & OP_IN_PLACE ? n : n * n;
    return memcmp(a->counts, b->counts, ncounts * sizeof *a->counts) == 0;
}

/* A size that comes down to the same counts as the one before is no row of its own: below
 * one element per rank all of them are 0. */
static void run_sizes(struct sweep *s, int type, int redop, int root)
{
    const struct session *session = s->w.session;
    const struct op *op = session->o->op;
    struct measure_case m = {.type = type, .redop = redop, .c.root = root};
    struct op_case before = {0};
    size_t nbytes = op->flags & OP_NO_DATA ? 0 : session->o->min_nbytes;
    for (int turn = 0;;) {
        session_case(session, nbytes, type, s->counts[turn], &m.c);
        if (!before.nranks || !same_counts(op, &m.c, &before)) {
            run_row(s, &m);
            before = m.c;
            turn = !turn; /* the other array, for the next */
        }
        if (op->flags & OP_NO_DATA)
            return;
        nbytes = session_next_size(session, nbytes);
        if (!nbytes)
            return;
    }
}

static void run_roots(struct sweep *s, int type, int redop)
{
    const struct options *o = s->w.session->o;
    bool rooted = o->op->flags & OP_ROOTED;
    int first = rooted && o->root >= 0 ? o->root : 0;
    int last = rooted && o->root == OPTIONS_ALL ? s->w.session->nranks - 1 : first;
    worker_begin(&s->w, type, redop);
    for (int root = first; root <= last; root++)
        run_sizes(s, type, redop, root);
    worker_end(&s->w, redop);
}

static void run_cycle(struct sweep *s)
{
    const struct options *o = s->w.session->o;
    if (o->op->flags & OP_NO_DATA) {
        run_roots(s, trncclUint8, DATA_COPY);
        return;
    }
    for (int type = 0; type < trncclNumTypes; type++) {
        if (o->type >= 0 && o->type != type)
            continue;
        if (!(o->op->flags & OP_REDUCES)) {
            run_roots(s, type, DATA_COPY);
            continue;
        }
        for (int redop = 0; redop < NAMES_NUM_OPS; redop++) {
            if ((o->redop < 0 || o->redop == redop) && names_op_takes(redop, type))
                run_roots(s, type, redop);
        }
    }
}

/* ---- Threads ------------------------------------------------------------------------
 */

static void *sweep_thread(void *arg)
{
    struct sweep *s = arg;
    struct session *session = s->w.session;
    const struct options *o = session->o;
    size_t n = (size_t)session->nranks;
    if (o->parallel_init)
        session_open_ranks(session, s->w.thread * o->nper_thread, o->nper_thread);
    for (int i = 0; i < 2; i++)
        s->counts[i] = fail_malloc(n * n * sizeof **s->counts);
    for (int cycle = 0; o->cycles == 0 || cycle < o->cycles; cycle++)
        run_cycle(s);
    free(s->counts[0]);
    free(s->counts[1]);
    return NULL;
}

/* Thread 0 of every process is the caller. */
static void run_threads(struct sweep *sweeps, int n)
{
    pthread_t *threads = fail_malloc((size_t)n * sizeof *threads);
    for (int i = 1; i < n; i++) {
        if (pthread_create(&threads[i], NULL, sweep_thread, &sweeps[i]) != 0)
            fail_with("cannot create thread %d of %d", i, n);
    }
    sweep_thread(&sweeps[0]);
    for (int i = 1; i < n; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

static int conclude(const struct session *session, const struct tally *t,
                    struct speaker *speaker)
{
    const struct options *o = session->o;
    size_t regions = session->send_region + session->recv_region;
    struct report_end end = {
        .nbad = t->nbad,
        .bus_gbps = t->nhalves ? t->bus_gbps / t->nhalves : 0,
        .comm_nbytes = session->comm_nbytes,
        .buffer_nbytes = regions * (size_t)session->nlocal,
        .peak_nbytes = host_resident_peak_nbytes(),
        .ended = time(NULL),
    };
    end.bandwidth_ok = end.bus_gbps >= 0.9 * o->min_bw_gbps;
    if (speaker)
        speaker_close(speaker, &end);
    return end.nbad || (o->min_bw_gbps > 0 && !end.bandwidth_ok) ? PERF_EXIT_WRONG
                                                                 : PERF_EXIT_OK;
}

/* Without pairs of the user's, every rank sends to the next. */
static void default_pairs(struct options *o, int nranks)
{
    if (o->pairs || !(o->op->flags & OP_PAIRS))
        return;
    o->pairs = fail_malloc(2 * (size_t)nranks * sizeof *o->pairs);
    o->npairs = nranks;
    for (int r = 0; r < nranks; r++) {
        o->pairs[2 * r] = r;
        o->pairs[2 * r + 1] = (r + 1) % nranks;
    }
}

/* All processes find the same; one says it. */
static int refuse(const struct launch *l, const char *why)
{
    if (l->link.proc == 0)
        fprintf(stderr, PERF_NAME ": %s\n", why);
    return PERF_EXIT_USAGE;
}

static int run_session(struct session *session, const struct launch *l)
{
    const struct options *o = session->o;
    if (!o->parallel_init)
        session_open_ranks(session, 0, session->nlocal);
    struct speaker speaker;
    bool speaks = l->link.proc == 0;
    if (speaks)
        speaker_open(&speaker, session);
    struct sweep *sweeps = fail_calloc((size_t)o->nthreads, sizeof *sweeps);
    for (int i = 0; i < o->nthreads; i++) {
        worker_init(&sweeps[i].w, session, i);
        sweeps[i].speaker = speaks && i == 0 ? &speaker : NULL;
    }
    run_threads(sweeps, o->nthreads);
    session_close_ranks(session, 0, session->nlocal);
    int status = conclude(session, &sweeps[0].tally, speaks ? &speaker : NULL);
    for (int i = 0; i < o->nthreads; i++)
        worker_fini(&sweeps[i].w);
    free(sweeps);
    return status;
}

int sweep_run(const struct options *given, const struct launch *l)
{
    struct options o = *given;
    struct session session;
    char why[256];
    int nranks = l->link.nprocs * o.nthreads * o.nper_thread;
    if (options_misfit(&o, nranks, why, sizeof why))
        return refuse(l, why);
    bool own_pairs = !o.pairs;
    default_pairs(&o, nranks);
    session_init(&session, &o, l);
    int status = session_misfit(&session, why, sizeof why) ? refuse(l, why)
                                                           : run_session(&session, l);
    session_fini(&session);
    if (own_pairs)
        free(o.pairs);
    return status;
}
