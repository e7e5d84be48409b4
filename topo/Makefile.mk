# The machine: model, where it comes from, searches on it.
libtrnccl_core_la_SOURCES += \
	topo/digraph.h \
	topo/model.h
