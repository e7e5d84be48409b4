/* MSCCL's XML that is not as it should be: refused with line and reason, and never a
 * crash, whatever the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/msccl_lower.h"
#include "format/msccl_xml_in.h"
#include "plan/imported.h"
#include "tests/support/random_sched.h"

enum { MAX_CREDITS = 16, TEXT_BYTES = 8192 };

/* Two ranks; every operation but nop, a dependency, both places. */
static const char good[] =
    "<!-- two ranks -->\n"
    "<algo name=\"two\" proto=\"LL\" nchannels=\"2\" nchunksperloop=\"2\" ngpus=\"2\"\n"
    " coll=\"allreduce\" inplace=\"0\" outofplace=\"1\" minBytes=\"0\" maxBytes=\"0\">\n"
    "<gpu id=\"0\" i_chunks=\"2\" o_chunks=\"2\" s_chunks=\"2\">\n"
    "<tb id=\"0\" send=\"1\" recv=\"1\" chan=\"0\">\n"
    "<step s=\"0\" type=\"s\" srcbuf=\"i\" srcoff=\"0\" dstbuf=\"s\" dstoff=\"0\" "
    "cnt=\"2\" depid=\"-1\" deps=\"-1\" hasdep=\"0\"/>\n"
    "<step s=\"1\" type=\"r\" srcbuf=\"s\" srcoff=\"0\" dstbuf=\"s\" dstoff=\"0\" "
    "cnt=\"2\" depid=\"-1\" deps=\"-1\" hasdep=\"1\"/>\n"
    "</tb>\n"
    "<tb id=\"1\" send=\"-1\" recv=\"-1\" chan=\"1\">\n"
    "<step s=\"0\" type=\"cpy\" srcbuf=\"i\" srcoff=\"0\" dstbuf=\"o\" dstoff=\"0\" "
    "cnt=\"2\" depid=\"-1\" deps=\"-1\" hasdep=\"0\"/>\n"
    "<step s=\"1\" type=\"re\" srcbuf=\"s\" srcoff=\"0\" dstbuf=\"o\" dstoff=\"0\" "
    "cnt=\"2\" depid=\"0\" deps=\"1\" hasdep=\"0\"/>\n"
    "</tb>\n"
    "</gpu>\n"
    "<gpu id=\"1\" i_chunks=\"2\" o_chunks=\"2\" s_chunks=\"0\">\n"
    "<tb id=\"0\" send=\"0\" recv=\"0\" chan=\"0\">\n"
    "<step s=\"0\" type=\"s\" srcbuf=\"i\" srcoff=\"0\" dstbuf=\"s\" dstoff=\"0\" "
    "cnt=\"2\" depid=\"-1\" deps=\"-1\" hasdep=\"0\"/>\n"
    "<step s=\"1\" type=\"rrc\" srcbuf=\"i\" srcoff=\"0\" dstbuf=\"o\" dstoff=\"0\" "
    "cnt=\"2\" depid=\"-1\" deps=\"-1\" hasdep=\"0\"/>\n"
    "</tb>\n"
    "</gpu>\n"
    "</algo>\n";

/* Parses, lowers and proves for every place that is served. */
static trncclResult_t import_all(const char *text, size_t nbytes)
{
    struct imported f = {0};
    char path[] = "text";
    f.path = path;
    TRY(msccl_xml_parse(text, nbytes, &f.file));
    trncclResult_t result = trncclSuccess;
    for (int place = 0; place < 2 && result == trncclSuccess; place++)
        if (msccl_serves(f.file, place))
            result = imported_prove(&f, place, MAX_CREDITS, NULL);
    msccl_destroy(f.file);
    return result;
}

/* What becomes of the good text if a piece of it is replaced. */
struct edit {
    const char *from, *to, *reason;
};

