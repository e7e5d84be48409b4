# Schedules of other tools: MSCCL's XML in and out.
AM_CFLAGS += $(LIBXML2_CFLAGS)
libtrnccl_core_la_LIBADD += $(LIBXML2_LIBS)
libtrnccl_core_la_SOURCES += \
	src/format/msccl.c \
	src/format/msccl.h \
	src/format/msccl_flow.c \
	src/format/msccl_flow.h \
	src/format/msccl_link.c \
	src/format/msccl_link.h \
	src/format/msccl_lower.c \
	src/format/msccl_lower.h \
	src/format/msccl_ops.c \
	src/format/msccl_ops.h \
	src/format/msccl_place.c \
	src/format/msccl_place.h \
	src/format/msccl_race.c \
	src/format/msccl_race.h \
	src/format/msccl_xml_in.c \
	src/format/msccl_xml_in.h \
	src/format/msccl_xml_out.c \
	src/format/msccl_xml_out.h

check_PROGRAMS += tests/unit/test_format_msccl
tests_unit_test_format_msccl_SOURCES = tests/unit/test_format_msccl.c
tests_unit_test_format_msccl_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_format_msccl_xml
tests_unit_test_format_msccl_xml_SOURCES = tests/unit/test_format_msccl_xml.c
tests_unit_test_format_msccl_xml_LDADD = $(TEST_LIBS)
