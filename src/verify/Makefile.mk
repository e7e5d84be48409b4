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

check_PROGRAMS += tests/unit/test_verify_run
tests_unit_test_verify_run_SOURCES = \
	tests/unit/test_verify_run.c tests/unit/verify_hand.c tests/unit/verify_hand.h
tests_unit_test_verify_run_LDADD = $(TEST_LIBS)
