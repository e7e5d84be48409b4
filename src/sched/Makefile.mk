# Schedules: the step, the builder, layout, text form.
libtrnccl_core_la_SOURCES += \
	src/sched/build.h \
	src/sched/layout.h \
	src/sched/sched.h \
	src/sched/text.h
