dnl libfabric: the network transport. --with-libfabric demands it, --without-libfabric leaves it out, neither uses it if
dnl found. Sets LIBFABRIC_CFLAGS, LIBFABRIC_LIBS, HAVE_LIBFABRIC (config.h and automake).
AC_DEFUN([TRNCCL_CHECK_LIBFABRIC], [
    AC_ARG_WITH([libfabric], [AS_HELP_STRING([--without-libfabric], [build without libfabric])],
        [], [with_libfabric=auto])
    trnccl_have_libfabric=no
    AS_IF([test "x$with_libfabric" != xno], [
        PKG_CHECK_MODULES([LIBFABRIC], [libfabric >= 1.17], [trnccl_have_libfabric=yes], [
            AS_IF([test "x$with_libfabric" != xauto],
                [AC_MSG_ERROR([libfabric >= 1.17 not found (Debian: apt-get install libfabric-dev)])])
        ])
    ])
    AS_IF([test "x$trnccl_have_libfabric" = xyes],
        [AC_DEFINE([HAVE_LIBFABRIC], [1], [Define if libfabric is available.])])
    AM_CONDITIONAL([HAVE_LIBFABRIC], [test "x$trnccl_have_libfabric" = xyes])
])
