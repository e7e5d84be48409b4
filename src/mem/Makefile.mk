# Memory: allocation, registration, combine kernels.
libtrnccl_core_la_SOURCES += \
	src/mem/combine.h
