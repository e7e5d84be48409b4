# The communicator and the public calls: the top of the house.
libtrnccl_core_la_SOURCES += \
	src/api.c \
	src/api_check.c \
	src/api_check.h \
	src/api_comm.c \
	src/api_memory.c \
	src/api_query.c \
	src/api_v.c \
	src/call.c \
	src/call.h \
	src/call_bind.c \
	src/call_bind.h \
	src/call_check.c \
	src/call_check.h \
	src/call_list.c \
	src/call_run.h \
	src/comm.c \
	src/comm.h \
	src/group.c \
	src/group.h \
	src/host.c \
	src/host.h \
	src/host_memory.c \
	src/record.c \
	src/record.h \
	src/stream.c \
	src/stream.h \
	src/turn.c \
	src/turn.h

check_PROGRAMS += tests/unit/test_call
tests_unit_test_call_SOURCES = tests/unit/test_call.c
tests_unit_test_call_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_host
tests_unit_test_host_SOURCES = tests/unit/test_host.c
tests_unit_test_host_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_record
tests_unit_test_record_SOURCES = tests/unit/test_record.c
tests_unit_test_record_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_turn
tests_unit_test_turn_SOURCES = tests/unit/test_turn.c
tests_unit_test_turn_LDADD = $(TEST_LIBS)
