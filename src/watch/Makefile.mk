# Who is alive; abort.
libtrnccl_core_la_SOURCES += \
	src/watch/links.c \
	src/watch/links.h \
	src/watch/links_connect.c \
	src/watch/links_internal.h

check_PROGRAMS += tests/unit/test_watch_links
tests_unit_test_watch_links_SOURCES = tests/unit/test_watch_links.c
tests_unit_test_watch_links_LDADD = $(TEST_LIBS)
