#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "util/nearest.h"

static void distance_of_known_pairs_is_right(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance("", ""), 0);
    assert_int_equal(nearest_distance("", "abc"), 3);
    assert_int_equal(nearest_distance("abc", ""), 3);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
    assert_int_equal(nearest_distance("ring", "RING"), 0);
    assert_int_equal(nearest_distance("rign", "ring"), 1); /* a swap counts once */
    assert_int_equal(nearest_distance("ca", "abc"), 3);
}

static void distance_is_symmetric(void **state)
{
    (void)state;
    const char *words[] = {"ring", "tree", "one_shot", "two_shot", "pat", "", "bruck"};
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < 7; j++)
            assert_int_equal(nearest_distance(words[i], words[j]),
                             nearest_distance(words[j], words[i]));
}

static void distance_of_a_huge_string_is_beyond_any(void **state)
{
    (void)state;
    char text[65];
    memset(text, 'a', 64);
    text[64] = '\0';
    assert_true(nearest_distance(text, "a") == SIZE_MAX);
    assert_true(nearest_distance("a", text) == SIZE_MAX);
    text[63] = '\0';
    assert_int_equal(nearest_distance(text, "a"), 62);
}

static void name_of_a_misspelling_is_the_closest(void **state)
{
    (void)state;
    const char *names[] = {"ring", NULL, "one_shot", "two_shot", "double_tree"};
    assert_string_equal(nearest_name("rnig", names, 5), "ring");
    assert_string_equal(nearest_name("two_sho", names, 5), "two_shot");
    assert_string_equal(nearest_name("doubletree", names, 5), "double_tree");
    assert_null(nearest_name("hypercube", names, 5));
    assert_null(nearest_name("ring", names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_of_known_pairs_is_right),
        cmocka_unit_test(distance_is_symmetric),
        cmocka_unit_test(distance_of_a_huge_string_is_beyond_any),
        cmocka_unit_test(name_of_a_misspelling_is_the_closest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
