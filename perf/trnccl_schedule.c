/* trnccl schedule: show, verify, draw, import, export. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "format/msccl_lower.h"
#include "format/msccl_xml_out.h"
#include "perf/trnccl_command.h"
#include "perf/trnccl_picture.h"
#include "perf/trnccl_source.h"
#include "sched/text.h"

/* Says why on stderr; what a file or an algorithm is to blame for is a refusal. */
static int explain(trncclResult_t result)
{
    fprintf(stderr, TOOL_NAME ": %s\n", error_text());
    return result == trncclSystemError ? TOOL_EXIT_FAILED : TOOL_EXIT_REFUSED;
}

/* The same for schedules that were made, but whose proof failed. */
static int explain_refused(const struct source_schedules *built)
{
    if (!built->refused[0])
        return TOOL_EXIT_OK;
    fprintf(stderr, TOOL_NAME ": %s\n", built->refused);
    return TOOL_EXIT_REFUSED;
}

/* ---- verify -------------------------------------------------------------------------
 */

static void print_report(const struct sched *s, const struct verify_report *r,
                         const char *how)
{
    printf("%s %s, %d ranks, root %d, %s: correct: %lld messages, %lld steps, depth %d, "
           "%d message%s of credit, %s%s%s\n",
           sched_coll_name(s->coll), s->algo, s->nranks, s->root,
           s->inplace ? "in place" : "out of place", (long long)r->nmessages,
           (long long)r->nsteps, r->depth, r->credits, r->credits == 1 ? "" : "s",
           r->same_bits ? "same bits on every rank" : "bits may differ between ranks",
           r->any_blocks ? ", blocks of any size" : "", how);
}

static int verify_built(const struct source *s)
{
    struct source_schedules built;
    struct verify_report report;
    trncclResult_t result = source_build(s, &built);
    if (result != trncclSuccess)
        return explain(result);
    result =
        verify_schedules(built.ranks, built.nranks, built.pairs, built.npairs, &report);
    if (result == trncclSuccess)
        print_report(built.ranks[built.ranks[0]->root], &report, "");
    int status = result == trncclSuccess ? TOOL_EXIT_OK : explain(result);
    source_free(&built);
    return status;
}

static trncclResult_t verify_place(struct imported *f, bool inplace)
{
    struct verify_report report;
    TRY(imported_prove(f, inplace, SOURCE_MAX_CREDITS, &report));
    struct sched head = {.coll = f->file->coll,
                         .algo = f->file->name,
                         .nranks = f->file->nranks,
                         .root = f->file->root,
                         .inplace = inplace};
    print_report(&head, &report, f->mode[inplace].staged ? ", messages copied out" : "");
    return trncclSuccess;
}

/* Every place that the file serves, or the one that is asked for. */
static int verify_xml(const struct source *s)
{
    struct imported *f;
    trncclResult_t result = imported_open(s->xml, &f);
    if (result != trncclSuccess)
        return explain(result);
    for (int place = s->inplace; place < 2 && result == trncclSuccess; place++)
        if (s->inplace || msccl_serves(f->file, place))
            result = verify_place(f, place);
    imported_close(f);
    return result == trncclSuccess ? TOOL_EXIT_OK : explain(result);
}

static int run_verify(int argc, char **argv)
{
    struct source s;
    source_parse(argc, argv, SOURCE_ALGO | SOURCE_FILES,
                 "Proves that an algorithm's schedules, or a file's, are a correct "
                 "collective.\vExit status: 0 they are, 1 they are not (the reason is on "
                 "standard error), 2 wrong usage, 3 something else failed.",
                 &s);
    return s.xml ? verify_xml(&s) : verify_built(&s);
}

/* ---- show, import, export, draw -----------------------------------------------------
 */

/* Opens -o's file, or stdout. */
static FILE *open_output(const struct source *s)
{
    if (!s->output)
        return stdout;
    FILE *file = fopen(s->output, "we");
    if (!file)
        fprintf(stderr, TOOL_NAME ": cannot write %s: %s\n", s->output, strerror(errno));
    return file;
}

typedef trncclResult_t (*write_fn)(FILE *file, struct sched *const *ranks,
                                   int32_t nranks);

static int write_schedules(const struct source *s, write_fn write)
{
    struct source_schedules built;
    trncclResult_t result = source_build(s, &built);
    if (result != trncclSuccess)
        return explain(result);
    int status = TOOL_EXIT_FAILED;
    FILE *file = open_output(s);
    if (file) {
        result = write(file, built.ranks, built.nranks);
        status = result == trncclSuccess ? explain_refused(&built) : explain(result);
        if (file != stdout && fclose(file) != 0) {
            fprintf(stderr, TOOL_NAME ": writing %s failed: %s\n", s->output,
                    strerror(errno));
            status = TOOL_EXIT_FAILED;
        }
    }
    source_free(&built);
    return status;
}

static trncclResult_t write_shown(FILE *file, struct sched *const *ranks, int32_t nranks)
{
    TRY(text_print(file, ranks, nranks));
    fputc('\n', file);
    return text_draw(file, ranks, nranks);
}

static int run_show(int argc, char **argv)
{
    struct source s;
    source_parse(argc, argv, SOURCE_ALGO | SOURCE_FILES | SOURCE_OUTPUT,
                 "Prints schedules as text, and who sends what to whom as a table.", &s);
    return write_schedules(&s, write_shown);
}

static int run_import(int argc, char **argv)
{
    struct source s;
    source_parse(
        argc, argv, SOURCE_FILE | SOURCE_OUTPUT,
        "Prints the schedules of a file of MSCCL XML as text. Those of a wrong file are "
        "printed too, with the reason and exit status 1.",
        &s);
    return write_schedules(&s, text_print);
}

static int run_export(int argc, char **argv)
{
    struct source s;
    source_parse(argc, argv, SOURCE_ALGO | SOURCE_AS_XML | SOURCE_OUTPUT,
                 "Writes an algorithm's schedules as MSCCL XML.", &s);
    return write_schedules(&s, msccl_xml_write);
}

static int run_draw(int argc, char **argv)
{
    struct source s;
    source_parse(
        argc, argv, SOURCE_ALGO | SOURCE_FILES | SOURCE_OUTPUT,
        "Draws schedules as a graph: a node per rank and round, an edge per "
        "message.\vWithout -o in Graphviz's language. FILE may end in .dot, or in "
        ".svg, .png or .pdf if Graphviz is installed.",
        &s);
    const char *format = picture_format(s.output);
    if (!format)
        return write_schedules(&s, text_dot);
    struct source_schedules built;
    trncclResult_t result = source_build(&s, &built);
    if (result != trncclSuccess)
        return explain(result);
    result = picture_draw(s.output, format, built.ranks, built.nranks);
    int status = result == trncclSuccess ? explain_refused(&built) : explain(result);
    source_free(&built);
    return status;
}

const struct tool_command tool_schedule_commands[] = {
    {"show", "print and draw an algorithm's, or a file's, schedules", run_show},
    {"verify", "prove them; exit 1 with the reason if they are wrong", run_verify},
    {"draw", "draw them through Graphviz", run_draw},
    {"import", "print the schedules of a file of MSCCL XML as text", run_import},
    {"export", "write an algorithm's schedules as MSCCL XML", run_export},
    {0},
};
