/* Plants every kind of leak and checks that leaks.c and leakcheck.h find it.
 *
 * The program is its own test subject: `test_tests_leaks FAULT` leaks and exits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/leakcheck.h"

static char self[PATH_MAX];

/* ---- the faults ---------------------------------------------------------------------
 */

static int fault_process(bool detached)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid < 0 ? 98 : 0;
    if (detached) {
        setsid();
        if (fork() != 0)
            _exit(0);
    }
    sleep(30);
    _exit(0);
}

static int fault_file(const char *directory)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/test_tests_leaks-%d-fault", directory, (int)getpid());
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    return fd < 0 ? 98 : 0;
}

/* A process that ends by itself within the grace time is no leak. */
static int fault_late_process(void)
{
    if (fork() == 0) {
        usleep(100000);
        _exit(0);
    }
    return 0;
}

static int fault_run(const char *name)
{
    if (strcmp(name, "none") == 0)
        return 0;
    if (strcmp(name, "skip") == 0)
        return 77;
    if (strcmp(name, "fail") == 0)
        return 3;
    if (strcmp(name, "crash") == 0) {
        signal(SIGTERM, SIG_DFL);
        raise(SIGTERM);
    }
    if (strcmp(name, "hang") == 0)
        sleep(30);
    if (strcmp(name, "child") == 0)
        return fault_process(false);
    if (strcmp(name, "daemon") == 0)
        return fault_process(true);
    if (strcmp(name, "late") == 0)
        return fault_late_process();
    if (strcmp(name, "skip-child") == 0)
        return fault_process(false) == 0 ? 77 : 98;
    if (strcmp(name, "shm") == 0)
        return fault_file("/dev/shm");
    if (strcmp(name, "tmp") == 0)
        return fault_file("/tmp");
    if (strcmp(name, "tmpdir") == 0)
        return fault_file(getenv("TMPDIR"));
    return 97;
}

/* ---- running them -------------------------------------------------------------------
 */

/* Exit status of this program with that fault under leaks; its stderr in text. */
static int run(const char *fault, char *text, size_t nbytes)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        execl("tests/support/leaks", "leaks", "-t", "2", self, fault, (char *)NULL);
        _exit(96);
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
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void leaks_of_a_clean_test_keeps_its_status(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(run("none", text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(run("skip", text, sizeof text), 77);
    assert_int_equal(run("fail", text, sizeof text), 3);
    assert_int_equal(run("late", text, sizeof text), 0);
    assert_int_equal(run("crash", text, sizeof text), 128 + SIGTERM);
    assert_non_null(strstr(text, "ended by signal"));
}

static void leaks_of_a_left_process_fails_and_kills_it(void **state)
{
    (void)state;
    static const char *const faults[] = {"child", "daemon", "skip-child"};
    for (size_t i = 0; i < 3; i++) {
        char text[4096];
        assert_int_equal(run(faults[i], text, sizeof text), 1);
        const char *found = strstr(text, "left process ");
        assert_non_null(found);
        int pid = atoi(found + strlen("left process "));
        assert_true(pid > 1);
        assert_int_equal(kill(pid, 0), -1);
    }
}

static void leaks_of_a_left_file_fails_and_removes_it(void **state)
{
    (void)state;
    static const char *const faults[] = {"shm", "tmp", "tmpdir"};
    for (size_t i = 0; i < 3; i++) {
        char text[4096], path[PATH_MAX];
        assert_int_equal(run(faults[i], text, sizeof text), 1);
        const char *name = strstr(text, " left /");
        assert_non_null(name);
        assert_int_equal(sscanf(name, " left %4000s behind", path), 1);
        assert_non_null(strstr(path, "-fault"));
        assert_int_equal(access(path, F_OK), -1);
    }
}

static void leaks_of_a_hanging_test_ends_it(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(run("hang", text, sizeof text), 124);
    assert_non_null(strstr(text, "not done after 2 s"));
}

static void leakcheck_of_a_left_descriptor_finds_it(void **state)
{
    (void)state;
    struct leakcheck check;
    leakcheck_begin(&check);
    assert_int_equal(leakcheck_end(&check), 0);
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(leakcheck_end(&check), 1);
    close(fd);
    assert_int_equal(leakcheck_end(&check), 0);
}

static void leakcheck_of_a_left_memfd_mapping_finds_it(void **state)
{
    (void)state;
    struct leakcheck check;
    leakcheck_begin(&check);
    int fd = memfd_create("leak", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    void *memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(leakcheck_end(&check), 2);
    close(fd);
    assert_int_equal(leakcheck_end(&check), 1);
    munmap(memory, 4096);
    assert_int_equal(leakcheck_end(&check), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return fault_run(argv[1]);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaks_of_a_clean_test_keeps_its_status),
        cmocka_unit_test(leaks_of_a_left_process_fails_and_kills_it),
        cmocka_unit_test(leaks_of_a_left_file_fails_and_removes_it),
        cmocka_unit_test(leaks_of_a_hanging_test_ends_it),
        cmocka_unit_test(leakcheck_of_a_left_descriptor_finds_it),
        cmocka_unit_test(leakcheck_of_a_left_memfd_mapping_finds_it),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
