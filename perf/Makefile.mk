# trn-collective-perf. Everything but main() is a convenience library, so that tests can
# run it on a stand-in for the library. It sees nothing of libtrnccl but its header.
noinst_LTLIBRARIES += perf/libperf.la
perf_libperf_la_SOURCES =
perf_libperf_la_SOURCES += perf/check.c perf/check.h
perf_libperf_la_SOURCES += perf/data.c perf/data.h
perf_libperf_la_SOURCES += perf/fail.c perf/fail.h
perf_libperf_la_SOURCES += perf/host.c perf/host.h
perf_libperf_la_SOURCES += perf/launch.c perf/launch.h
perf_libperf_la_SOURCES += perf/launch_local.c
perf_libperf_la_SOURCES += perf/launch_mpi.c perf/mpi_module.h
perf_libperf_la_SOURCES += perf/measure.c perf/measure.h
perf_libperf_la_SOURCES += perf/names.c perf/names.h
perf_libperf_la_SOURCES += perf/number.c perf/number.h
perf_libperf_la_SOURCES += perf/ops.c perf/ops.h
perf_libperf_la_SOURCES += perf/options.c perf/options.h
perf_libperf_la_SOURCES += perf/report.h
perf_libperf_la_SOURCES += perf/report_csv.c
perf_libperf_la_SOURCES += perf/report_json.c
perf_libperf_la_SOURCES += perf/report_text.c
perf_libperf_la_SOURCES += perf/session.c perf/session.h
perf_libperf_la_SOURCES += perf/shmlink.c perf/shmlink.h
perf_libperf_la_SOURCES += perf/stats.c perf/stats.h
perf_libperf_la_SOURCES += perf/sweep.c perf/sweep.h
perf_libperf_la_SOURCES += perf/team.c perf/team.h
perf_libperf_la_SOURCES += perf/vsizes.c perf/vsizes.h
perf_libperf_la_CPPFLAGS = $(AM_CPPFLAGS) -DPERF_MODULE_DIR='"$(pkglibdir)"'
perf_libperf_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
perf_libperf_la_LIBADD = $(JANSSON_LIBS) -lm -ldl

bin_PROGRAMS += trn-collective-perf
trn_collective_perf_SOURCES = perf/main.c
trn_collective_perf_LDADD = perf/libperf.la libtrnccl.la

# trnccl, which looks inside: it links what tests link.
bin_PROGRAMS += trnccl
trnccl_SOURCES = perf/trnccl.c
trnccl_SOURCES += perf/trnccl_command.c perf/trnccl_command.h
trnccl_SOURCES += perf/trnccl_picture.c perf/trnccl_picture.h
trnccl_SOURCES += perf/trnccl_schedule.c
trnccl_SOURCES += perf/trnccl_source.c perf/trnccl_source.h
trnccl_SOURCES += perf/trnccl_topo.c
trnccl_LDADD = perf/libperf.la libtrnccl_core.la $(LIBSODIUM_LIBS) -lm

# The only thing here that links MPI; opened when an MPI launcher started the tool.
if HAVE_MPI
pkglib_LTLIBRARIES = trnccl-perf-mpi.la
trnccl_perf_mpi_la_SOURCES = perf/mpi_module.c perf/mpi_module.h
trnccl_perf_mpi_la_CFLAGS = $(AM_CFLAGS) $(MPI_CFLAGS)
trnccl_perf_mpi_la_LIBADD = $(MPI_LIBS)
trnccl_perf_mpi_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version
endif

dist_man_MANS += docs/man/trn-collective-perf.1
dist_man_MANS += docs/man/trnccl.1

# The combine kernels by themselves, beside memcpy; run by hand.
EXTRA_PROGRAMS += bench-combine
CLEANFILES += bench-combine$(EXEEXT)
bench_combine_SOURCES = perf/bench/combine.c
bench_combine_LDADD = libtrnccl_core.la $(LIBSODIUM_LIBS) -lm

# The simulator: events per second and memory, on jobs whose steps are computed; by hand.
EXTRA_PROGRAMS += bench-sim
CLEANFILES += bench-sim$(EXEEXT)
bench_sim_SOURCES = perf/bench/sim.c perf/bench/sim_sources.c perf/bench/sim_sources.h \
	tests/support/sim_models.c
bench_sim_LDADD = libtrnccl_core.la $(LIBSODIUM_LIBS) -lm

