# Rendezvous of ranks and the out-of-band allgather.
libtrnccl_core_la_SOURCES += \
	src/boot/boot.c \
	src/boot/boot.h \
	src/boot/id.c \
	src/boot/id.h \
	src/boot/ifname.c \
	src/boot/ifname.h \
	src/boot/roster.c \
	src/boot/roster.h \
	src/boot/server.c \
	src/boot/server.h \
	src/boot/server_conn.c \
	src/boot/server_internal.h \
	src/boot/server_round.c \
	src/boot/wire.c \
	src/boot/wire.h

EXTRA_DIST += docs/bootstrap.md

check_PROGRAMS += tests/unit/test_boot_boot
tests_unit_test_boot_boot_SOURCES = \
	tests/support/boot_ranks.h \
	tests/unit/test_boot_boot.c
tests_unit_test_boot_boot_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_boot_id
tests_unit_test_boot_id_SOURCES = tests/unit/test_boot_id.c
tests_unit_test_boot_id_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_boot_process
tests_unit_test_boot_process_SOURCES = \
	tests/support/boot_ranks.h \
	tests/unit/test_boot_process.c
tests_unit_test_boot_process_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_boot_roster
tests_unit_test_boot_roster_SOURCES = tests/unit/test_boot_roster.c
tests_unit_test_boot_roster_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_boot_strangers
tests_unit_test_boot_strangers_SOURCES = \
	tests/support/boot_ranks.h \
	tests/unit/test_boot_strangers.c
tests_unit_test_boot_strangers_LDADD = $(TEST_LIBS)
