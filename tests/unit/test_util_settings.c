#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"
#include "util/log.h"
#include "util/settings.h"

static void table_is_complete_and_its_defaults_parse(void **state)
{
    (void)state;
    for (int id = 0; id < SETTINGS_COUNT; id++) {
        const struct settings_entry *e = &settings_table[id];
        assert_non_null(e->name);
        assert_memory_equal(e->name, "TRNCCL_", 7);
        assert_true(strlen(e->description) > 10);
        assert_true(e->min <= e->max);
        if (e->kind != SETTINGS_STRING)
            assert_non_null(e->preset);
    }
    char *none[] = {NULL};
    struct settings_values v;
    assert_int_equal(settings_parse(none, &v), trncclSuccess);
    assert_int_equal(v.number[SETTINGS_TIMEOUT_MS], 600000);
    assert_int_equal(v.number[SETTINGS_INIT_TIMEOUT_MS], 120000);
    assert_int_equal(v.number[SETTINGS_SLICE_BYTES], 65536);
    assert_string_equal(v.text[SETTINGS_DEBUG], "WARN");
    assert_null(v.text[SETTINGS_ALGO]);
    for (int id = 0; id < SETTINGS_COUNT; id++)
        assert_false(v.set[id]);
    settings_fini(&v);
}

static void parse_of_good_values_takes_them(void **state)
{
    (void)state;
    char *environment[] = {
        "PATH=/bin",         "TRNCCL_TIMEOUT_MS=0",     "TRNCCL_SLICE_BYTES=32k",
        "TRNCCL_CMA=On",     "TRNCCL_CHECK_PLANS=no",   "TRNCCL_ALGO=all_reduce=ring",
        "TRNCCL_TRANSPORT=", "TRNCCL_TIMEOUT_MS_X=bad", NULL,
    };
    struct settings_values v;
    assert_int_equal(settings_parse(environment, &v), trncclSuccess);
    assert_int_equal(v.number[SETTINGS_TIMEOUT_MS], 0);
    assert_true(v.set[SETTINGS_TIMEOUT_MS]);
    assert_int_equal(v.number[SETTINGS_SLICE_BYTES], 32 << 10);
    assert_int_equal(v.number[SETTINGS_CMA], 1);
    assert_int_equal(v.number[SETTINGS_CHECK_PLANS], 0);
    assert_string_equal(v.text[SETTINGS_ALGO], "all_reduce=ring");
    assert_null(v.text[SETTINGS_TRANSPORT]);
    assert_false(v.set[SETTINGS_TRANSPORT]);
    settings_fini(&v);
}

static void parse_of_bad_values_names_variable_value_and_range(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *name, *rule;
    } cases[] = {
        {"TRNCCL_SLOTS=0", "TRNCCL_SLOTS=0", "from 2 to 16"},
        {"TRNCCL_SLOTS=17", "TRNCCL_SLOTS=17", "from 2 to 16"},
        {"TRNCCL_SLOTS=2x", "TRNCCL_SLOTS=2x", "a whole number"},
        {"TRNCCL_SLOTS= 2", "TRNCCL_SLOTS= 2", "a whole number"},
        {"TRNCCL_SLOTS=2K", "TRNCCL_SLOTS=2K", "a whole number"},
        {"TRNCCL_SLOTS=99999999999999999999", "TRNCCL_SLOTS=9999", "from 2 to 16"},
        {"TRNCCL_TIMEOUT_MS=-1", "TRNCCL_TIMEOUT_MS=-1", "from 0 to 2147483647"},
        {"TRNCCL_SLICE_BYTES=1KB", "TRNCCL_SLICE_BYTES=1KB", "bytes from 4096"},
        {"TRNCCL_SLICE_BYTES=-1K", "TRNCCL_SLICE_BYTES=-1K", "with or without K, M, G"},
        {"TRNCCL_LEND_BYTES=9999999999G", "TRNCCL_LEND_BYTES=9999999999G", "bytes"},
        {"TRNCCL_CMA=maybe", "TRNCCL_CMA=maybe", "false, true"},
        {"TRNCCL_DEBUG=loud", "TRNCCL_DEBUG=loud", "INFO, DEBUG or TRACE"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *environment[] = {"TRNCCL_SPIN_US=7", (char *)cases[i].entry, NULL};
        struct settings_values v;
        assert_int_equal(settings_parse(environment, &v), trncclInvalidArgument);
        if (strstr(error_text(), cases[i].name) == NULL ||
            strstr(error_text(), cases[i].rule) == NULL)
            fail_msg("%s: text is '%s'", cases[i].entry, error_text());
        assert_int_equal(v.number[SETTINGS_SLOTS], 4);
        assert_int_equal(v.number[SETTINGS_SPIN_US], 2000); /* all defaults again */
        assert_false(v.set[SETTINGS_SPIN_US]);
        settings_fini(&v);
    }
}

