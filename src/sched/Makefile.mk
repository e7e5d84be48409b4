# Schedules: the step, the builder, layout, text form.
libtrnccl_core_la_SOURCES += \
	src/sched/build.c \
	src/sched/build.h \
	src/sched/derive.c \
	src/sched/derive.h \
	src/sched/finish.c \
	src/sched/layout.c \
	src/sched/layout.h \
	src/sched/raw.h \
	src/sched/sched.c \
	src/sched/sched.h \
	src/sched/text.h
