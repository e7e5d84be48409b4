#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/alloc.h"
#include "tests/support/leakcheck.h"

static char *make(size_t nbytes)
{
    void *p = NULL;
    assert_int_equal(alloc_create(&p, nbytes), trncclSuccess);
    assert_non_null(p);
    return p;
}

static void alloc_create_any_size_gives_zeroed_pages(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, (2 << 20) + 1, 5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = make(sizes[i]);
        const struct mem_region *r = alloc_find(p, sizes[i]);
        assert_non_null(r);
        assert_ptr_equal(r->base, p);
        assert_true(r->nbytes >= sizes[i] && r->nbytes >= 1);
        assert_int_equal((uintptr_t)p % 4096, 0);
        for (size_t k = 0; k < r->nbytes; k++)
            assert_int_equal(p[k], 0);
        memset(p, 1, r->nbytes);
        assert_int_equal(alloc_destroy(p), trncclSuccess);
    }
}

static void alloc_create_beyond_the_address_space_is_refused(void **state)
{
    (void)state;
    void *p = &p;
    assert_int_equal(alloc_create(&p, SIZE_MAX), trncclInvalidArgument);
    assert_int_equal(alloc_create(&p, SIZE_MAX / 2), trncclInvalidArgument);
    assert_ptr_equal(p, &p);
}

static void alloc_create_beyond_the_machine_is_refused(void **state)
{
    (void)state;
    void *p = &p;
    assert_int_equal(alloc_create(&p, (size_t)1 << 50), trncclSystemError);
    assert_non_null(strstr(error_text(), "available"));
    assert_ptr_equal(p, &p);
}

static void alloc_destroy_of_other_pointers_is_refused(void **state)
{
    (void)state;
    char *p = make(8192);
    assert_int_equal(alloc_destroy(p + 1), trncclInvalidArgument);
    assert_int_equal(alloc_destroy(&p), trncclInvalidArgument);
    assert_int_equal(alloc_destroy(p), trncclSuccess);
    assert_int_equal(alloc_destroy(p), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "freed"));
}

static void alloc_find_knows_exactly_what_lies_inside(void **state)
{
    (void)state;
    char *p = make(8192), plain[64];
    const struct mem_region *r = alloc_find(p, 8192);
    assert_non_null(r);
    assert_ptr_equal(alloc_find(p + 100, 8092), r);
    assert_null(alloc_find(p + 8000, 193));
    assert_null(alloc_find(plain, sizeof plain));
    assert_null(alloc_find(NULL, 1));
    assert_int_equal(alloc_destroy(p), trncclSuccess);
    assert_null(alloc_find(p, 1));
}

static void alloc_find_part_of_a_range_that_was_not_inside_is_found(void **state)
{
    (void)state;
    char *p = make(8192);
    assert_null(alloc_find(p + 8000, 400));
    assert_non_null(alloc_find(p + 8000, 100));
    assert_int_equal(alloc_destroy(p), trncclSuccess);
}

static void alloc_ids_are_never_used_again(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (int i = 0; i < 50; i++) {
        char *p = make(4096);
        uint32_t id = alloc_find(p, 1)->id;
        assert_true(id > last);
        last = id;
        assert_int_equal(alloc_destroy(p), trncclSuccess);
    }
}