# make bench: one interleaved comparison with Debian's Open MPI and MPICH, as far as their
# compilers are there. BENCH_FLAGS="--quick" for a look.
EXTRA_PROGRAMS += bench-trnccl
CLEANFILES += bench-trnccl$(EXEEXT) bench-openmpi bench-mpich
bench_trnccl_SOURCES = perf/bench/driver.c perf/bench/library.h \
	perf/bench/library_trnccl.c perf/bench/line.c perf/bench/line.h
bench_trnccl_LDADD = perf/libperf.la libtrnccl.la
EXTRA_PROGRAMS += bench-floor
CLEANFILES += bench-floor$(EXEEXT)
bench_floor_SOURCES = perf/bench/driver.c perf/bench/library.h \
	perf/bench/library_floor.c perf/bench/line.c perf/bench/line.h
bench_floor_LDADD = libtrnccl_core.la $(LIBSODIUM_LIBS) -lm

bench_mpi_sources = perf/bench/driver.c perf/bench/library_mpi.c perf/bench/line.c
EXTRA_DIST += perf/bench-peers perf/bench/library_mpi.c
bench_mpi_build = cd $(srcdir) && $$mpicc -std=gnu11 -O2 -D_GNU_SOURCE -I. \
	$(bench_mpi_sources) -o $(abs_builddir)/$@

bench-openmpi: $(bench_mpi_sources) perf/bench/library.h perf/bench/line.h
	$(AM_V_CCLD)if mpicc=$$(command -v mpicc.openmpi); then $(bench_mpi_build); fi

bench-mpich: $(bench_mpi_sources) perf/bench/library.h perf/bench/line.h
	$(AM_V_CCLD)if mpicc=$$(command -v mpicc.mpich); then $(bench_mpi_build); fi

.PHONY: bench
bench: all bench-trnccl$(EXEEXT) bench-floor$(EXEEXT) bench-openmpi bench-mpich
	$(srcdir)/perf/bench-peers --dir $(builddir) $(BENCH_FLAGS)

# Tests. Those that run the tool's code link a stand-in for the library, tests/perf.
PERF_TEST_LIBS = perf/libperf.la $(CMOCKA_LIBS) $(JANSSON_LIBS) -lm
perf_stand_in = tests/perf/fake_trnccl.c tests/perf/fake_trnccl.h

check_PROGRAMS += tests/unit/test_perf_data
tests_unit_test_perf_data_SOURCES = tests/unit/test_perf_data.c $(perf_stand_in)
tests_unit_test_perf_data_LDADD = $(PERF_TEST_LIBS)

check_PROGRAMS += tests/unit/test_perf_launch
tests_unit_test_perf_launch_SOURCES = tests/unit/test_perf_launch.c $(perf_stand_in)
tests_unit_test_perf_launch_LDADD = $(PERF_TEST_LIBS)

check_PROGRAMS += tests/unit/test_perf_names
tests_unit_test_perf_names_SOURCES = tests/unit/test_perf_names.c $(perf_stand_in)
tests_unit_test_perf_names_LDADD = $(PERF_TEST_LIBS)

check_PROGRAMS += tests/unit/test_perf_ops
tests_unit_test_perf_ops_SOURCES = tests/unit/test_perf_ops.c $(perf_stand_in)
tests_unit_test_perf_ops_LDADD = $(PERF_TEST_LIBS)

check_PROGRAMS += tests/unit/test_perf_options
tests_unit_test_perf_options_SOURCES = tests/unit/test_perf_options.c $(perf_stand_in)
tests_unit_test_perf_options_LDADD = $(PERF_TEST_LIBS)

check_PROGRAMS += tests/unit/test_perf_report
tests_unit_test_perf_report_SOURCES = tests/unit/test_perf_report.c $(perf_stand_in)
tests_unit_test_perf_report_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_perf_report_LDADD = $(PERF_TEST_LIBS)

check_PROGRAMS += tests/unit/test_perf_stats
tests_unit_test_perf_stats_SOURCES = tests/unit/test_perf_stats.c $(perf_stand_in)
tests_unit_test_perf_stats_LDADD = $(PERF_TEST_LIBS)

check_PROGRAMS += tests/unit/test_perf_sweep
tests_unit_test_perf_sweep_SOURCES = tests/unit/test_perf_sweep.c $(perf_stand_in)
tests_unit_test_perf_sweep_LDADD = $(PERF_TEST_LIBS)

# The tools themselves on the library itself.
dist_check_SCRIPTS += tests/scripts/perf-tool
dist_check_SCRIPTS += tests/scripts/schedule-tool tests/scripts/topo-tool
EXTRA_DIST += tests/msccl
