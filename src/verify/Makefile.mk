# Proof that a schedule does what its collective promises.
libtrnccl_core_la_SOURCES += \
	src/verify/verify.h