static const struct edit edits[] = {
    {"<algo", "<also", "line 3: <also>; expected <algo>"},
    {"name=\"two\"", "name=\"two", "not well-formed XML"},
    {"ngpus=\"2\"", "", "line 3: <algo> without the attribute ngpus"},
    {"ngpus=\"2\"", "ngpus=\"0\"", "<algo ngpus=\"0\">; expected a whole number from 1"},
    {"ngpus=\"2\"", "ngpus=\"2x\"", "<algo ngpus=\"2x\">; expected a whole number"},
    {"ngpus=\"2\"", "ngpus=\"99999999999999999999\"", "expected a whole number"},
    {"ngpus=\"2\"", "ngpus=\"3\"", "the file ends without gpu 2 of 3 (ngpus)"},
    {"ngpus=\"2\"", "ngpus=\"2\" root=\"1\"", "root 1 of 2 ranks in all_reduce"},
    {"\"allreduce\"", "\"custom\"", "<algo coll=\"custom\">; expected allreduce"},
    {"outofplace=\"1\"", "outofplace=\"0\"", "expected one of them 1"},
    {"nchunksperloop=\"2\"", "nchunksperloop=\"1048577\"", "from 1 to 1048576"},
    {"\"2\" ngpus", "\"3\" ngpus", "ends with nothing written in OUT[2]"},
    {"<gpu id=\"1\"", "<gpu id=\"0\"", "line 14: gpu 0 again; the first is on line 4"},
    {"<gpu id=\"1\"", "<gpu id=\"2\"",
     "line 14: <gpu id=\"2\">; expected a whole number"},
    {"<tb id=\"1\"", "<tb id=\"0\"", "line 9: tb 0 again; the first is on line 5"},
    {"send=\"1\"", "send=\"0\"", "line 5: <tb send=\"0\"> on gpu 0; expected another"},
    {"send=\"1\"", "send=\"2\"", "line 5: <tb send=\"2\">; expected a whole number"},
    {"send=\"1\"", "send=\"-1\"", "line 6: s in tb 0, which has no peer to send to"},
    {"recv=\"1\"", "recv=\"-1\"", "line 7: r in tb 0, which has no peer to receive from"},
    {"chan=\"1\"", "chan=\"2\"", "line 9: <tb chan=\"2\">; expected a whole number"},
    {"chan=\"0\"", "chan=\"1\"",
     "gpu 0 sends 0 messages to gpu 1 on channel 0, which receives 1"},
    {"type=\"s\"", "type=\"send\"", "line 6: <step type=\"send\">; expected s, r, rcs"},
    {"srcbuf=\"i\"", "srcbuf=\"x\"", "line 6: <step srcbuf=\"x\">; expected i, o or s"},
    {"srcoff=\"0\"", "srcoff=\"1\"",
     "line 6: <step srcoff=\"1\" cnt=\"2\">, but buffer i"},
    {"srcoff=\"0\"", "srcoff=\"-1\"",
     "line 6: <step srcoff=\"-1\" cnt=\"2\">, but buffer i"},
    {"cnt=\"2\"", "cnt=\"0\"", "line 6: <step cnt=\"0\">; expected 1 or more"},
    {"cnt=\"2\"", "cnt=\"1\"",
     "receives 2 chunks, but message 0 from gpu 0 has 1 (line 6)"},
    {"s=\"1\" type=\"r\"", "s=\"0\" type=\"r\"", "line 7: step 0 after step 0 of tb 0"},
    {"depid=\"0\" deps=\"1\"", "depid=\"0\" deps=\"-1\"",
     "depid 0 with deps -1; expected"},
    {"depid=\"0\" deps=\"1\"", "depid=\"5\" deps=\"1\"",
     "step 1 of tb 5 of gpu 0, which does"},
    {"depid=\"0\" deps=\"1\"", "depid=\"0\" deps=\"0\"", "which has hasdep=\"0\""},
    {"depid=\"0\" deps=\"1\"", "depid=\"-1\" deps=\"-1\"",
     "reads s[0], which nothing has written"},
    {"hasdep=\"0\"/>", "hasdep=\"0\">x</step>",
     "line 6: text or references between elem"},
    {"hasdep=\"0\"/>", "hasdep=\"0\"><step/></step>", "line 6: <step> inside <step>"},
    {"hasdep=\"0\"/>", "hasdep=\"&nothing;\"/>", "not well-formed XML: Entity 'nothing'"},
    {"<!-- two ranks -->", "<!DOCTYPE algo SYSTEM \"file:///etc/passwd\">",
     "line 1: a document type; expected none"},
    {"</algo>", "</algo><algo/>", "not well-formed XML"},
    {"</algo>", "", "not well-formed XML"},
    {"type=\"rrc\"", "type=\"r\"", "2 contributions"},
    {"type=\"cpy\"", "type=\"nop\"", "reads o[0], which nothing has written"},
};

static char *edited(const struct edit *e)
{
    const char *at = strstr(good, e->from);
    assert_non_null(at);
    char *text = malloc(TEXT_BYTES);
    assert_non_null(text);
    snprintf(text, TEXT_BYTES, "%.*s%s%s", (int)(at - good), good, e->to,
             at + strlen(e->from));
    return text;
}

