#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "util/clock.h"

static void now_called_twice_does_not_go_back(void **state)
{
    (void)state;
    uint64_t last = clock_now_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t next = clock_now_ns();
        assert_true(next >= last);
        last = next;
    }
    assert_true(last > 0);
}

static void deadline_of_positive_ms_is_that_far_ahead(void **state)
{
    (void)state;
    uint64_t before = clock_now_ns();
    uint64_t deadline = clock_deadline_ns(2500);
    uint64_t after = clock_now_ns();
    assert_in_range(deadline, before + 2500000000u, after + 2500000000u);
}

static void deadline_of_zero_or_less_is_never(void **state)
{
    (void)state;
    assert_true(clock_deadline_ns(0) == UINT64_MAX);
    assert_true(clock_deadline_ns(-1) == UINT64_MAX);
    assert_true(clock_deadline_ns(INT64_MIN) == UINT64_MAX);
}

static void deadline_beyond_the_clock_is_never(void **state)
{
    (void)state;
    assert_true(clock_deadline_ns(INT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(now_called_twice_does_not_go_back),
        cmocka_unit_test(deadline_of_positive_ms_is_that_far_ahead),
        cmocka_unit_test(deadline_of_zero_or_less_is_never),
        cmocka_unit_test(deadline_beyond_the_clock_is_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
