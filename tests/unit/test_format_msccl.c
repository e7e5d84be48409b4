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
    static char path[] = "text";
    struct imported f = {.path = path};
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

/* ---- Planted faults -----------------------------------------------------------------
 */

/* The first `from` of a text becomes `to`, of the same length. */
static void edit(char *text, const char *from, const char *to)
{
    char *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
}

static void export_that_is_changed_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *reason;
    } faults[] = {
        {"\"rrs\" srcbuf=\"i\" srcoff=\"2\"", "\"rrs\" srcbuf=\"i\" srcoff=\"1\"",
         "combines contributions to chunk"},
        {"type=\"rrcs\" srcbuf=\"i\"", "type=\"rrcs\" srcbuf=\"o\"",
         "nothing has written"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct sched *ranks[4];
        struct sched_args args = {.coll = SCHED_ALL_REDUCE, .nranks = 4};
        const struct algo *ring = algo_find(SCHED_ALL_REDUCE, "ring");
        assert_int_equal(algo_build_all(ring, &args, ranks), trncclSuccess);
        char *text = xml_of(ranks, 4);
        edit(text, faults[i].from, faults[i].to);
        struct imported f = import_text(text);
        assert_int_not_equal(imported_prove(&f, false, MAX_CREDITS, NULL), trncclSuccess);
        if (!strstr(error_text(), faults[i].reason))
            fail_msg("\"%s\" does not say \"%s\"", error_text(), faults[i].reason);
        msccl_destroy(f.file);
        free(text);
        destroy(ranks, 4);
    }
}

/* ---- Modes --------------------------------------------------------------------------
 */

/* Both ranks of an exchange in place send what they then add to: lent messages would wait
 * for each other, so the proof settles for copies, in one message of both chunks. */
static void lower_exchange_in_place_is_staged(void **state)
{
    (void)state;
    static const char text[] =
        "<algo coll='allreduce' ngpus='2' nchunksperloop='2' inplace='1'>"
        "<gpu id='0'><tb id='0' send='1' recv='1'>"
        "<step s='0' type='s' srcbuf='i' srcoff='0' cnt='2'/>"
        "<step s='1' type='rrc' srcbuf='i' srcoff='0' dstbuf='i' dstoff='0' cnt='2'/>"
        "</tb></gpu><gpu id='1'><tb id='0' send='0' recv='0'>"
        "<step s='0' type='s' srcbuf='i' srcoff='0' cnt='2'/>"
        "<step s='1' type='rrc' srcbuf='i' srcoff='0' dstbuf='i' dstoff='0' cnt='2'/>"
        "</tb></gpu></algo>";
    struct imported f = import_text(text);
    struct verify_report report;
    assert_false(msccl_serves(f.file, false));
    assert_int_equal(imported_prove(&f, true, MAX_CREDITS, &report), trncclSuccess);
    assert_true(f.mode[1].staged);
    assert_int_equal(f.mode[1].credits, 1);
    assert_int_equal(report.nmessages, 2);
    assert_true(report.same_bits);
    struct sched *ranks[2];
    assert_int_equal(imported_build(&f, true, ranks), trncclSuccess);
    assert_int_equal(ranks[0]->max_run, 2);
    assert_true(ranks[0]->steps[0].flags & SCHED_STAGED);
    destroy(ranks, 2);
    assert_int_equal(imported_build(&f, false, ranks), trncclInvalidArgument);
    msccl_destroy(f.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(export_of_every_algorithm_imports_and_proves),
        cmocka_unit_test(export_that_is_changed_is_refused),
        cmocka_unit_test(lower_exchange_in_place_is_staged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
