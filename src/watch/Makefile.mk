# Who is alive; abort.
libtrnccl_core_la_SOURCES += \
	src/watch/links.h
