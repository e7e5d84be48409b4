#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/crypto.h"

static atomic_int stop;

static void *load_again_and_again(void *argument)
{
    (void)argument;
    while (!atomic_load(&stop))
        if (crypto_load() != trncclSuccess)
            return "refused";
    return NULL;
}

/* libsodium's own lock must be free in every child. */
static void crypto_load_by_a_thread_leaves_forked_children_free(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, load_again_and_again, NULL), 0);
    int status = 0;
    for (int i = 0; i < 200 && status == 0; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            alarm(10);
            _exit(sodium_init() < 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    atomic_store(&stop, 1);
    void *problem = NULL;
    pthread_join(thread, &problem);
    assert_null(problem);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crypto_load_by_a_thread_leaves_forked_children_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
