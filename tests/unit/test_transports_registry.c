/* Which transport reaches whom, and how names are admitted and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "transports/transport.h"

static const struct transport_place here = {.host = "a", .process = "p"};
static const struct transport_place same_process = {.host = "a", .process = "p"};
static const struct transport_place same_host = {.host = "a", .process = "q"};
static const struct transport_place elsewhere = {.host = "b", .process = "r"};

static const char *chosen(const struct transport_place *peer, const char *allowed)
{
    const struct transport_ops *ops = transport_choose(&here, peer, allowed);
    return ops ? ops->name : "none";
}

static void choose_by_place_takes_the_cheapest(void **state)
{
    (void)state;
    assert_string_equal(chosen(&same_process, NULL), "self");
    assert_string_equal(chosen(&same_host, NULL), "shm");
    assert_string_equal(chosen(&elsewhere, NULL), "none");
}

static void choose_with_names_admits_only_those(void **state)
{
    (void)state;
    assert_string_equal(chosen(&same_process, "shm"), "shm");
    assert_string_equal(chosen(&same_process, "^self"), "shm");
    assert_string_equal(chosen(&same_process, "shm,self"), "self");
    assert_string_equal(chosen(&same_process, "^self,shm"), "none");
    assert_string_equal(chosen(&same_host, "self"), "none");
    assert_string_equal(chosen(&same_host, ""), "shm");
}

static void checkNames_unknown_isRefusedWithTheList(void **state)
{
    (void)state;
    assert_int_equal(transport_check_names(NULL), trncclSuccess);
    assert_int_equal(transport_check_names("shm, self"), trncclSuccess);
    assert_int_equal(transport_check_names("^self"), trncclSuccess);
    assert_int_equal(transport_check_names("shm,sh"), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "'sh'"));
    assert_non_null(strstr(error_text(), "self, shm"));
    assert_int_equal(transport_check_names("^selfish"), trncclInvalidArgument);
}

static void list_everyTransport_hasWhatTheContractAsks(void **state)
{
    (void)state;
    for (int i = 0; transport_list[i]; i++) {
        const struct transport_ops *t = transport_list[i];
        assert_ptr_equal(transport_find(t->name), t);
        assert_true(t->reach && t->open && t->close && t->connect && t->reserve &&
                    t->commit && t->drained && t->post && t->peek && t->release);
    }
    assert_null(transport_find("no such"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choose_by_place_takes_the_cheapest),
        cmocka_unit_test(choose_with_names_admits_only_those),
        cmocka_unit_test(checkNames_unknown_isRefusedWithTheList),
        cmocka_unit_test(list_everyTransport_hasWhatTheContractAsks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
