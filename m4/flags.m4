dnl TRNCCL_CHECK_FLAGS: warnings, hardening and sanitizers.
dnl Sets HOUSE_CFLAGS, HOUSE_CPPFLAGS, HOUSE_LDFLAGS (substituted); the user's CFLAGS stay
dnl the user's.

dnl TRNCCL_TRY_CFLAG(FLAG): appends FLAG to HOUSE_CFLAGS if the compiler knows it.
AC_DEFUN([TRNCCL_TRY_CFLAG], [
    AS_VAR_PUSHDEF([known], [trnccl_cv_cflag_$1])
    AC_CACHE_CHECK([whether $CC knows $1], [known], [
        trnccl_saved_cflags=$CFLAGS
        CFLAGS="$CFLAGS -Werror $1"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
            [AS_VAR_SET([known], [yes])], [AS_VAR_SET([known], [no])])
        CFLAGS=$trnccl_saved_cflags
    ])
    AS_VAR_IF([known], [yes], [HOUSE_CFLAGS="$HOUSE_CFLAGS $1"])
    AS_VAR_POPDEF([known])
])

dnl TRNCCL_TRY_LDFLAG(FLAG): the same for HOUSE_LDFLAGS.
AC_DEFUN([TRNCCL_TRY_LDFLAG], [
    AS_VAR_PUSHDEF([known], [trnccl_cv_ldflag_$1])
    AC_CACHE_CHECK([whether $CC links with $1], [known], [
        trnccl_saved_ldflags=$LDFLAGS
        LDFLAGS="$LDFLAGS $1"
        AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
            [AS_VAR_SET([known], [yes])], [AS_VAR_SET([known], [no])])
        LDFLAGS=$trnccl_saved_ldflags
    ])
    AS_VAR_IF([known], [yes], [HOUSE_LDFLAGS="$HOUSE_LDFLAGS $1"])
    AS_VAR_POPDEF([known])
])

AC_DEFUN([TRNCCL_CHECK_FLAGS], [
    HOUSE_CPPFLAGS=
    HOUSE_CFLAGS="-std=gnu11 -pthread -fvisibility=hidden"
    HOUSE_LDFLAGS="-pthread"

    dnl A fused multiply-add in one kernel and not in another would give different bits.
    TRNCCL_TRY_CFLAG([-ffp-contract=off])
    m4_foreach_w([flag], [-Wall -Wextra -Wundef -Wpointer-arith -Wstrict-prototypes
                          -Wmissing-prototypes],
                 [TRNCCL_TRY_CFLAG(flag)])
    TRNCCL_TRY_CFLAG([-fstack-protector-strong])
    TRNCCL_TRY_LDFLAG([-Wl,-z,relro])
    TRNCCL_TRY_LDFLAG([-Wl,-z,now])
    TRNCCL_TRY_LDFLAG([-Wl,--as-needed])

    AC_ARG_ENABLE([asan], [AS_HELP_STRING([--enable-asan], [build with AddressSanitizer])])
    AC_ARG_ENABLE([ubsan], [AS_HELP_STRING([--enable-ubsan],
        [build with UndefinedBehaviorSanitizer])])
    AC_ARG_ENABLE([tsan], [AS_HELP_STRING([--enable-tsan], [build with ThreadSanitizer])])
    AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [make warnings errors])])

    trnccl_sanitizers=
    AS_IF([test "x$enable_asan" = xyes], [trnccl_sanitizers="address"])
    AS_IF([test "x$enable_ubsan" = xyes],
        [trnccl_sanitizers="${trnccl_sanitizers:+$trnccl_sanitizers,}undefined"])
    AS_IF([test "x$enable_tsan" = xyes], [
        AS_IF([test "x$enable_asan" = xyes],
            [AC_MSG_ERROR([--enable-tsan and --enable-asan exclude each other])])
        trnccl_sanitizers="${trnccl_sanitizers:+$trnccl_sanitizers,}thread"
        dnl gcc warns that it cannot follow a fence; those here pair with system calls.
        TRNCCL_TRY_CFLAG([-Wno-tsan])
    ])
    AS_IF([test "x$trnccl_sanitizers" != x], [
        trnccl_flags="-fsanitize=$trnccl_sanitizers -fno-omit-frame-pointer"
        AS_IF([test "x$enable_ubsan" = xyes],
            [trnccl_flags="$trnccl_flags -fno-sanitize-recover=undefined"])
        HOUSE_CFLAGS="$HOUSE_CFLAGS $trnccl_flags"
        HOUSE_LDFLAGS="$HOUSE_LDFLAGS $trnccl_flags"
        trnccl_saved_cflags=$CFLAGS
        CFLAGS="$CFLAGS $trnccl_flags"
        AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [],
            [AC_MSG_ERROR([$CC cannot link with $trnccl_flags; is its runtime installed?])])
        CFLAGS=$trnccl_saved_cflags
    ], [
        dnl Fortified calls hide from the sanitizers what they should see, and glibc warns
        dnl about the macro when nothing is optimised.
        AC_CACHE_CHECK([whether _FORTIFY_SOURCE=2 is usable], [trnccl_cv_fortify], [
            trnccl_saved_cflags=$CFLAGS
            CFLAGS="$CFLAGS -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
            AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [])],
                [trnccl_cv_fortify=yes], [trnccl_cv_fortify=no])
            CFLAGS=$trnccl_saved_cflags
        ])
        AS_IF([test "x$trnccl_cv_fortify" = xyes],
            [HOUSE_CPPFLAGS="-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
    ])
    AM_CONDITIONAL([SANITIZED], [test "x$trnccl_sanitizers" != x])

    dnl The vector kernels read any address and are inlined a thousandfold: the checks that
    dnl concern alignment and null only slow the compiler down, the others may be calls.
    KERNEL_CFLAGS=
    AS_IF([test "x$trnccl_sanitizers" != x], [
        m4_foreach([flags], [[--param asan-instrumentation-with-call-threshold=0],
                             [-mllvm -asan-instrumentation-with-call-threshold=0],
                             [-fno-sanitize=null,alignment,object-size,pointer-overflow]], [
            trnccl_saved_cflags=$CFLAGS
            CFLAGS="$CFLAGS -Werror flags"
            AC_MSG_CHECKING([whether $CC knows flags])
            AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
                [KERNEL_CFLAGS="$KERNEL_CFLAGS flags"
                 AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
            CFLAGS=$trnccl_saved_cflags
        ])
    ])
    AC_SUBST([KERNEL_CFLAGS])
    AC_SUBST([SANITIZERS], [$trnccl_sanitizers])

    dnl Last, so that no check above is decided by an unrelated warning.
    AS_IF([test "x$enable_werror" = xyes], [HOUSE_CFLAGS="$HOUSE_CFLAGS -Werror"])
    AC_SUBST([HOUSE_CPPFLAGS])
    AC_SUBST([HOUSE_CFLAGS])
    AC_SUBST([HOUSE_LDFLAGS])
])
