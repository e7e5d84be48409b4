# Algorithms: each file emits the schedules of one idea. One line each, sorted.
libtrnccl_core_la_SOURCES += src/algo/algo.c src/algo/algo.h
libtrnccl_core_la_SOURCES += src/algo/all_to_all_bruck.c
libtrnccl_core_la_SOURCES += src/algo/all_to_all_direct.c
libtrnccl_core_la_SOURCES += src/algo/binomial.c
libtrnccl_core_la_SOURCES += src/algo/binomial_gather.c
libtrnccl_core_la_SOURCES += src/algo/bruck.c
libtrnccl_core_la_SOURCES += src/algo/bucket.c
libtrnccl_core_la_SOURCES += src/algo/chain.c
libtrnccl_core_la_SOURCES += src/algo/chip_mesh.c
libtrnccl_core_la_SOURCES += src/algo/cycles.c
libtrnccl_core_la_SOURCES += src/algo/direct.c
libtrnccl_core_la_SOURCES += src/algo/compose.c src/algo/compose.h
libtrnccl_core_la_SOURCES += src/algo/dissemination.c
libtrnccl_core_la_SOURCES += src/algo/double_tree.c
libtrnccl_core_la_SOURCES += src/algo/embed.c src/algo/embed.h
libtrnccl_core_la_SOURCES += src/algo/halving.c
libtrnccl_core_la_SOURCES += src/algo/hierarchical.c
libtrnccl_core_la_SOURCES += src/algo/kangaring.c
libtrnccl_core_la_SOURCES += src/algo/list.c
libtrnccl_core_la_SOURCES += src/algo/packed_trees.c
libtrnccl_core_la_SOURCES += src/algo/pat.c
libtrnccl_core_la_SOURCES += src/algo/permute.c
libtrnccl_core_la_SOURCES += src/algo/planes.c src/algo/planes.h
libtrnccl_core_la_SOURCES += src/algo/ranks.h
libtrnccl_core_la_SOURCES += src/algo/recursive_doubling.c
libtrnccl_core_la_SOURCES += src/algo/recursive_multiplying.c
libtrnccl_core_la_SOURCES += src/algo/ring.c src/algo/ring.h
libtrnccl_core_la_SOURCES += src/algo/rooted_direct.c
libtrnccl_core_la_SOURCES += src/algo/rooted_double_tree.c
libtrnccl_core_la_SOURCES += src/algo/rotated_doubling.c
libtrnccl_core_la_SOURCES += src/algo/rotated_halving.c
libtrnccl_core_la_SOURCES += src/algo/runs.h
libtrnccl_core_la_SOURCES += src/algo/scatter_allgather.c
libtrnccl_core_la_SOURCES += src/algo/split.c src/algo/split.h
libtrnccl_core_la_SOURCES += src/algo/swaps.c src/algo/swaps.h
libtrnccl_core_la_SOURCES += src/algo/swing.c
libtrnccl_core_la_SOURCES += src/algo/torus.c src/algo/torus.h
libtrnccl_core_la_SOURCES += src/algo/tree.c src/algo/tree.h

check_PROGRAMS += tests/unit/test_algo_claims
tests_unit_test_algo_claims_SOURCES = tests/unit/test_algo_claims.c
tests_unit_test_algo_claims_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_algo_golden
tests_unit_test_algo_golden_SOURCES = tests/unit/test_algo_golden.c
tests_unit_test_algo_golden_LDADD = $(GRAPH_LIBS) $(TEST_LIBS)
EXTRA_DIST += tests/golden

check_PROGRAMS += tests/unit/test_algo_tree
tests_unit_test_algo_tree_SOURCES = tests/unit/test_algo_tree.c
tests_unit_test_algo_tree_LDADD = $(TEST_LIBS)

dist_check_SCRIPTS += tests/scripts/algo-drawings

check_PROGRAMS += tests/unit/test_algo_machine
tests_unit_test_algo_machine_SOURCES = tests/unit/test_algo_machine.c
tests_unit_test_algo_machine_LDADD = $(GRAPH_LIBS) $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_algo_torus
tests_unit_test_algo_torus_SOURCES = tests/unit/test_algo_torus.c
tests_unit_test_algo_torus_LDADD = $(TEST_LIBS)
