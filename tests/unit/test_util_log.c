#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/error.h"
#include "util/log.h"

/* Every test logs to a file of its own in a directory that teardown removes. */
static char directory[256];
static char path[512];

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/test_util_log.XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/log", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return log_open(LOG_WARN, "/dev/null") == trncclSuccess ? rmdir(directory) : -1;
}

static void read_log(char *text, size_t nbytes)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, nbytes - 1);
    close(fd);
    assert_true(n >= 0);
    text[n] = '\0';
}

static void level_parse_of_known_names_ignores_case(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse("trace", &level));
    assert_int_equal(level, LOG_TRACE);
    assert_true(log_level_parse("Error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_true(log_level_parse("VERSION", &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("warnings", &level));
    assert_int_equal(level, LOG_WARN);
}

static void write_below_threshold_writes_one_line(void **state)
{
    (void)state;
    assert_int_equal(log_open(LOG_INFO, path), trncclSuccess);
    log_rank_set(7);
    log_info("exec", "peer %d\nis gone", 3);
    log_debug("exec", "not shown");
    log_rank_set(-1);
    log_error("boot", "second");

    char text[512], middle[64];
    read_log(text, sizeof text);
    snprintf(middle, sizeof middle, " %d 7] info exec: peer 3 is gone\ntrnccl [",
             (int)getpid());
    assert_memory_equal(text, "trnccl [", 8);
    assert_non_null(strstr(text, middle));
    snprintf(middle, sizeof middle, " %d -] error boot: second\n", (int)getpid());
    char *last = strstr(text, middle);
    assert_non_null(last);
    assert_string_equal(last, middle);
    assert_null(strstr(text, "not shown"));
}

static void write_of_a_long_line_is_cut_visibly(void **state)
{
    (void)state;
    assert_int_equal(log_open(LOG_WARN, path), trncclSuccess);
    char text[8192];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_warn("util", "%s", text);
    log_warn("util", "next");
    read_log(text, sizeof text);
    char *cut = strstr(text, "yyy...\n");
    assert_non_null(cut);
    assert_memory_equal(cut + 7, "trnccl [", 8);
}

static void open_expands_host_and_pid(void **state)
{
    (void)state;
    char pattern[320], host[256];
    assert_int_equal(gethostname(host, sizeof host), 0);
    host[strcspn(host, ".")] = '\0';
    snprintf(pattern, sizeof pattern, "%s/a%%h-%%p-%%%%", directory);
    snprintf(path, sizeof path, "%s/a%.100s-%d-%%", directory, host, (int)getpid());
    assert_int_equal(log_open(LOG_WARN, pattern), trncclSuccess);
    log_warn("util", "found");
    char text[512];
    read_log(text, sizeof text);
    assert_non_null(strstr(text, "util: found\n"));
}

static void open_of_a_bad_path_says_why_and_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(log_open(LOG_WARN, path), trncclSuccess);
    assert_int_equal(log_open(LOG_TRACE, "/nonexistent/%p/log"), trncclSystemError);
    assert_non_null(strstr(error_text(), "/nonexistent/"));
    assert_non_null(strstr(error_text(), "No such file"));
    assert_int_equal(log_open(LOG_TRACE, "/tmp/%q"), trncclInvalidArgument);
    assert_int_equal(log_open(LOG_TRACE, "/tmp/%"), trncclInvalidArgument);
    char longer[5000];
    memset(longer, 'z', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(log_open(LOG_TRACE, longer), trncclInvalidArgument);

    assert_int_equal(log_threshold, LOG_WARN);
    log_warn("util", "still here");
    char text[512];
    read_log(text, sizeof text);
    assert_non_null(strstr(text, "still here"));
}

enum { NTHREADS = 4, NLINES = 200 };

static void *writer(void *rank)
{
    log_rank_set((int)(intptr_t)rank);
    for (int i = 0; i < NLINES; i++)
        log_warn("util", "line %d end", i);
    return NULL;
}

static void write_from_many_threads_keeps_lines_whole(void **state)
{
    (void)state;
    assert_int_equal(log_open(LOG_WARN, path), trncclSuccess);
    pthread_t threads[NTHREADS];
    for (intptr_t i = 0; i < NTHREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, (void *)i), 0);
    for (int i = 0; i < NTHREADS; i++)
        pthread_join(threads[i], NULL);

    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[512];
    int next[NTHREADS] = {0};
    while (fgets(line, sizeof line, file) != NULL) {
        int pid, rank, i;
        assert_int_equal(
            sscanf(line, "trnccl [%*s %d %d] warn util: line %d end\n", &pid, &rank, &i),
            3);
        assert_in_range(rank, 0, NTHREADS - 1);
        assert_int_equal(i, next[rank]++);
    }
    fclose(file);
    for (int i = 0; i < NTHREADS; i++)
        assert_int_equal(next[i], NLINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_parse_of_known_names_ignores_case),
        cmocka_unit_test_setup_teardown(write_below_threshold_writes_one_line, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(write_of_a_long_line_is_cut_visibly, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(open_expands_host_and_pid, setup, teardown),
        cmocka_unit_test_setup_teardown(open_of_a_bad_path_says_why_and_changes_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(write_from_many_threads_keeps_lines_whole, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
