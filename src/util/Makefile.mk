# Errors, log, settings, clock.
libtrnccl_core_la_SOURCES += \
	src/util/clock.c \
	src/util/clock.h \
	src/util/error.c \
	src/util/error.h \
	src/util/log.c \
	src/util/log.h \
	src/util/settings.h

check_PROGRAMS += tests/unit/test_util_clock
tests_unit_test_util_clock_SOURCES = tests/unit/test_util_clock.c
tests_unit_test_util_clock_LDADD = $(TEST_LIBS)
