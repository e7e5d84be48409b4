/* Turns: in the order of the tickets, and nothing is touched after the last one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "turn.h"

static void take_alone_isServedAtOnceAndInOrder(void **state)
{
    (void)state;
    struct turns t = {0};
    turn_init(&t);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t first = turn_take(&t), second = turn_take(&t);
        assert_true(turn_has_come(&t, first));
        assert_false(turn_has_come(&t, second));
        assert_true(turn_wait(&t, first, 0));
        turn_pass(&t, first);
        assert_true(turn_wait(&t, second, 0));
        turn_pass(&t, second);
    }
    turn_settle(&t);
    turn_fini(&t);
}

static void wait_inVain_comesBack(void **state)
{
    (void)state;
    struct turns t = {0};
    turn_init(&t);
    uint64_t first = turn_take(&t), second = turn_take(&t);
    assert_false(turn_wait(&t, second, 1000));
    turn_pass(&t, first);
    assert_true(turn_wait(&t, second, 0));
    turn_fini(&t);
}

static void skip_beforeItsTurn_isPassedOver(void **state)
{
    (void)state;
    enum { N = 40 };
    struct turns t = {0};
    uint64_t tickets[N];
    turn_init(&t);
    atomic_store(&t.shared, true);
    for (int i = 0; i < N; i++)
        tickets[i] = turn_take(&t);
    /* All but three, the later ones first. */
    for (int i = N - 1; i > 0; i--)
        if (i != 10 && i != 20)
            turn_skip(&t, tickets[i]);
    turn_pass(&t, tickets[0]);
    assert_true(turn_has_come(&t, tickets[10]));
    turn_skip(&t, tickets[10]); /* it has come: the same as to pass it */
    assert_true(turn_has_come(&t, tickets[20]));
    turn_pass(&t, tickets[20]);
    turn_settle(&t);
    assert_true(turn_has_come(&t, turn_take(&t)));
    turn_fini(&t);
}

enum { NTHREADS = 4, EACH = 200 };

/* A counter that only the one whose turn it is may touch; on the heap, so that a
 * sanitizer sees who comes too late. */
struct shared {
    struct turns turns;
    int count;
};
struct worker {
    struct shared *shared;
    uint64_t tickets[EACH];
    int wrong;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    for (int i = 0; i < EACH; i++) {
        while (!turn_wait(&w->shared->turns, w->tickets[i], 1000000))
            ;
        w->wrong += w->shared->count++ != (int)w->tickets[i];
        turn_pass(&w->shared->turns, w->tickets[i]);
    }
    return NULL;
}

static void pass_fromManyThreads_keepsTheOrderAndSettles(void **state)
{
    (void)state;
    struct shared *s = calloc(1, sizeof *s);
    static struct worker w[NTHREADS];
    pthread_t threads[NTHREADS];
    assert_non_null(s);
    turn_init(&s->turns);
    atomic_store(&s->turns.shared, true);
    for (int i = 0; i < EACH; i++)
        for (int k = 0; k < NTHREADS; k++) {
            /* A different order each time. */
            struct worker *next = &w[(k * 3 + i) % NTHREADS];
            next->shared = s;
            next->tickets[i] = turn_take(&s->turns);
        }
    for (int k = 0; k < NTHREADS; k++)
        assert_int_equal(pthread_create(&threads[k], NULL, work, &w[k]), 0);
    turn_settle(&s->turns);
    assert_int_equal(s->count, NTHREADS * EACH);
    turn_fini(&s->turns);
    free(s);
    for (int k = 0; k < NTHREADS; k++) {
        pthread_join(threads[k], NULL);
        assert_int_equal(w[k].wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_alone_isServedAtOnceAndInOrder),
        cmocka_unit_test(wait_inVain_comesBack),
        cmocka_unit_test(skip_beforeItsTurn_isPassedOver),
        cmocka_unit_test(pass_fromManyThreads_keepsTheOrderAndSettles),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
