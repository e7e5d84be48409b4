libtrnccl_core_la_SOURCES += \
	transports/registry.c \
	transports/ring.c \
	transports/ring.h \
	transports/segment.c \
	transports/segment.h \
	transports/self.c \
	transports/shm.c \
	transports/transport.h
