# Algorithms: each file emits the schedules of one algorithm.
libtrnccl_core_la_SOURCES += \
	src/algo/algo.h
