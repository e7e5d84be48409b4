# Simulates schedules on a model.
libtrnccl_core_la_SOURCES += \
	src/sim/conns.c \
	src/sim/conns.h \
	src/sim/fair.c \
	src/sim/fifo.c \
	src/sim/fold.c \
	src/sim/fold.h \
	src/sim/heap.c \
	src/sim/heap.h \
	src/sim/lane.c \
	src/sim/machine.h \
	src/sim/route.c \
	src/sim/route.h \
	src/sim/run.c \
	src/sim/sim.h \
	src/sim/slices.c \
	src/sim/slices.h \
	src/sim/source.c \
	src/sim/work.c

# Machines for tests of what runs on one.
noinst_HEADERS += tests/support/sim_models.h

check_PROGRAMS += tests/unit/test_sim_heap
tests_unit_test_sim_heap_SOURCES = tests/unit/test_sim_heap.c
tests_unit_test_sim_heap_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_sim_route
tests_unit_test_sim_route_SOURCES = tests/unit/test_sim_route.c tests/support/sim_models.c
tests_unit_test_sim_route_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_sim_run
tests_unit_test_sim_run_SOURCES = tests/unit/test_sim_run.c tests/support/sim_models.c
tests_unit_test_sim_run_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_sim_fold
tests_unit_test_sim_fold_SOURCES = tests/unit/test_sim_fold.c tests/support/sim_models.c
tests_unit_test_sim_fold_LDADD = $(TEST_LIBS)