static void xml_parse_good_is_proved(void **state)
{
    (void)state;
    if (import_all(good, strlen(good)) != trncclSuccess)
        fail_msg("%s", error_text());
}

static void xml_parse_wrong_is_refused_with_line_and_reason(void **state)
{
    (void)state;
    int nbad = 0;
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char *text = edited(&edits[i]);
        trncclResult_t result = import_all(text, strlen(text));
        if (result == trncclSuccess || !strstr(error_text(), edits[i].reason)) {
            print_error("edit %zu: \"%s\", expected \"%s\"\n", i,
                        result == trncclSuccess ? "accepted" : error_text(),
                        edits[i].reason);
            nbad++;
        }
        free(text);
    }
    assert_int_equal(nbad, 0);
}

/* ---- Fuzz ---------------------------------------------------------------------------
 */

static char *sample_read(const char *name, size_t *nbytes)
{
    char path[512];
    const char *source = getenv("srcdir");
    snprintf(path, sizeof path, "%s/tests/msccl/%s.xml", source ? source : "..", name);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("no %s: run in the build directory", path);
    char *text = malloc(1 << 20);
    assert_non_null(text);
    *nbytes = fread(text, 1, 1 << 19, file);
    fclose(file);
    return text;
}

/* Replaces a number between quotes by one that somebody may not have thought of. */
static void mutate_number(struct random *r, char *text, size_t *nbytes)
{
    static const char *const numbers[] = {"0",
                                          "1",
                                          "-1",
                                          "2",
                                          "3",
                                          "7",
                                          "127",
                                          "128",
                                          "-2",
                                          "65535",
                                          "1048576",
                                          "2147483647",
                                          "",
                                          "99999999999999999999",
                                          "-2147483648",
                                          "s",
                                          "i",
                                          "rrs",
                                          "nop",
                                          "re"};
    uint32_t from = random_below(r, (uint32_t)*nbytes);
    char *open = memchr(text + from, '"', *nbytes - from);
    char *close =
        open ? memchr(open + 1, '"', *nbytes - (size_t)(open + 1 - text)) : NULL;
    if (!close)
        return;
    const char *n = numbers[random_below(r, sizeof numbers / sizeof numbers[0])];
    size_t tail = *nbytes - (size_t)(close - text);
    memmove(open + 1 + strlen(n), close, tail);
    memcpy(open + 1, n, strlen(n));
    *nbytes = (size_t)(open + 1 - text) + strlen(n) + tail;
}

static void mutate(struct random *r, char *text, size_t *nbytes)
{
    uint32_t at = random_below(r, (uint32_t)*nbytes);
    uint32_t n = random_below(r, 200) % (uint32_t)(*nbytes - at);
    switch (random_below(r, 8)) {
    case 0: /* a byte */
        text[at] = (char)random_below(r, 256);
        break;
    case 1: /* a piece less */
        memmove(text + at, text + at + n, *nbytes - at - n);
        *nbytes -= n;
        break;
    case 2: /* a piece twice */
        memmove(text + at + n, text + at, *nbytes - at);
        *nbytes += n;
        break;
    default:
        mutate_number(r, text, nbytes);
    }
}

/* Files with a few changes: refused or accepted, never a crash, and enough of either. */
static void xml_parse_of_mutated_files_survives(void **state)
{
    (void)state;
    static const char *const names[] = {"all_reduce-tree-3",
                                        "all_reduce-all_pairs-4",
                                        "all_reduce-exchange-2",
                                        "reduce_scatter-ring-4-in-place",
                                        "all_gather-ring-4-out-of-place",
                                        "all_to_all-direct-4"};
    enum { NNAMES = sizeof names / sizeof names[0] };
    struct random r = random_seeded(__func__);
    const char *wanted = getenv("TRNCCL_TEST_ROUNDS");
    int rounds = wanted ? atoi(wanted) : 3000, naccepted = 0;
    for (int i = 0; i < rounds; i++) {
        size_t nbytes;
        char *text = sample_read(names[i % NNAMES], &nbytes);
        for (uint32_t k = 1 + random_below(&r, 3); k > 0 && nbytes > 300; k--)
            mutate(&r, text, &nbytes);
        naccepted += import_all(text, nbytes) == trncclSuccess;
        free(text);
    }
    print_message("%d rounds, %d accepted\n", rounds, naccepted);
    assert_in_range(naccepted, rounds / 100, rounds - rounds / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xml_parse_good_is_proved),
        cmocka_unit_test(xml_parse_wrong_is_refused_with_line_and_reason),
        cmocka_unit_test(xml_parse_of_mutated_files_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
