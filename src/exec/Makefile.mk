# Runs one rank's schedule over transports.
libtrnccl_core_la_SOURCES += \
	src/exec/program.c \
	src/exec/program.h \
	src/exec/run.c \
	src/exec/run.h \
	src/exec/wait.c \
	src/exec/wait.h
