/* Symbolic values: exact sets of contributions and ordered expressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "verify/value.h"

enum { NRANKS = 130 }; /* sets of more than one word */

struct fixture {
    struct arena arena;
    struct values v;
    int32_t leaf[NRANKS], other; /* chunk 5 of every rank; chunk 6 of rank 0 */
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_true(values_init(&f->v, &f->arena, NRANKS, NRANKS + 1, 16));
    for (int32_t r = 0; r < NRANKS; r++)
        f->leaf[r] = values_leaf(&f->v, r, 5);
    f->other = values_leaf(&f->v, 0, 6);
}

static int32_t pair(struct fixture *f, int32_t a, int32_t b, bool final)
{
    int32_t twice, node = values_combine_begin(&f->v, 2, final);
    assert_true(values_combine_add(&f->v, node, a, &twice));
    assert_true(values_combine_add(&f->v, node, b, &twice));
    return node;
}

static void combine_orders_are_different_expressions(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    int32_t ab = pair(&f, f.leaf[0], f.leaf[1], false);
    assert_true(values_same(&f.v, ab, pair(&f, f.leaf[0], f.leaf[1], false)));
    assert_false(values_same(&f.v, ab, pair(&f, f.leaf[1], f.leaf[0], false)));
    assert_false(values_same(&f.v, ab, pair(&f, f.leaf[0], f.leaf[1], true)));
    assert_false(
        values_same(&f.v, pair(&f, ab, f.leaf[2], false),
                    pair(&f, f.leaf[0], pair(&f, f.leaf[1], f.leaf[2], false), false)));
    assert_false(values_same(&f.v, f.leaf[0], f.other));
    arena_fini(&f.arena);
}

static void combine_counted_twice_names_the_rank(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    int32_t twice, ab = pair(&f, f.leaf[3], f.leaf[128], false);
    int32_t node = values_combine_begin(&f.v, 2, false);
    assert_true(values_combine_add(&f.v, node, ab, &twice));
    assert_false(values_combine_add(&f.v, node, f.leaf[128], &twice));
    assert_int_equal(twice, 128);
    node = values_combine_begin(&f.v, 2, false);
    assert_true(values_combine_add(&f.v, node, f.leaf[0], &twice));
    assert_false(values_combine_add(&f.v, node, f.other, &twice));
    assert_int_equal(twice, -1);
    arena_fini(&f.arena);
}

static void missing_is_the_lowest_rank(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    int32_t twice, node = values_combine_begin(&f.v, NRANKS, true);
    assert_int_equal(values_missing(&f.v, f.leaf[0], NRANKS), 1);
    assert_int_equal(values_missing(&f.v, f.leaf[7], NRANKS), 0);
    for (int32_t r = 0; r < NRANKS; r++) {
        assert_true(values_combine_add(&f.v, node, f.leaf[r], &twice));
        assert_int_equal(values_missing(&f.v, node, NRANKS), r + 1 < NRANKS ? r + 1 : -1);
    }
    assert_int_equal(f.v.of[node].count, NRANKS);
    assert_int_equal(f.v.of[node].finals, 1);
    arena_fini(&f.arena);
}

static void arena_alloc_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena a = {0};
    for (size_t i = 0; i < 3000; i++) {
        unsigned char *p = arena_alloc(&a, i % 97 * 5, 3);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < i % 97 * 15; k++) {
            assert_int_equal(p[k], 0);
            p[k] = 0xff;
        }
    }
    assert_null(arena_alloc(&a, SIZE_MAX / 2, 3));
    assert_null(arena_alloc(&a, SIZE_MAX - 40, 1));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combine_orders_are_different_expressions),
        cmocka_unit_test(combine_counted_twice_names_the_rank),
        cmocka_unit_test(missing_is_the_lowest_rank),
        cmocka_unit_test(arena_alloc_is_zeroed_and_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
