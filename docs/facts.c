/* facts: prints what the documents repeat from the code, so that a test can compare.
 *
 *     facts settings                     the entries of trnccl-environment(7)
 *     facts algorithms                   the README's table of collectives and algorithms
 *     facts draw COLLECTIVE ALGO NRANKS  who sends what to whom, as a table; on the first
 *                                        machine of tests/support that the algorithm
 *                                        accepts, if it follows one
 *     facts dot COLLECTIVE ALGO NRANKS   the same for Graphviz
 *
 * tests/scripts/docs-generated compares, and with --update rewrites. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/text.h"
#include "tests/support/graphs.h"
#include "util/settings.h"

/* ---- settings ---- */

static void print_bounds(const struct settings_entry *e)
{
    printf(" %lld", (long long)e->min);
    if (e->max == INT64_MAX)
        printf(" or more");
    else
        printf(" to %lld", (long long)e->max);
}

static void print_kind(const struct settings_entry *e)
{
    switch (e->kind) {
    case SETTINGS_INT:
        printf("A whole number,");
        print_bounds(e);
        break;
    case SETTINGS_SIZE:
        printf("Bytes, also with a suffix K, M, G or T (powers of 1024),");
        print_bounds(e);
        break;
    case SETTINGS_BOOL:
        printf("0, no, false or off; 1, yes, true or on");
        break;
    case SETTINGS_STRING:
        printf("Text");
        break;
    }
    printf(".\n");
}

static void print_settings(void)
{
    for (int id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_entry *e = &settings_table[id];
        printf(".It Ev %s\n%s\n.br\n", e->name, e->description);
        print_kind(e);
        if (e->preset)
            printf("Default: %s.\n", e->preset);
        else
            printf("Unset by default.\n");
    }
}

/* ---- algorithms ---- */

static void print_algorithms(void)
{
    printf("| collective | algorithm | in a line | v-form |\n|---|---|---|---|\n");
    for (int i = 0; algo_list[i]; i++) {
        const struct algo *a = algo_list[i];
        printf("| %s | `%s` | %s | %s |\n", sched_coll_name(a->coll), a->name, a->summary,
               a->flags & ALGO_V ? "yes" : "");
    }
}

/* ---- drawings ---- */

typedef trncclResult_t (*draw_fn)(FILE *file, struct sched *const *ranks, int32_t nranks);

static trncclResult_t draw(const struct algo *a, int nranks, draw_fn to)
{
    struct sched_args args = {.coll = a->coll, .nranks = nranks};
    if (!graphs_suit(a, &args))
        return error_set(trncclInvalidArgument, "%s: no machine of %d ranks suits it",
                         a->name, nranks);
    struct sched **ranks = calloc((size_t)nranks, sizeof *ranks);
    if (!ranks)
        return error_set(trncclSystemError, "out of memory for %d ranks", nranks);
    trncclResult_t result = algo_build_all(a, &args, ranks);
    if (result == trncclSuccess)
        result = to(stdout, ranks, nranks);
    for (int r = 0; r < nranks; r++)
        sched_destroy(ranks[r]);
    free(ranks);
    return result;
}

static int draw_named(char **argv, draw_fn to)
{
    enum sched_coll coll;
    const struct algo *a =
        sched_coll_parse(argv[0], &coll) ? algo_find(coll, argv[1]) : NULL;
    int nranks = atoi(argv[2]);
    if (!a || nranks < 1 || nranks > 64) {
        fprintf(stderr, "facts: no %s %s for %s ranks (1 to 64)\n", argv[0], argv[1],
                argv[2]);
        return 2;
    }
    if (draw(a, nranks, to) == trncclSuccess)
        return 0;
    fprintf(stderr, "facts: %s\n", error_text());
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "settings") == 0)
        print_settings();
    else if (argc == 2 && strcmp(argv[1], "algorithms") == 0)
        print_algorithms();
    else if (argc == 5 && strcmp(argv[1], "draw") == 0)
        return draw_named(argv + 2, text_draw);
    else if (argc == 5 && strcmp(argv[1], "dot") == 0)
        return draw_named(argv + 2, text_dot);
    else {
        fprintf(stderr, "usage: facts settings | algorithms | draw COLLECTIVE ALGO "
                        "NRANKS | dot COLLECTIVE ALGO NRANKS\n");
        return 2;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
