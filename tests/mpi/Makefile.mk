# Ranks started by an MPI launcher: the script runs the program and skips without MPI.
EXTRA_PROGRAMS += tests/mpi/collectives
tests_mpi_collectives_SOURCES = tests/mpi/collectives.c
tests_mpi_collectives_CFLAGS = $(AM_CFLAGS) $(MPI_CFLAGS)
tests_mpi_collectives_LDADD = libtrnccl.la $(MPI_LIBS)
CLEANFILES += tests/mpi/collectives$(EXEEXT)
if HAVE_MPI
check_DATA += tests/mpi/collectives$(EXEEXT)
endif

dist_check_SCRIPTS += tests/mpi/run
