/* Registered descriptors are closed in a forked child, and only those. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/fork_guard.h"

static int open_guarded(void)
{
    fork_guard_enter();
    int fd = fork_guard_add(open("/dev/null", O_RDONLY | O_CLOEXEC));
    fork_guard_leave();
    assert_true(fd >= 0);
    return fd;
}

static int is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void fork_registeredDescriptors_areClosedInTheChildOnly(void **state)
{
    (void)state;
    int plain = open("/dev/null", O_RDONLY | O_CLOEXEC), guarded = open_guarded();
    int far = fcntl(guarded, F_DUPFD_CLOEXEC, 500); /* beyond the table's first size */
    fork_guard_enter();
    assert_int_equal(fork_guard_add(far), far);
    fork_guard_leave();
    pid_t pid = fork();
    if (pid == 0) {
        int wrong = is_open(guarded) || is_open(far) || !is_open(plain);
        /* the child may use the guard for sockets of its own */
        int own = open_guarded();
        wrong |= !is_open(own);
        fork_guard_close(own);
        _exit(wrong || is_open(own));
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    assert_int_equal(status, 0);
    assert_true(is_open(guarded) && is_open(far) && is_open(plain));
    fork_guard_close(guarded);
    fork_guard_close(far);
    assert_false(is_open(guarded) || is_open(far));
    close(plain);
}

static void fork_closedDescriptor_isForgotten(void **state)
{
    (void)state;
    int guarded = open_guarded();
    fork_guard_close(guarded);
    int reused = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(reused, guarded); /* the lowest free number */
    pid_t pid = fork();
    if (pid == 0)
        _exit(!is_open(reused));
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    assert_int_equal(status, 0);
    close(reused);
}

static void add_failedOpen_keepsErrno(void **state)
{
    (void)state;
    fork_guard_enter();
    int fd = fork_guard_add(open("/nonexistent/file", O_RDONLY | O_CLOEXEC));
    fork_guard_leave();
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fd, -1);
    fork_guard_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fork_registeredDescriptors_areClosedInTheChildOnly),
        cmocka_unit_test(fork_closedDescriptor_isForgotten),
        cmocka_unit_test(add_failedOpen_keepsErrno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
