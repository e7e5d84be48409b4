# Rendezvous of ranks and the out-of-band allgather.
libtrnccl_core_la_SOURCES += \
	src/boot/boot.h
