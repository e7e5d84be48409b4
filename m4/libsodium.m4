dnl libsodium: random bytes, keyed hashes of the rendezvous. Always needed.
dnl 1.0.18 is what Debian 12 ships.
AC_DEFUN([TRNCCL_CHECK_LIBSODIUM], [
    PKG_CHECK_MODULES([LIBSODIUM], [libsodium >= 1.0.18], [],
        [AC_MSG_ERROR([libsodium >= 1.0.18 not found (Debian: apt-get install libsodium-dev)])])
])
