# Runs one rank's schedule over transports.
libtrnccl_core_la_SOURCES += \
	src/exec/program.c \
	src/exec/program.h \
	src/exec/run.c \
	src/exec/run.h \
	src/exec/wait.c \
	src/exec/wait.h

check_PROGRAMS += tests/unit/test_exec_run
tests_unit_test_exec_run_SOURCES = tests/unit/test_exec_run.c
tests_unit_test_exec_run_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_exec_program
tests_unit_test_exec_program_SOURCES = tests/unit/test_exec_program.c
tests_unit_test_exec_program_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_exec_wait
tests_unit_test_exec_wait_SOURCES = tests/unit/test_exec_wait.c
tests_unit_test_exec_wait_LDADD = $(TEST_LIBS)