static void known_of_a_misspelling_suggests_the_name(void **state)
{
    (void)state;
    const char *nearest;
    assert_true(settings_known("TRNCCL_ALGO", &nearest));
    assert_false(settings_known("TRNCCL_TIMEOUT", &nearest));
    assert_string_equal(nearest, "TRNCCL_TIMEOUT_MS");
    assert_false(settings_known("TRNCCL_DEBUG_FIEL", &nearest));
    assert_string_equal(nearest, "TRNCCL_DEBUG_FILE");
    assert_false(settings_known("TRNCCL_SOMETHING_ELSE_ALTOGETHER", &nearest));
    assert_null(nearest);
}

/* Runs body in a child with the given environment and stderr in a pipe, since settings
 * are loaded once per process. Returns what the child wrote; the child must exit 0. */
static void in_child(char *const *set, int (*body)(void), char *text, size_t nbytes)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        for (; *set != NULL; set++)
            putenv(*set);
        _exit(body());
    }
    close(pipes[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(pipes[0], text + used, nbytes - 1 - used)) > 0)
        used += (size_t)n;
    close(pipes[0]);
    text[used] = '\0';
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int load_good(void)
{
    if (settings_load() != trncclSuccess || settings_int(SETTINGS_SLOTS) != 5 ||
        !settings_is_set(SETTINGS_SLOTS) || settings_is_set(SETTINGS_SPIN_US))
        return 1;
    setenv("TRNCCL_SLOTS", "6", 1); /* parsed once: no effect */
    if (settings_load() != trncclSuccess || settings_int(SETTINGS_SLOTS) != 5)
        return 2;
    return log_threshold == LOG_INFO ? 0 : 3;
}

static void load_warns_of_unknown_names_and_sets_the_level(void **state)
{
    (void)state;
    char *set[] = {"TRNCCL_SLOTS=5", "TRNCCL_DEBUG=info", "TRNCCL_SLOT=1",
                   "TRNCCL_UNHEARD_OF_THING=1", NULL};
    char text[2048];
    in_child(set, load_good, text, sizeof text);
    assert_non_null(strstr(
        text, "unknown setting TRNCCL_SLOT is ignored; did you mean TRNCCL_SLOTS?"));
    assert_non_null(strstr(text, "TRNCCL_UNHEARD_OF_THING is ignored\n"));
}

static int load_bad(void)
{
    for (int i = 0; i < 2; i++) {
        (void)error_set(trncclTimeout, "something else");
        if (settings_load() != trncclInvalidArgument ||
            strstr(error_text(), "TRNCCL_SLOTS=many") == NULL)
            return 1;
    }
    return settings_int(SETTINGS_SLOTS) == 4 ? 0 : 2;
}

static void load_of_a_bad_value_fails_every_time(void **state)
{
    (void)state;
    char *set[] = {"TRNCCL_SLOTS=many", NULL};
    char text[2048];
    in_child(set, load_bad, text, sizeof text);
}

static void *loader(void *result)
{
    *(trncclResult_t *)result = settings_load();
    return NULL;
}

static int load_threads(void)
{
    enum { N = 8 };
    pthread_t threads[N];
    trncclResult_t results[N];
    for (int i = 0; i < N; i++)
        if (pthread_create(&threads[i], NULL, loader, &results[i]) != 0)
            return 1;
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++)
        if (results[i] != trncclSuccess)
            return 2;
    return 0;
}

static void load_from_many_threads_warns_once(void **state)
{
    (void)state;
    char *set[] = {"TRNCCL_XYZZY_PLUGH=1", NULL};
    char text[4096];
    in_child(set, load_threads, text, sizeof text);
    char *first = strstr(text, "TRNCCL_XYZZY_PLUGH");
    assert_non_null(first);
    assert_null(strstr(first + 1, "TRNCCL_XYZZY_PLUGH"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_complete_and_its_defaults_parse),
        cmocka_unit_test(parse_of_good_values_takes_them),
        cmocka_unit_test(parse_of_bad_values_names_variable_value_and_range),
        cmocka_unit_test(known_of_a_misspelling_suggests_the_name),
        cmocka_unit_test(load_warns_of_unknown_names_and_sets_the_level),
        cmocka_unit_test(load_of_a_bad_value_fails_every_time),
        cmocka_unit_test(load_from_many_threads_warns_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
