# The machine: model, where it comes from, searches on it.
libtrnccl_core_la_SOURCES += \
	topo/digraph.c \
	topo/digraph.h \
	topo/flow.c \
	topo/flow.h \
	topo/flow_bound.c \
	topo/flow_bound.h \
	topo/flow_bound_pairs.c \
	topo/model.h \
	topo/search_random.h

check_PROGRAMS += tests/unit/test_topo_digraph
tests_unit_test_topo_digraph_SOURCES = tests/unit/test_topo_digraph.c
tests_unit_test_topo_digraph_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_flow
tests_unit_test_topo_flow_SOURCES = tests/unit/test_topo_flow.c
tests_unit_test_topo_flow_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_flow_bound
tests_unit_test_topo_flow_bound_SOURCES = tests/unit/test_topo_flow_bound.c
tests_unit_test_topo_flow_bound_LDADD = $(TEST_LIBS)
