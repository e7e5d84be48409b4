# The machine: model, where it comes from, searches on it.
libtrnccl_core_la_SOURCES += \
	topo/box.h \
	topo/box_check.c \
	topo/builder.c \
	topo/damage.c \
	topo/damage.h \
	topo/digraph.c \
	topo/digraph.h \
	topo/file.c \
	topo/file.h \
	topo/flow.c \
	topo/flow.h \
	topo/flow_bound.c \
	topo/flow_bound.h \
	topo/flow_bound_pairs.c \
	topo/graph_of.c \
	topo/graph_of.h \
	topo/json_place.c \
	topo/json_place.h \
	topo/model.c \
	topo/model.h \
	topo/nccl_xml.c \
	topo/nccl_xml.h \
	topo/number.c \
	topo/number.h \
	topo/pack.c \
	topo/pack.h \
	topo/pack_grow.c \
	topo/pack_internal.h \
	topo/pack_net.c \
	topo/pack_split.c \
	topo/path.c \
	topo/path.h \
	topo/path_box.c \
	topo/path_box.h \
	topo/preset.c \
	topo/preset.h \
	topo/preset_build.c \
	topo/preset_trn.c \
	topo/reach.c \
	topo/reach.h \
	topo/search_hop.c \
	topo/search_hop.h \
	topo/search_internal.h \
	topo/search_random.h \
	topo/search_ring.c \
	topo/search_ring.h \
	topo/search_ring_graph.c \
	topo/search_torus.c \
	topo/search_torus.h \
	topo/search_tree.c \
	topo/search_tree.h \
	topo/search_tree_graph.c \
	topo/snapshot.h \
	topo/snapshot_diff.c \
	topo/snapshot_load.c \
	topo/snapshot_names.h \
	topo/snapshot_read.c \
	topo/snapshot_read.h \
	topo/snapshot_save.c \
	topo/spec.c \
	topo/spec.h \
	topo/spec_list.c \
	topo/spec_list.h \
	topo/xml_doc.c \
	topo/xml_doc.h

check_PROGRAMS += tests/unit/test_topo_digraph
tests_unit_test_topo_digraph_SOURCES = tests/unit/test_topo_digraph.c
tests_unit_test_topo_digraph_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_flow
tests_unit_test_topo_flow_SOURCES = tests/unit/test_topo_flow.c
tests_unit_test_topo_flow_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_flow_bound
tests_unit_test_topo_flow_bound_SOURCES = tests/unit/test_topo_flow_bound.c
tests_unit_test_topo_flow_bound_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_graph_of
tests_unit_test_topo_graph_of_SOURCES = tests/unit/test_topo_graph_of.c
tests_unit_test_topo_graph_of_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_pack
tests_unit_test_topo_pack_SOURCES = tests/unit/test_topo_pack.c
tests_unit_test_topo_pack_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_search_ring
tests_unit_test_topo_search_ring_SOURCES = tests/unit/test_topo_search_ring.c
tests_unit_test_topo_search_ring_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_search_ring_graph
tests_unit_test_topo_search_ring_graph_SOURCES = tests/unit/test_topo_search_ring_graph.c
tests_unit_test_topo_search_ring_graph_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_search_tree
tests_unit_test_topo_search_tree_SOURCES = tests/unit/test_topo_search_tree.c
tests_unit_test_topo_search_tree_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_model
tests_unit_test_topo_model_SOURCES = tests/unit/test_topo_model.c
tests_unit_test_topo_model_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_nccl_xml
tests_unit_test_topo_nccl_xml_SOURCES = tests/unit/test_topo_nccl_xml.c
tests_unit_test_topo_nccl_xml_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_path
tests_unit_test_topo_path_SOURCES = tests/unit/test_topo_path.c
tests_unit_test_topo_path_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_preset
tests_unit_test_topo_preset_SOURCES = tests/unit/test_topo_preset.c
tests_unit_test_topo_preset_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_snapshot
tests_unit_test_topo_snapshot_SOURCES = tests/unit/test_topo_snapshot.c
tests_unit_test_topo_snapshot_CPPFLAGS = $(AM_CPPFLAGS) -DEXAMPLES='"$(abs_top_srcdir)/examples"'
tests_unit_test_topo_snapshot_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_topo_spec
tests_unit_test_topo_spec_SOURCES = tests/unit/test_topo_spec.c
tests_unit_test_topo_spec_LDADD = $(TEST_LIBS)

noinst_HEADERS += tests/support/topo_mutate.h

check_PROGRAMS += tests/unit/test_topo_damage
tests_unit_test_topo_damage_SOURCES = tests/unit/test_topo_damage.c
tests_unit_test_topo_damage_LDADD = $(TEST_LIBS)

# Whatever links the library's objects links this too.
libtrnccl_core_la_LIBADD += $(JANSSON_LIBS)

# Whatever links the library's objects links this too.
AM_CFLAGS += $(JANSSON_CFLAGS) $(LIBXML2_CFLAGS)
libtrnccl_core_la_LIBADD += $(JANSSON_LIBS) $(LIBXML2_LIBS)
