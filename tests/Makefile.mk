# Support code, scripts and suites that belong to no single room.

# Runs every test and fails it for what it leaves behind; see the file's head.
EXTRA_PROGRAMS += tests/support/leaks
check_DATA += tests/support/leaks$(EXEEXT)
CLEANFILES += tests/support/leaks$(EXEEXT)
tests_support_leaks_SOURCES = tests/support/leaks.c
LOG_COMPILER = $(top_builddir)/tests/support/leaks$(EXEEXT)

noinst_HEADERS += \
	tests/support/digraphs.h \
	tests/support/leakcheck.h \
	tests/support/rings.h

check_PROGRAMS += tests/unit/test_tests_leaks
tests_unit_test_tests_leaks_SOURCES = tests/unit/test_tests_leaks.c
tests_unit_test_tests_leaks_LDADD = $(CMOCKA_LIBS)

dist_check_SCRIPTS += tests/scripts/include-rules

dist_check_SCRIPTS += tests/scripts/exported-symbols

# Machines for the algorithms that follow one.
check_LTLIBRARIES += tests/support/libgraphs.la
tests_support_libgraphs_la_SOURCES = tests/support/graphs.c tests/support/graphs.h
GRAPH_LIBS = tests/support/libgraphs.la

check_PROGRAMS += tests/suite/prove_all
tests_suite_prove_all_SOURCES = tests/suite/prove_all.c
tests_suite_prove_all_LDADD = $(GRAPH_LIBS) $(TEST_LIBS)

# What the conformance suites share: expected values, ranks, lists of cases.
check_LTLIBRARIES += tests/support/libconform.la
tests_support_libconform_la_SOURCES = \
	tests/support/conform.c \
	tests/support/conform.h \
	tests/support/conform_cases.c \
	tests/support/conform_cases.h \
	tests/support/conform_check.c \
	tests/support/conform_run.c \
	tests/support/conform_run.h \
	tests/support/oracle.c \
	tests/support/oracle.h \
	tests/support/report.h
CONFORM_LIBS = tests/support/libconform.la $(GRAPH_LIBS) libtrnccl_core.la $(LIBSODIUM_LIBS) -lm

check_PROGRAMS += tests/suite/algo_suite_threads
tests_suite_algo_suite_threads_SOURCES = tests/suite/algo_suite_threads.c
tests_suite_algo_suite_threads_LDADD = $(CONFORM_LIBS)

check_PROGRAMS += tests/suite/algo_suite_processes
tests_suite_algo_suite_processes_SOURCES = tests/suite/algo_suite_processes.c
tests_suite_algo_suite_processes_LDADD = $(CONFORM_LIBS)

check_PROGRAMS += tests/suite/algo_suite_types
tests_suite_algo_suite_types_SOURCES = tests/suite/algo_suite_types.c
tests_suite_algo_suite_types_LDADD = $(CONFORM_LIBS)

check_PROGRAMS += tests/suite/transport_suite
tests_suite_transport_suite_SOURCES = tests/suite/transport_suite.c
tests_suite_transport_suite_LDADD = $(TEST_LIBS)
