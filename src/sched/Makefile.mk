# Schedules: the step, the builder, layout, text form.
libtrnccl_core_la_SOURCES += \
	src/sched/build.c \
	src/sched/build.h \
	src/sched/derive.c \
	src/sched/derive.h \
	src/sched/finish.c \
	src/sched/layout.c \
	src/sched/layout.h \
	src/sched/lines.c \
	src/sched/lines.h \
	src/sched/raw.h \
	src/sched/rounds.c \
	src/sched/rounds.h \
	src/sched/sched.c \
	src/sched/sched.h \
	src/sched/text.c \
	src/sched/text.h \
	src/sched/text_draw.c \
	src/sched/text_parse.c
