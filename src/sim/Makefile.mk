# Simulates schedules on a model.
libtrnccl_core_la_SOURCES += \
	src/sim/sim.h
