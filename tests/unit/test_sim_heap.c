/* The event queue gives events in order of time and label, whatever the order of pushes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "sim/heap.h"
#include "tests/support/random_sched.h"

enum { NEVENTS = 5000 };

/* Whether what comes out is in order, with each id once. */
static bool drains_in_order(struct heap *h, int32_t n)
{
    static bool seen[NEVENTS];
    struct heap_event last = {0}, e;
    for (int32_t i = 0; i < NEVENTS; i++)
        seen[i] = false;
    bool ordered = true;
    int32_t count = 0;
    for (; heap_pop(h, &e); count++) {
        ordered &= e.time_us > last.time_us ||
                   (e.time_us == last.time_us && e.label >= last.label);
        ordered &= !seen[e.id];
        seen[e.id] = true;
        last = e;
    }
    return ordered && count == n;
}

static void heap_pop_gives_the_order_of_time_and_label(void **state)
{
    (void)state;
    struct random r = random_seeded("heap");
    struct heap h = {0};
    for (int32_t n = 0; n <= NEVENTS; n = 2 * n + 1) {
        for (int32_t i = 0; i < n; i++) {
            const struct heap_event e = {
                .time_us = random_below(&r, 100) * 0.37,
                .label = random_below(&r, 50) * UINT64_C(0x123456789abcdef),
                .id = i,
            };
            assert_int_equal(heap_push(&h, &e), trncclSuccess);
        }
        assert_true(drains_in_order(&h, n));
    }
    heap_fini(&h);
}

static void heap_pop_between_pushes_keeps_the_order(void **state)
{
    (void)state;
    struct random r = random_seeded("heap, mixed");
    struct heap h = {0};
    double now = 0;
    for (int32_t i = 0; i < NEVENTS; i++) {
        const struct heap_event e = {.time_us = now + random_below(&r, 1000)};
        assert_int_equal(heap_push(&h, &e), trncclSuccess);
        struct heap_event out;
        if (random_below(&r, 3) == 0 && heap_pop(&h, &out)) {
            assert_true(out.time_us >= now);
            now = out.time_us;
        }
    }
    heap_fini(&h);
}

/* The planted fault: a later event at the root. */
static void drains_in_order_notices_a_broken_heap(void **state)
{
    (void)state;
    struct heap h = {0};
    for (int32_t i = 0; i < 100; i++) {
        const struct heap_event e = {.time_us = i, .id = i};
        assert_int_equal(heap_push(&h, &e), trncclSuccess);
    }
    h.events[0].time_us = 50;
    assert_false(drains_in_order(&h, 100));
    heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_pop_gives_the_order_of_time_and_label),
        cmocka_unit_test(heap_pop_between_pushes_keeps_the_order),
        cmocka_unit_test(drains_in_order_notices_a_broken_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
