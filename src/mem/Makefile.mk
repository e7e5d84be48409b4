# Memory: allocation, registration, combine kernels.
libtrnccl_core_la_SOURCES += \
	src/mem/alloc.c \
	src/mem/alloc.h \
	src/mem/combine.h \
	src/mem/region.h
