dnl libxml2: schedules and topologies of other tools. Always needed.
AC_DEFUN([TRNCCL_CHECK_LIBXML2], [
    PKG_CHECK_MODULES([LIBXML2], [libxml-2.0 >= 2.9], [],
        [AC_MSG_ERROR([libxml2 >= 2.9 not found (Debian: apt-get install libxml2-dev)])])
])
