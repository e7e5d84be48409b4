# Algorithms: each file emits the schedules of one algorithm.
libtrnccl_core_la_SOURCES += \
	src/algo/algo.h \
	src/algo/tree.c \
	src/algo/tree.h

check_PROGRAMS += tests/unit/test_algo_tree
tests_unit_test_algo_tree_SOURCES = tests/unit/test_algo_tree.c
tests_unit_test_algo_tree_LDADD = $(TEST_LIBS)
