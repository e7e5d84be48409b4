# Errors, log, settings, clock.
libtrnccl_core_la_SOURCES += \
	src/util/clock.c \
	src/util/clock.h \
	src/util/crypto.c \
	src/util/crypto.h \
	src/util/error.c \
	src/util/error.h \
	src/util/fork_guard.c \
	src/util/fork_guard.h \
	src/util/log.c \
	src/util/log.h \
	src/util/nearest.c \
	src/util/nearest.h \
	src/util/settings.c \
	src/util/settings.h

check_PROGRAMS += tests/unit/test_util_clock
tests_unit_test_util_clock_SOURCES = tests/unit/test_util_clock.c
tests_unit_test_util_clock_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_util_crypto
tests_unit_test_util_crypto_SOURCES = tests/unit/test_util_crypto.c
tests_unit_test_util_crypto_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_util_error
tests_unit_test_util_error_SOURCES = tests/unit/test_util_error.c
tests_unit_test_util_error_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_util_fork_guard
tests_unit_test_util_fork_guard_SOURCES = tests/unit/test_util_fork_guard.c
tests_unit_test_util_fork_guard_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_util_log
tests_unit_test_util_log_SOURCES = tests/unit/test_util_log.c
tests_unit_test_util_log_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_util_nearest
tests_unit_test_util_nearest_SOURCES = tests/unit/test_util_nearest.c
tests_unit_test_util_nearest_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_util_settings
tests_unit_test_util_settings_SOURCES = tests/unit/test_util_settings.c
tests_unit_test_util_settings_LDADD = $(TEST_LIBS)
