dnl jansson: JSON in and out of the tools. Always needed.
AC_DEFUN([TRNCCL_CHECK_JANSSON], [
    PKG_CHECK_MODULES([JANSSON], [jansson >= 2.13], [],
        [AC_MSG_ERROR([jansson >= 2.13 not found (Debian: apt-get install libjansson-dev)])])
])
