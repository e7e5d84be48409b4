# Which schedule a call runs.
libtrnccl_core_la_SOURCES += \
	src/plan/choose.c \
	src/plan/choose.h \
	src/plan/imported.c \
	src/plan/imported.h \
	src/plan/plan.c \
	src/plan/plan.h
