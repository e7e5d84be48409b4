# Schedules: the step, the builder, layout, text form.
libtrnccl_core_la_SOURCES += \
	src/sched/build.c \
	src/sched/build.h \
	src/sched/derive.c \
	src/sched/derive.h \
	src/sched/finish.c \
	src/sched/graph.h \
	src/sched/layout.c \
	src/sched/layout.h \
	src/sched/lines.c \
	src/sched/lines.h \
	src/sched/raw.h \
	src/sched/rounds.c \
	src/sched/rounds.h \
	src/sched/sched.c \
	src/sched/sched.h \
	src/sched/text.c \
	src/sched/text.h \
	src/sched/text_draw.c \
	src/sched/text_parse.c

check_PROGRAMS += \
	tests/unit/test_sched_build \
	tests/unit/test_sched_derive \
	tests/unit/test_sched_layout \
	tests/unit/test_sched_sched \
	tests/unit/test_sched_text
tests_unit_test_sched_build_SOURCES = tests/unit/test_sched_build.c
tests_unit_test_sched_build_LDADD = $(TEST_LIBS)
tests_unit_test_sched_derive_SOURCES = tests/unit/test_sched_derive.c
tests_unit_test_sched_derive_LDADD = $(TEST_LIBS)
tests_unit_test_sched_layout_SOURCES = tests/unit/test_sched_layout.c
tests_unit_test_sched_layout_LDADD = $(TEST_LIBS)
tests_unit_test_sched_sched_SOURCES = tests/unit/test_sched_sched.c
tests_unit_test_sched_sched_LDADD = $(TEST_LIBS)
tests_unit_test_sched_text_SOURCES = tests/unit/test_sched_text.c \
	tests/fuzz/fuzz_sched_text.c
tests_unit_test_sched_text_LDADD = $(TEST_LIBS)

noinst_HEADERS += tests/support/random_sched.h
EXTRA_DIST += docs/schedule-format.md
