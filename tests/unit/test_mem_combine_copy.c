/* Copies: every size to several outputs from any address, streaming or not, in place; the
 * bytes around stay as they were; a faulty copy is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/combine_sets.h"

enum { MAX_OUT = 4, GUARD = 64 };

typedef void (*copy_fn)(void *const *out, int nout, const void *in, size_t nbytes,
                        bool stream);

/* Copies nbytes once; how many bytes of outputs and guards are wrong. inplace: output 0
 * is the input. */
static size_t wrong_bytes(copy_fn copy, struct random *r, size_t nbytes, int nout,
                          bool stream, bool inplace)
{
    unsigned char *base[MAX_OUT] = {0}, *in_base = NULL;
    void *out[MAX_OUT];
    size_t in_at = random_below(r, 64), wrong = 0;
    assert_int_equal(posix_memalign((void **)&in_base, 64, in_at + nbytes + 1), 0);
    unsigned char *in = in_base + in_at;
    for (size_t i = 0; i < nbytes; i++)
        in[i] = (unsigned char)random_below(r, 256);
    for (int j = 0; j < nout; j++) {
        size_t at = random_below(r, 64) + GUARD;
        assert_int_equal(posix_memalign((void **)&base[j], 64, at + nbytes + GUARD), 0);
        memset(base[j], 0xa5, at + nbytes + GUARD);
        out[j] = j == 0 && inplace ? in : base[j] + at;
    }
    copy(out, nout, in, nbytes, stream);
    for (int j = 0; j < nout; j++) {
        const unsigned char *p = out[j];
        for (size_t i = 0; i < nbytes; i++)
            wrong += p[i] != in[i];
        if (p != in)
            for (int i = 1; i <= GUARD; i++)
                wrong += (p[-i] != 0xa5) + (p[nbytes + (size_t)i - 1] != 0xa5);
        free(base[j]);
    }
    free(in_base);
    return wrong;
}

static void copy_sizes(copy_fn copy, const char *simd)
{
    if (!simd_try(simd))
        skip();
    struct random r = random_seeded(simd);
    static const size_t large[] = {1000, 4096, 8191, 8192, 8193, 40000, 100003};
    for (size_t i = 0; i < 600 + 7 * 8; i++) {
        size_t nbytes = i < 600 ? i / 2 : large[(i - 600) % 7];
        for (int nout = 1; nout <= MAX_OUT; nout++) {
            bool stream = random_below(&r, 2), inplace = random_below(&r, 4) == 0;
            size_t wrong = wrong_bytes(copy, &r, nbytes, nout, stream, inplace);
            if (wrong)
                fail_msg("%s: %zu bytes wrong of %zu, %d outputs, stream %d, in place %d",
                         simd, wrong, nbytes, nout, stream, inplace);
        }
    }
}

static void copy_portable_any_size_exact(void **state)
{
    (void)state;
    copy_sizes(combine_copy, "portable");
}

static void copy_avx2_any_size_exact(void **state)
{
    (void)state;
    copy_sizes(combine_copy, "avx2");
}

static void copy_avx512_any_size_exact(void **state)
{
    (void)state;
    copy_sizes(combine_copy, "avx512");
}

/* The same by way of a kernel without reduction, and by a sum of one input: NaN payloads
 * survive. */
static void run_one_input_keeps_every_bit(void **state)
{
    (void)state;
    static const int ops[] = {COMBINE_COPY, trncclSum, trncclMin, trncclAvg};
    const uint32_t signalling[3] = {0xff800001, 0x7fa5a5a5, 0x80000000};
    for (int o = 0; o < 4; o++) {
        struct combine c;
        uint32_t x[3] = {0}, y[3] = {0};
        const void *in[1] = {signalling};
        void *out[2] = {x, y};
        assert_int_equal(combine_init(&c, trncclFloat32, ops[o], NULL, 5), 0);
        combine_run(&c, &(struct combine_args){in, out, 1, 2, -1, COMBINE_STREAM, 3, 1});
        assert_memory_equal(x, signalling, sizeof x);
        assert_memory_equal(y, signalling, sizeof y);
    }
}

/* Planted faults. */
static void fault_short(void *const *out, int nout, const void *in, size_t nbytes,
                        bool stream)
{
    combine_copy(out, nout, in, nbytes - (nbytes > 0), stream);
}

static void fault_long(void *const *out, int nout, const void *in, size_t nbytes,
                       bool stream)
{
    combine_copy(out, nout, in, nbytes, stream);
    memset((char *)out[nout - 1] + nbytes, 0, 1);
}

static void fault_last_output(void *const *out, int nout, const void *in, size_t nbytes,
                              bool stream)
{
    combine_copy(out, nout - 1, in, nbytes, stream);
}

static void planted_faults_are_caught(void **state)
{
    (void)state;
    static const copy_fn faults[] = {fault_short, fault_long, fault_last_output};
    struct random r = random_seeded(__func__);
    assert_int_equal(wrong_bytes(combine_copy, &r, 50, 2, false, false), 0);
    for (int i = 0; i < 3; i++)
        assert_true(wrong_bytes(faults[i], &r, 50, 2, false, false) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_faults_are_caught),
        cmocka_unit_test(run_one_input_keeps_every_bit),
        cmocka_unit_test(copy_portable_any_size_exact),
        cmocka_unit_test(copy_avx2_any_size_exact),
        cmocka_unit_test(copy_avx512_any_size_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
