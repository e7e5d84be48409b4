# Proof that a schedule does what its collective promises.
libtrnccl_core_la_SOURCES += \
	src/verify/arena.c src/verify/arena.h \
	src/verify/data.c src/verify/data.h \
	src/verify/model.c src/verify/model.h \
	src/verify/order.c src/verify/order.h \
	src/verify/pair.c src/verify/pair.h \
	src/verify/promise.c src/verify/promise.h \
	src/verify/run.c src/verify/run.h \
	src/verify/structure.c src/verify/structure.h \
	src/verify/value.c src/verify/value.h \
	src/verify/verify.c src/verify/verify.h

check_PROGRAMS += \
	tests/unit/test_verify_order \
	tests/unit/test_verify_promise \
	tests/unit/test_verify_run \
	tests/unit/test_verify_structure \
	tests/unit/test_verify_value
tests_unit_test_verify_order_SOURCES = \
	tests/unit/test_verify_order.c tests/unit/verify_hand.c tests/unit/verify_hand.h
tests_unit_test_verify_order_LDADD = $(TEST_LIBS)
tests_unit_test_verify_promise_SOURCES = \
	tests/unit/test_verify_promise.c tests/unit/verify_hand.c tests/unit/verify_hand.h
tests_unit_test_verify_promise_LDADD = $(TEST_LIBS)
tests_unit_test_verify_run_SOURCES = \
	tests/unit/test_verify_run.c tests/unit/verify_hand.c tests/unit/verify_hand.h
tests_unit_test_verify_run_LDADD = $(TEST_LIBS)
tests_unit_test_verify_structure_SOURCES = \
	tests/unit/test_verify_structure.c tests/unit/verify_hand.c tests/unit/verify_hand.h
tests_unit_test_verify_structure_LDADD = $(TEST_LIBS)
tests_unit_test_verify_value_SOURCES = tests/unit/test_verify_value.c
tests_unit_test_verify_value_LDADD = $(TEST_LIBS)

# The mutation test disables checks of the verifier by wrapping them.
check_PROGRAMS += tests/suite/mutate
tests_suite_mutate_SOURCES = \
	tests/suite/closure.c tests/suite/closure.h \
	tests/suite/explain.c tests/suite/explain.h \
	tests/suite/interp.c tests/suite/interp.h \
	tests/suite/mutant.c tests/suite/mutant.h tests/suite/mutate.c
tests_suite_mutate_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=order_read \
	-Wl,--wrap=order_write -Wl,--wrap=values_combine_add -Wl,--wrap=promise_check
tests_suite_mutate_LDADD = $(TEST_LIBS)

EXTRA_DIST += docs/mutation-survivors.md docs/proof.md
