libtrnccl_core_la_SOURCES += \
	transports/cma.c \
	transports/cma.h \
	transports/registry.c \
	transports/ring.c \
	transports/ring.h \
	transports/segment.c \
	transports/segment.h \
	transports/self.c \
	transports/shm.c \
	transports/transport.h

check_PROGRAMS += tests/unit/test_transports_registry
tests_unit_test_transports_registry_SOURCES = tests/unit/test_transports_registry.c
tests_unit_test_transports_registry_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_transports_segment
tests_unit_test_transports_segment_SOURCES = tests/unit/test_transports_segment.c
tests_unit_test_transports_segment_LDADD = $(TEST_LIBS)
