dnl hwloc: the topology of the host. --with-hwloc demands it, --without-hwloc leaves it out, neither uses it if
dnl found. Sets HWLOC_CFLAGS, HWLOC_LIBS, HAVE_HWLOC (config.h and automake).
AC_DEFUN([TRNCCL_CHECK_HWLOC], [
    AC_ARG_WITH([hwloc], [AS_HELP_STRING([--without-hwloc], [build without hwloc])],
        [], [with_hwloc=auto])
    trnccl_have_hwloc=no
    AS_IF([test "x$with_hwloc" != xno], [
        PKG_CHECK_MODULES([HWLOC], [hwloc >= 2.4], [trnccl_have_hwloc=yes], [
            AS_IF([test "x$with_hwloc" != xauto],
                [AC_MSG_ERROR([hwloc >= 2.4 not found (Debian: apt-get install libhwloc-dev)])])
        ])
    ])
    AS_IF([test "x$trnccl_have_hwloc" = xyes],
        [AC_DEFINE([HAVE_HWLOC], [1], [Define if hwloc is available.])])
    AM_CONDITIONAL([HAVE_HWLOC], [test "x$trnccl_have_hwloc" = xyes])
])
