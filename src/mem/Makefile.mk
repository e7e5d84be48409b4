# Memory: allocation, registration, combine kernels.
libtrnccl_core_la_SOURCES += \
	src/mem/alloc.c \
	src/mem/alloc.h \
	src/mem/combine.c \
	src/mem/combine.h \
	src/mem/combine_set.h \
	src/mem/combine_word.h \
	src/mem/region.h

# One library per instruction set: the same kernels with flags of their own. No canaries:
# their local arrays are vectors in registers, indexed by constants.
combine_sources = \
	src/mem/combine_copy.h \
	src/mem/combine_fold.h \
	src/mem/combine_format.h \
	src/mem/combine_kernels.h \
	src/mem/combine_set.h \
	src/mem/combine_vector.h \
	src/mem/combine_word.h
combine_cflags = -ffp-contract=off -fno-stack-protector $(KERNEL_CFLAGS)

noinst_LTLIBRARIES += libcombine_portable.la
libcombine_portable_la_SOURCES = src/mem/combine_portable.c $(combine_sources)
libcombine_portable_la_CFLAGS = $(AM_CFLAGS) $(combine_cflags)
libtrnccl_core_la_LIBADD += libcombine_portable.la

EXTRA_DIST += docs/arithmetic.md src/mem/combine_f16c.h
if TARGET_X86_64
noinst_LTLIBRARIES += libcombine_avx2.la libcombine_avx512.la
libcombine_avx2_la_SOURCES = src/mem/combine_avx2.c $(combine_sources)
libcombine_avx2_la_CFLAGS = $(AM_CFLAGS) $(combine_cflags) -mavx2 -mf16c
libcombine_avx512_la_SOURCES = src/mem/combine_avx512.c $(combine_sources)
libcombine_avx512_la_CFLAGS = $(AM_CFLAGS) $(combine_cflags) -mavx2 -mf16c -mavx512f -mavx512bw \
	-mavx512vl -mavx512dq
libtrnccl_core_la_LIBADD += libcombine_avx2.la libcombine_avx512.la
endif

check_PROGRAMS += tests/unit/test_mem_combine
tests_unit_test_mem_combine_SOURCES = tests/unit/test_mem_combine.c \
	tests/support/combine_oracle.c tests/support/combine_oracle.h \
	tests/support/combine_sets.h
tests_unit_test_mem_combine_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_mem_combine_copy
tests_unit_test_mem_combine_copy_SOURCES = tests/unit/test_mem_combine_copy.c \
	tests/support/combine_sets.h
tests_unit_test_mem_combine_copy_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_mem_combine_values
tests_unit_test_mem_combine_values_SOURCES = tests/unit/test_mem_combine_values.c \
	tests/support/combine_oracle.c tests/support/combine_oracle.h \
	tests/support/combine_sets.h
tests_unit_test_mem_combine_values_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/test_mem_alloc
tests_unit_test_mem_alloc_SOURCES = tests/unit/test_mem_alloc.c
tests_unit_test_mem_alloc_LDADD = $(TEST_LIBS)
