dnl MPI: launching and tests only; the library never links it.
dnl --with-mpi demands it, --without-mpi leaves it out, neither uses it if found. The
dnl compiler wrapper MPICC (default mpicc) is asked for its flags, so that everything is
dnl compiled by $CC. Sets MPI_CFLAGS, MPI_LIBS, MPIRUN, HAVE_MPI (config.h and automake).
AC_DEFUN([TRNCCL_CHECK_MPI], [
    AC_ARG_WITH([mpi], [AS_HELP_STRING([--without-mpi],
        [build tools and tests without MPI launching])], [], [with_mpi=auto])
    AC_ARG_VAR([MPICC], [MPI compiler wrapper])
    AC_ARG_VAR([MPIRUN], [MPI launcher])
    MPI_CFLAGS=
    MPI_LIBS=
    trnccl_have_mpi=no
    AS_IF([test "x$with_mpi" != xno], [
        AC_PATH_PROGS([MPICC], [mpicc])
        AC_PATH_PROGS([MPIRUN], [mpirun mpiexec])
        AS_IF([test "x$MPICC" != x && test "x$MPIRUN" != x], [
            dnl Open MPI answers --showme, MPICH -compile-info and -link-info with the
            dnl whole command, whose first word is the compiler.
            AS_IF([MPI_CFLAGS=`$MPICC --showme:compile 2>/dev/null`],
                [MPI_LIBS=`$MPICC --showme:link 2>/dev/null`],
                [MPI_CFLAGS=`$MPICC -compile-info 2>/dev/null | cut -d' ' -f2-`
                 MPI_LIBS=`$MPICC -link-info 2>/dev/null | cut -d' ' -f2-`])
            trnccl_saved_cflags=$CFLAGS
            trnccl_saved_libs=$LIBS
            CFLAGS="$CFLAGS $MPI_CFLAGS"
            LIBS="$MPI_LIBS $LIBS"
            AC_MSG_CHECKING([whether a program links with $MPICC's flags])
            AC_LINK_IFELSE(
                [AC_LANG_PROGRAM([[#include <mpi.h>]], [[MPI_Init((void *)0, (void *)0);]])],
                [trnccl_have_mpi=yes])
            AC_MSG_RESULT([$trnccl_have_mpi])
            CFLAGS=$trnccl_saved_cflags
            LIBS=$trnccl_saved_libs
        ])
        AS_IF([test "x$trnccl_have_mpi" = xno && test "x$with_mpi" != xauto],
            [AC_MSG_ERROR([no working MPI (Debian: apt-get install libopenmpi-dev openmpi-bin)])])
    ])
    AS_IF([test "x$trnccl_have_mpi" = xyes],
        [AC_DEFINE([HAVE_MPI], [1], [Define if tools and tests may use MPI.])])
    AM_CONDITIONAL([HAVE_MPI], [test "x$trnccl_have_mpi" = xyes])
    AC_SUBST([MPI_CFLAGS])
    AC_SUBST([MPI_LIBS])
])
