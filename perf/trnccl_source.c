#include "perf/trnccl_source.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "format/msccl_lower.h"
#include "perf/trnccl_command.h"
#include "sched/text.h"

enum {
    KEY_ALGO = 0x100,
    KEY_ROOT,
    KEY_INPLACE,
    KEY_XML,
    KEY_TEXT,
    KEY_AS_XML,
    MAX_TEXT_NBYTES = 1 << 28,
};

struct parse {
    struct source *s;
    unsigned accepts;
    const char *name; /* of the command */
};

/* ---- Options ------------------------------------------------------------------------
 */

/* Names, comma separated: of all collectives, or of the algorithms of one. */
static const char *list_names(bool algos, enum sched_coll coll)
{
    static char text[1024];
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; !algos && i < SCHED_NCOLLS && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "",
                              sched_coll_name((enum sched_coll)i));
    for (int i = 0; algos && algo_list[i] && n < sizeof text; i++)
        if (algo_list[i]->coll == coll)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "",
                                  algo_list[i]->name);
    return text;
}

static int32_t number(const struct argp_state *state, const char *what, const char *text,
                      int32_t lowest, int32_t highest)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < lowest || value > highest)
        argp_error(state, "%s: expected a whole number from %d to %d, found \"%s\"", what,
                   lowest, highest, text);
    return (int32_t)value;
}

static void take_argument(struct argp_state *state, struct parse *p, char *arg)
{
    if (p->accepts & SOURCE_FILE) {
        if (p->s->xml)
            argp_error(state, "one file at a time: \"%s\" follows \"%s\"", arg,
                       p->s->xml);
        p->s->xml = arg;
        return;
    }
    if (p->s->coll_given)
        argp_error(state, "one collective at a time: \"%s\" follows \"%s\"", arg,
                   sched_coll_name(p->s->coll));
    if (!sched_coll_parse(arg, &p->s->coll))
        argp_error(state, "there is no collective \"%s\"; there are %s", arg,
                   list_names(false, 0));
    p->s->coll_given = true;
}