static void alloc_indexes_of_live_regions_differ_and_are_used_again(void **state)
{
    (void)state;
    enum { N = 40, ROUNDS = 50 };
    char *p[N];
    for (int i = 0; i < N; i++)
        p[i] = make(4096);
    for (int round = 0; round < ROUNDS; round++) {
        bool seen[N] = {false};
        for (int i = 0; i < N; i++) {
            uint32_t index = alloc_find(p[i], 1)->index;
            assert_in_range(index, 0, N - 1);
            assert_false(seen[index]);
            seen[index] = true;
        }
        for (int i = round % 3; i < N; i += 3)
            assert_int_equal(alloc_destroy(p[i]), trncclSuccess);
        for (int i = round % 3; i < N; i += 3)
            p[i] = make(4096);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(alloc_destroy(p[i]), trncclSuccess);
}

static void alloc_destroy_gives_pages_back_though_a_peer_maps_them(void **state)
{
    (void)state;
    char *p = make(1 << 20);
    int peer = dup(alloc_find(p, 1)->fd);
    assert_true(peer >= 0);
    memset(p, 1, 1 << 20);
    struct stat st;
    assert_int_equal(fstat(peer, &st), 0);
    assert_true(st.st_blocks * 512 >= 1 << 20);
    assert_int_equal(alloc_destroy(p), trncclSuccess);
    assert_int_equal(fstat(peer, &st), 0);
    assert_int_equal(st.st_blocks, 0);
    assert_int_equal(st.st_size, 1 << 20);
    close(peer);
}

/* What a forked child does with its parent's memory and its own; 0: all as expected. */
static int as_child(char *parents)
{
    void *own = NULL;
    char text[32];
    snprintf(text, sizeof text, "process %d", (int)getppid());
    if (alloc_destroy(parents) != trncclInvalidUsage || !strstr(error_text(), text))
        return 1;
    if (parents[5] != 42 || !alloc_find(parents, 1))
        return 2;
    parents[6] = 43; /* shared, as before */
    if (alloc_create(&own, 4096) != trncclSuccess)
        return 3;
    if (alloc_find(own, 1)->index == alloc_find(parents, 1)->index)
        return 4;
    return alloc_destroy(own) == trncclSuccess ? 0 : 5;
}

static void alloc_destroy_in_a_forked_child_is_refused(void **state)
{
    (void)state;
    char *p = make(1 << 20);
    memset(p, 42, 1 << 20);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(as_child(p));
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(p[6], 43);
    p[6] = 42;
    for (int i = 0; i < 1 << 20; i++)
        assert_int_equal(p[i], 42);
    assert_int_equal(alloc_destroy(p), trncclSuccess);
}

static atomic_int stop;

/* Other places in turn, so that what a thread remembers does not answer. */
static void *look(void *argument)
{
    char *p = argument;
    for (int i = 0; !atomic_load(&stop); i++)
        if (!alloc_find(p, 100) || alloc_find(&p + i % 7, 1))
            return "damaged";
    return NULL;
}

static void alloc_in_a_child_of_looking_threads_succeeds(void **state)
{
    (void)state;
    pthread_t threads[2];
    char *p = make(4096);
    atomic_store(&stop, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, p), 0);
    int status = 0;
    for (int i = 0; i < 200 && status == 0; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            void *own;
            alarm(20);
            _exit(alloc_create(&own, 100) || alloc_destroy(own));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++) {
        void *problem = NULL;
        pthread_join(threads[i], &problem);
        if (problem)
            fail_msg("%s", (char *)problem);
    }
    assert_int_equal(status, 0);
    assert_int_equal(alloc_destroy(p), trncclSuccess);
}

static void *churn(void *argument)
{
    unsigned random = (unsigned)(uintptr_t)argument;
    char *held[8] = {NULL};
    for (int i = 0; i < 400; i++) {
        int k = rand_r(&random) % 8;
        if (held[k]) {
            if (*held[k] != (char)k || !alloc_find(held[k], 5000) ||
                alloc_destroy(held[k]) != trncclSuccess)
                return "damaged";
            held[k] = NULL;
        } else {
            void *p;
            if (alloc_create(&p, 5000 + (size_t)rand_r(&random) % 50000) != trncclSuccess)
                return "refused";
            held[k] = p;
            *held[k] = (char)k;
        }
    }
    for (int k = 0; k < 8; k++)
        if (held[k] && alloc_destroy(held[k]) != trncclSuccess)
            return "not freed";
    return NULL;
}

static void alloc_from_many_threads_is_consistent(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *problem = NULL;
        pthread_join(threads[i], &problem);
        if (problem)
            fail_msg("%s", (char *)problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_create_any_size_gives_zeroed_pages),
        cmocka_unit_test(alloc_create_beyond_the_address_space_is_refused),
        cmocka_unit_test(alloc_create_beyond_the_machine_is_refused),
        cmocka_unit_test(alloc_destroy_of_other_pointers_is_refused),
        cmocka_unit_test(alloc_find_knows_exactly_what_lies_inside),
        cmocka_unit_test(alloc_find_part_of_a_range_that_was_not_inside_is_found),
        cmocka_unit_test(alloc_ids_are_never_used_again),
        cmocka_unit_test(alloc_indexes_of_live_regions_differ_and_are_used_again),
        cmocka_unit_test(alloc_destroy_gives_pages_back_though_a_peer_maps_them),
        cmocka_unit_test(alloc_destroy_in_a_forked_child_is_refused),
        cmocka_unit_test(alloc_in_a_child_of_looking_threads_succeeds),
        cmocka_unit_test(alloc_from_many_threads_is_consistent),
    };
    return cmocka_run_group_tests_name("mem alloc", tests, leakcheck_setup,
                                       leakcheck_teardown);
}
