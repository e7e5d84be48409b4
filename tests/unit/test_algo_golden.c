/* Every algorithm's schedules for 4 ranks (on the first machine of tests/support that it
 * accepts, if it follows one), compared with the golden files, which are
 * named <collective>-<algorithm>-4.txt: the drawing, as comments, then the text form. To
 * accept a change on purpose, run this with TRNCCL_UPDATE_GOLDEN=1 and read the
 * difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sched/text.h"
#include "tests/support/graphs.h"

enum { NRANKS = 4 };

static const char *golden_dir(void)
{
    static char path[4096];
    const char *srcdir = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/golden", srcdir ? srcdir : ".");
    return path;
}

static const char *golden_path(const struct algo *a)
{
    static char path[4352];
    snprintf(path, sizeof path, "%s/%s-%s-%d.txt", golden_dir(), sched_coll_name(a->coll),
             a->name, NRANKS);
    return path;
}

/* A permute that has a cycle, a rank that only sends, and one that only receives. */
static const int32_t golden_pairs[] = {0, 1, 1, 0, 2, 3};

/* False: it cannot serve so many. */
static bool build_ranks(const struct algo *a, int32_t n, struct sched **ranks)
{
    struct sched_args args = {.coll = a->coll, .nranks = n};
    if (!graphs_suit(a, &args))
        return false;
    if (a->coll == SCHED_PERMUTE && n == NRANKS) {
        args.pairs = golden_pairs;
        args.npairs = sizeof golden_pairs / sizeof golden_pairs[0] / 2;
    }
    if (algo_build_all(a, &args, ranks) != trncclSuccess)
        fail_msg("%s", error_text());
    return true;
}

static void destroy_ranks(struct sched *const *ranks, int32_t n)
{
    for (int32_t r = 0; r < n; r++)
        sched_destroy(ranks[r]);
}

/* The text form with the drawing before it as comments; owned by the caller. */
static char *render(struct sched *const *ranks, int32_t n, bool draw)
{
    char *drawing = NULL, *text = NULL;
    size_t nbytes;
    FILE *file = open_memstream(&drawing, &nbytes);
    assert_non_null(file);
    if (draw)
        assert_int_equal(text_draw(file, ranks, n), trncclSuccess);
    fclose(file);
    file = open_memstream(&text, &nbytes);
    assert_non_null(file);
    char *rest = drawing;
    for (char *line; (line = strsep(&rest, "\n")) && rest;)
        fprintf(file, "# %s\n", line);
    assert_int_equal(text_print(file, ranks, n), trncclSuccess);
    fclose(file);
    free(drawing);
    return text;
}

/* The whole file, owned by the caller; NULL if there is none. */
static char *slurp(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n = getdelim(&text, &capacity, '\0', file);
    fclose(file);
    return n >= 0 ? text : (free(text), NULL);
}

static void write_golden(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        fail_msg("cannot write %s", path);
}

/* 1-based number of the first line that differs. */
static int first_difference(const char *a, const char *b)
{
    int line = 1;
    for (; *a && *a == *b; a++, b++)
        line += *a == '\n';
    return line;
}

static void schedules_of_every_algorithm_are_the_golden_ones(void **state)
{
    (void)state;
    bool update = getenv("TRNCCL_UPDATE_GOLDEN") != NULL;
    int nbad = 0;
    for (const struct algo *const *a = algo_list; *a; a++) {
        struct sched *ranks[NRANKS];
        if (!build_ranks(*a, NRANKS, ranks))
            fail_msg("%s %s: no machine of %d ranks", sched_coll_name((*a)->coll),
                     (*a)->name, NRANKS);
        char *text = render(ranks, NRANKS, true);
        if (update)
            write_golden(golden_path(*a), text);
        char *golden = slurp(golden_path(*a));
        if (!golden) {
            print_error("%s: missing\n", golden_path(*a));
            nbad++;
        } else if (strcmp(golden, text) != 0) {
            print_error("%s: differs from line %d on; now:\n%s", golden_path(*a),
                        first_difference(golden, text), text);
            nbad++;
        }
        free(golden);
        free(text);
        destroy_ranks(ranks, NRANKS);
    }
    assert_int_equal(nbad, 0);
}

