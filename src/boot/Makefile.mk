# Rendezvous of ranks and the out-of-band allgather.
libtrnccl_core_la_SOURCES += \
	src/boot/boot.c \
	src/boot/boot.h \
	src/boot/id.c \
	src/boot/id.h \
	src/boot/ifname.c \
	src/boot/ifname.h \
	src/boot/roster.c \
	src/boot/roster.h \
	src/boot/server.c \
	src/boot/server.h \
	src/boot/server_conn.c \
	src/boot/server_internal.h \
	src/boot/server_round.c \
	src/boot/wire.c \
	src/boot/wire.h
