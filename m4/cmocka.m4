dnl cmocka: the unit tests. Without it the library builds and `make check` says what is
dnl missing.
AC_DEFUN([TRNCCL_CHECK_CMOCKA], [
    trnccl_have_cmocka=no
    PKG_CHECK_MODULES([CMOCKA], [cmocka >= 1.1.5], [trnccl_have_cmocka=yes],
        [AC_MSG_WARN([no cmocka >= 1.1.5: make check will not work (libcmocka-dev)])])
    AM_CONDITIONAL([HAVE_CMOCKA], [test "x$trnccl_have_cmocka" = xyes])
])