/* Rules between options. */
static void check_together(struct argp_state *state, const struct parse *p)
{
    const struct source *s = p->s;
    if (s->xml && s->text)
        argp_error(state, "--xml and --text: one file at a time");
    if ((s->xml || s->text) && (s->coll_given || s->algo || s->nranks))
        argp_error(state, "a file says itself which collective and ranks it is for");
    if (s->xml || s->text)
        return;
    if (p->accepts & SOURCE_FILE)
        argp_error(state, "which file?");
    if (!s->coll_given)
        argp_error(state, "which collective? There are %s", list_names(false, 0));
    if (!s->algo)
        argp_error(state, "--algo is needed; algorithms of %s: %s",
                   sched_coll_name(s->coll), list_names(true, s->coll));
    if (!algo_find(s->coll, s->algo))
        argp_error(state, "%s has no algorithm \"%s\"; there are %s",
                   sched_coll_name(s->coll), s->algo, list_names(true, s->coll));
    if (!s->nranks)
        argp_error(state, "--ranks is needed");
    if (s->root >= (sched_coll_rooted(s->coll) ? s->nranks : 1))
        argp_error(state, "--root %d: %s of %d ranks has no such root", s->root,
                   sched_coll_name(s->coll), s->nranks);
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
    struct parse *p = state->input;
    switch (key) {
    case KEY_ALGO:
        p->s->algo = arg;
        return 0;
    case 'n':
        p->s->nranks = number(state, "--ranks", arg, 1, SCHED_MAX_RANKS);
        return 0;
    case KEY_ROOT:
        p->s->root = number(state, "--root", arg, 0, SCHED_MAX_RANKS - 1);
        return 0;
    case KEY_INPLACE:
        p->s->inplace = true;
        return 0;
    case KEY_XML:
        p->s->xml = arg;
        return 0;
    case KEY_TEXT:
        p->s->text = arg;
        return 0;
    case KEY_AS_XML:
        p->s->as_xml = true;
        return 0;
    case 'o':
        p->s->output = arg;
        return 0;
    case ARGP_KEY_INIT:
        state->name = (char *)(uintptr_t)p->name;
        return 0;
    case ARGP_KEY_ARG:
        take_argument(state, p, arg);
        return 0;
    case ARGP_KEY_END:
        check_together(state, p);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void source_parse(int argc, char **argv, unsigned accepts, const char *doc,
                  struct source *out)
{
    static const struct {
        unsigned accepts;
        struct argp_option option;
    } all[] = {
        {SOURCE_ALGO, {"algo", KEY_ALGO, "NAME", 0, "the algorithm", 0}},
        {SOURCE_ALGO, {"ranks", 'n', "N", 0, "how many ranks", 0}},
        {SOURCE_ALGO, {"root", KEY_ROOT, "R", 0, "the root (default 0)", 0}},
        {SOURCE_ALGO | SOURCE_FILE,
         {"in-place", KEY_INPLACE, 0, 0, "for calls in place", 0}},
        {SOURCE_FILES, {"xml", KEY_XML, "FILE", 0, "a file of MSCCL XML instead", 0}},
        {SOURCE_FILES, {"text", KEY_TEXT, "FILE", 0, "a file of our text form", 0}},
        {SOURCE_AS_XML, {"xml", KEY_AS_XML, 0, 0, "as MSCCL XML (the default)", 0}},
        {SOURCE_OUTPUT, {"output", 'o', "FILE", 0, "write to FILE", 0}},
    };
    struct argp_option options[sizeof all / sizeof all[0] + 1] = {0};
    int n = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (accepts & all[i].accepts)
            options[n++] = all[i].option;
    struct argp argp = {
        options, parse_one, accepts & SOURCE_FILE ? "FILE.xml" : "[COLLECTIVE]", doc, 0,
        0,       0};
    *out = (struct source){0};
    struct parse p = {out, accepts, argv[0]};
    argp_err_exit_status = TOOL_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &p);
}

/* ---- Schedules ----------------------------------------------------------------------
 */

static trncclResult_t build_algo(const struct source *s, struct source_schedules *out)
{
    struct sched_args args = {
        .coll = s->coll, .nranks = s->nranks, .root = s->root, .inplace = s->inplace};
    out->nranks = s->nranks;
    out->ranks = calloc((size_t)s->nranks, sizeof(struct sched *));
    out->pairs = malloc(2 * (size_t)s->nranks * sizeof *out->pairs);
    if (!out->ranks || !out->pairs)
        return error_set(trncclSystemError, "no memory for %d ranks", s->nranks);
    if (s->coll == SCHED_PERMUTE && s->nranks > 1) {
        for (int32_t r = 0; r < s->nranks; r++) {
            out->pairs[2 * r] = r;
            out->pairs[2 * r + 1] = (r + 1) % s->nranks;
        }
        out->npairs = s->nranks;
    }
    args.pairs = out->pairs;
    args.npairs = out->npairs;
    return algo_build_all(algo_find(s->coll, s->algo), &args, out->ranks);
}

static trncclResult_t build_xml(const struct source *s, struct source_schedules *out)
{
    TRY(imported_open(s->xml, &out->imported));
    out->nranks = out->imported->file->nranks;
    out->ranks = calloc((size_t)out->nranks, sizeof(struct sched *));
    if (!out->ranks)
        return error_set(trncclSystemError, "no memory for %d ranks", out->nranks);
    bool inplace = s->inplace || !msccl_serves(out->imported->file, false);
    trncclResult_t proved =
        imported_prove(out->imported, inplace, SOURCE_MAX_CREDITS, NULL);
    if (proved == trncclInvalidUsage)
        snprintf(out->refused, sizeof out->refused, "%s", error_text());
    else
        TRY(proved);
    return imported_build(out->imported, inplace, out->ranks);
}

static trncclResult_t build_text(const struct source *s, struct source_schedules *out)
{
    FILE *file = fopen(s->text, "re");
    if (!file)
        return error_set_errno(trncclInvalidArgument, errno, "%s: cannot open it",
                               s->text);
    char *text = NULL;
    size_t capacity = 0;
    /* A schedule has no NUL, so this is the whole file. */
    ssize_t nbytes = getdelim(&text, &capacity, '\0', file);
    fclose(file);
    trncclResult_t result = text_parse(text ? text : "", nbytes > 0 ? (size_t)nbytes : 0,
                                       &out->ranks, &out->nranks);
    free(text);
    return result;
}

trncclResult_t source_build(const struct source *s, struct source_schedules *out)
{
    *out = (struct source_schedules){0};
    trncclResult_t result = s->xml    ? build_xml(s, out)
                            : s->text ? build_text(s, out)
                                      : build_algo(s, out);
    if (result != trncclSuccess)
        source_free(out);
    return result;
}

void source_free(struct source_schedules *s)
{
    for (int32_t r = 0; s->ranks && r < s->nranks; r++)
        sched_destroy(s->ranks[r]);
    free(s->ranks);
    free(s->pairs);
    imported_close(s->imported); /* after the schedules, which have its name */
    *s = (struct source_schedules){0};
}