static void golden_files_all_belong_to_an_algorithm(void **state)
{
    (void)state;
    char suffix[16];
    snprintf(suffix, sizeof suffix, "-%d.txt", NRANKS);
    DIR *dir = opendir(golden_dir());
    if (!dir)
        fail_msg("%s: cannot be read", golden_dir());
    int nstray = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        size_t n = strlen(e->d_name), tail = strlen(suffix);
        if (n <= tail || strcmp(e->d_name + n - tail, suffix) != 0)
            continue;
        bool known = false;
        for (const struct algo *const *a = algo_list; *a; a++)
            known |= strcmp(strrchr(golden_path(*a), '/') + 1, e->d_name) == 0;
        if (!known)
            print_error("%s/%s belongs to no algorithm\n", golden_dir(), e->d_name);
        nstray += !known;
    }
    closedir(dir);
    assert_int_equal(nstray, 0);
}

/* Print and parse are inverse, also in what the text leaves unsaid. */
static void text_of_every_algorithm_parses_back(void **state)
{
    (void)state;
    for (const struct algo *const *a = algo_list; *a; a++) {
        for (int32_t n = 3; n <= 7; n++) {
            struct sched *ranks[7], **again;
            if (!build_ranks(*a, n, ranks))
                continue;
            char *text = render(ranks, n, false);
            int32_t nagain;
            if (text_parse(text, strlen(text), &again, &nagain) != trncclSuccess)
                fail_msg("%s", error_text());
            assert_int_equal(nagain, n);
            char *second = render(again, n, false);
            assert_string_equal(second, text);
            for (int32_t r = 0; r < n; r++) {
                assert_int_equal(again[r]->max_run, ranks[r]->max_run);
                assert_int_equal(again[r]->v_safe, ranks[r]->v_safe);
            }
            destroy_ranks(again, n);
            destroy_ranks(ranks, n);
            free(again);
            free(second);
            free(text);
        }
    }
}

static void find_knows_each_name_once_per_collective(void **state)
{
    (void)state;
    for (const struct algo *const *a = algo_list; *a; a++) {
        assert_ptr_equal(algo_find((*a)->coll, (*a)->name), *a);
        assert_true(strlen((*a)->summary) > 0);
    }
    assert_null(algo_find(SCHED_ALL_REDUCE, "rign"));
    assert_null(algo_find(SCHED_BARRIER, "ring"));
}

static void build_of_another_collective_is_refused_with_both_names(void **state)
{
    (void)state;
    struct sched_args args = {.coll = SCHED_ALL_GATHER, .nranks = 4};
    struct sched *out = NULL;
    const struct algo *a = algo_find(SCHED_ALL_REDUCE, "one_shot");
    assert_int_equal(algo_build(a, &args, &out), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "all_reduce"));
    assert_non_null(strstr(error_text(), "all_gather"));
    assert_null(out);
}

static void build_all_of_bad_arguments_leaves_nothing(void **state)
{
    (void)state;
    struct sched_args args = {.coll = SCHED_BROADCAST, .nranks = 4, .root = 4};
    struct sched *out[4] = {0};
    const struct algo *a = algo_find(SCHED_BROADCAST, "chain");
    assert_int_equal(algo_build_all(a, &args, out), trncclInvalidArgument);
    for (int i = 0; i < 4; i++)
        assert_null(out[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_of_every_algorithm_are_the_golden_ones),
        cmocka_unit_test(golden_files_all_belong_to_an_algorithm),
        cmocka_unit_test(text_of_every_algorithm_parses_back),
        cmocka_unit_test(find_knows_each_name_once_per_collective),
        cmocka_unit_test(build_of_another_collective_is_refused_with_both_names),
        cmocka_unit_test(build_all_of_bad_arguments_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
