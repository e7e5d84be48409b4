#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "util/error.h"

static void set_with_format_stores_the_sentence(void **state)
{
    (void)state;
    assert_int_equal(error_set(trncclTimeout, "rank %d of %s", 3, "world"),
                     trncclTimeout);
    assert_string_equal(error_text(), "rank 3 of world");
}

static void set_from_its_own_text_keeps_it(void **state)
{
    (void)state;
    (void)error_set(trncclSystemError, "inner");
    (void)error_set(trncclSystemError, "outer: %s", error_text());
    assert_string_equal(error_text(), "outer: inner");
}

static void set_of_a_long_sentence_is_cut_visibly(void **state)
{
    (void)state;
    char text[3 * ERROR_TEXT_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)error_set(trncclInternalError, "%s", text);
    assert_int_equal(strlen(error_text()), ERROR_TEXT_BYTES - 1);
    assert_string_equal(error_text() + ERROR_TEXT_BYTES - 5, "x...");
}

static void cut_of_a_text_that_fits_copies_it(void **state)
{
    (void)state;
    char room[12];
    assert_string_equal(error_cut(room, sizeof room, "rank 3 died"), "rank 3 died");
    assert_string_equal(error_cut(room, sizeof room, ""), "");
}

static void cut_of_a_longer_text_ends_behind_a_word(void **state)
{
    (void)state;
    char room[24], long_word[200];
    /* 20 bytes and the dots would fit, but the word "channel" would not be whole. */
    assert_string_equal(error_cut(room, sizeof room, "rank 3 waits (channel 0)"),
                        "rank 3 waits ...");
    assert_string_equal(error_cut(room, sizeof room, "rank 3 waits for room to send"),
                        "rank 3 waits for ...");
    memset(long_word, 'x', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = 0;
    char half[101];
    error_cut(half, sizeof half, long_word);
    assert_int_equal(strlen(half), 100);
    assert_string_equal(half + 96, "x...");
}

static void set_of_a_long_sentence_is_cut_behind_a_word(void **state)
{
    (void)state;
    char text[2 * ERROR_TEXT_BYTES] = "";
    while (strlen(text) < ERROR_TEXT_BYTES)
        strcat(text, "channel ");
    (void)error_set(trncclInternalError, "%s", text);
    const char *end = strstr(error_text(), "...");
    assert_non_null(end);
    assert_memory_equal(end - 8, "channel ...", 12);
}

static void set_errno_appends_the_cause_and_keeps_errno(void **state)
{
    (void)state;
    errno = EINTR;
    assert_int_equal(error_set_errno(trncclSystemError, ENOENT, "open %s", "f"),
                     trncclSystemError);
    assert_string_equal(error_text(), "open f: No such file or directory");
    assert_int_equal(errno, EINTR);
}

static void *other_thread(void *clean)
{
    *(bool *)clean = error_text()[0] == '\0';
    (void)error_set(trncclAborted, "other");
    return NULL;
}

static void text_of_another_thread_is_separate(void **state)
{
    (void)state;
    (void)error_set(trncclAborted, "mine");
    bool clean = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &clean), 0);
    pthread_join(thread, NULL);
    assert_true(clean);
    assert_string_equal(error_text(), "mine");
}

static void name_of_every_result_is_its_identifier(void **state)
{
    (void)state;
    for (int i = 0; i < trncclNumResults; i++) {
        assert_memory_equal(error_name((trncclResult_t)i), "trnccl", 6);
        assert_true(strlen(error_string((trncclResult_t)i)) > 5);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(error_name((trncclResult_t)i),
                                    error_name((trncclResult_t)j));
    }
    assert_string_equal(error_name(trncclTimeout), "trncclTimeout");
    assert_string_equal(error_name((trncclResult_t)-1), "unknown result code");
    assert_string_equal(error_string(trncclNumResults), "unknown result code");
}

static trncclResult_t try_it(trncclResult_t result, bool *went_on)
{
    TRY(result);
    *went_on = true;
    return trncclSuccess;
}

static void try_of_an_error_returns_it(void **state)
{
    (void)state;
    bool went_on = false;
    assert_int_equal(try_it(trncclRemoteError, &went_on), trncclRemoteError);
    assert_false(went_on);
    assert_int_equal(try_it(trncclSuccess, &went_on), trncclSuccess);
    assert_true(went_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_with_format_stores_the_sentence),
        cmocka_unit_test(set_from_its_own_text_keeps_it),
        cmocka_unit_test(set_of_a_long_sentence_is_cut_visibly),
        cmocka_unit_test(cut_of_a_text_that_fits_copies_it),
        cmocka_unit_test(cut_of_a_longer_text_ends_behind_a_word),
        cmocka_unit_test(set_of_a_long_sentence_is_cut_behind_a_word),
        cmocka_unit_test(set_errno_appends_the_cause_and_keeps_errno),
        cmocka_unit_test(text_of_another_thread_is_separate),
        cmocka_unit_test(name_of_every_result_is_its_identifier),
        cmocka_unit_test(try_of_an_error_returns_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
