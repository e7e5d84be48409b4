/* MSCCL's XML there and back: every algorithm that it can express is exported, imported
 * and proved; files by hand mean what the format says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "algo/algo.h"
#include "format/msccl_lower.h"
#include "format/msccl_xml_in.h"
#include "format/msccl_xml_out.h"
#include "plan/imported.h"
#include "verify/verify.h"

enum { MAX_RANKS = 9, MAX_CREDITS = 16 };

static void destroy(struct sched **ranks, int32_t nranks)
{
    for (int32_t r = 0; r < nranks; r++)
        sched_destroy(ranks[r]);
}

static char *xml_of(struct sched *const *ranks, int32_t nranks)
{
    char *text = NULL;
    size_t nbytes = 0;
    FILE *file = open_memstream(&text, &nbytes);
    assert_non_null(file);
    if (msccl_xml_write(file, ranks, nranks) != trncclSuccess)
        fail_msg("%s", error_text());
    fclose(file);
    return text;
}

static struct imported import_text(const char *text)
{
    struct imported f = {0};
    if (msccl_xml_parse(text, strlen(text), &f.file) != trncclSuccess)
        fail_msg("%s in\n%s", error_text(), text);
    return f;
}

/* ---- Round trip ---------------------------------------------------------------------
 */

/* What a proof promises is the same for both, so two proofs are a comparison of all that
 * the schedules compute; the messages are compared as well. */
static void there_and_back(const struct algo *algo, const struct sched_args *args)
{
    struct sched *ranks[MAX_RANKS];
    struct verify_report before, after;
    assert_int_equal(algo_build_all(algo, args, ranks), trncclSuccess);
    assert_int_equal(verify_schedules(ranks, args->nranks, NULL, 0, &before), 0);
    char *text = xml_of(ranks, args->nranks);
    struct imported f = import_text(text);
    assert_int_equal(f.file->coll, args->coll);
    assert_int_equal(f.file->nsub, ranks[0]->shape.nsub);
    if (imported_prove(&f, args->inplace, MAX_CREDITS, &after) != trncclSuccess)
        fail_msg("%s in\n%s", error_text(), text);
    if (before.nmessages > after.nmessages)
        fail_msg("%lld messages became %lld", (long long)before.nmessages,
                 (long long)after.nmessages);
    msccl_destroy(f.file);
    free(text);
    destroy(ranks, args->nranks);
}

static void export_of_every_algorithm_imports_and_proves(void **state)
{
    (void)state;
    int n = 0;
    for (int i = 0; algo_list[i]; i++) {
        enum sched_coll coll = algo_list[i]->coll;
        if (coll == SCHED_BARRIER || coll == SCHED_PERMUTE)
            continue;
        for (int32_t nranks = 1; nranks <= MAX_RANKS; nranks++)
            for (int inplace = 0; inplace < 2; inplace++) {
                struct sched_args args = {.coll = coll,
                                          .nranks = nranks,
                                          .inplace = inplace,
                                          .root =
                                              sched_coll_rooted(coll) ? nranks / 2 : 0};
                if (algo_list[i]->refuse && algo_list[i]->refuse(&args))
                    continue;
                there_and_back(algo_list[i], &args);
                n++;
            }
    }
    print_message("%d round trips\n", n);
    assert_true(n > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(export_of_every_algorithm_imports_and_proves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
