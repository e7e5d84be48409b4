# Small programs against the public header only. They are tests, and installed as text.
exampledir = $(docdir)/examples
dist_example_DATA = examples/hello_allreduce.c examples/mpi_bootstrap.c \
	examples/threads_group.c examples/trainium4.json

check_PROGRAMS += examples/hello_allreduce
examples_hello_allreduce_SOURCES = examples/hello_allreduce.c
examples_hello_allreduce_LDADD = libtrnccl.la

check_PROGRAMS += examples/threads_group
examples_threads_group_SOURCES = examples/threads_group.c
examples_threads_group_LDADD = libtrnccl.la

# Needs mpirun, so a script runs it.
dist_check_SCRIPTS += tests/scripts/example-mpi
if HAVE_MPI
EXTRA_PROGRAMS += examples/mpi_bootstrap
check_DATA += examples/mpi_bootstrap$(EXEEXT)
CLEANFILES += examples/mpi_bootstrap$(EXEEXT)
examples_mpi_bootstrap_SOURCES = examples/mpi_bootstrap.c
examples_mpi_bootstrap_CFLAGS = $(AM_CFLAGS) $(MPI_CFLAGS)
examples_mpi_bootstrap_LDADD = libtrnccl.la $(MPI_LIBS)
endif
