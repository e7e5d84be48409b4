/* The combine kernels for AVX2 with F16C (Intel Haswell, AMD Zen and later). */
#include <stdbool.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#include "mem/combine_word.h"

INLINE __m128i half_load(const char *p, size_t n)
{
    if (n == 16)
        return _mm_loadu_si128((const __m128i *)(const void *)p);
    if (n > 8)
        return _mm_set_epi64x((long long)word_load(p + 8, n - 8),
                              (long long)word_load(p, 8));
    return _mm_cvtsi64_si128((long long)word_load(p, n));
}

INLINE void half_store(char *p, __m128i v, size_t n)
{
    if (n == 16) {
        _mm_storeu_si128((__m128i *)(void *)p, v);
        return;
    }
    if (n > 8) {
        word_store(p, (uint64_t)_mm_cvtsi128_si64(v), 8);
        p += 8;
        n -= 8;
        v = _mm_unpackhi_epi64(v, v);
    }
    word_store(p, (uint64_t)_mm_cvtsi128_si64(v), n);
}

INLINE __m256i part_load(const char *p, size_t n)
{
    if (n <= 16)
        return _mm256_zextsi128_si256(half_load(p, n));
    return _mm256_set_m128i(half_load(p + 16, n - 16), half_load(p, 16));
}

INLINE void part_store(char *p, __m256i v, size_t n)
{
    __m128i low = _mm256_castsi256_si128(v);
    if (n <= 16) {
        half_store(p, low, n);
        return;
    }
    half_store(p, low, 16);
    half_store(p + 16, _mm256_extracti128_si256(v, 1), n - 16);
}

#define VECTOR_BYTES 32
#define VECTOR_STREAM(p, v) _mm256_stream_si256((__m256i *)(void *)(p), (__m256i)(v))
#define VECTOR_FENCE() _mm_sfence()
#define VECTOR_SELECT(mask, a, b)                                                        \
    ((vec)_mm256_blendv_epi8((__m256i)(b), (__m256i)(a), (__m256i)(mask)))
#define VECTOR_PART_LOAD(p, n) ((vec)part_load(p, n))
#define VECTOR_PART_STORE(p, v, n) part_store(p, (__m256i)(v), n)
#include "mem/combine_vector.h"

#define HALF_WIDEN(v, i) ((vec)_mm256_cvtph_ps(_mm256_extracti128_si256((__m256i)(v), i)))
#define HALVES_NARROW(a, b) ((vec)_mm256_set_m128i(half_narrow(b), half_narrow(a)))
#define F32_MIN_RAW(a, b) ((vec)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define F32_MAX_RAW(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))

INLINE __m128i half_narrow(vec v)
{
    return _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#include "mem/combine_f16c.h"

/* The instructions return their second operand for a NaN or for two zeros: asking both
 * ways round and joining the bits gives -0 its due, and keeps a NaN a NaN. */
#define F32_MINIMUM(a, b)                                                                \
    ((vec)_mm256_or_ps(_mm256_min_ps((__m256)(a), (__m256)(b)),                          \
                       _mm256_min_ps((__m256)(b), (__m256)(a))))
#define F64_MINIMUM(a, b)                                                                \
    ((vec)_mm256_or_pd(_mm256_min_pd((__m256d)(a), (__m256d)(b)),                        \
                       _mm256_min_pd((__m256d)(b), (__m256d)(a))))
/* For the maximum the zeros need `and`, which may spoil a NaN; all ones restores it. */
#define F32_MAXIMUM(a, b)                                                                \
    ((vec)_mm256_or_ps(_mm256_and_ps(_mm256_max_ps((__m256)(a), (__m256)(b)),            \
                                     _mm256_max_ps((__m256)(b), (__m256)(a))),           \
                       _mm256_cmp_ps((__m256)(a), (__m256)(b), _CMP_UNORD_Q)))
#define F64_MAXIMUM(a, b)                                                                \
    ((vec)_mm256_or_pd(_mm256_and_pd(_mm256_max_pd((__m256d)(a), (__m256d)(b)),          \
                                     _mm256_max_pd((__m256d)(b), (__m256d)(a))),         \
                       _mm256_cmp_pd((__m256d)(a), (__m256d)(b), _CMP_UNORD_Q)))

/* Compilers before GCC 11 and clang 15 do not know the name; AVX2's check has settled
 * that the operating system saves the registers. */
static bool f16c_supported(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool usable(void)
{
    return __builtin_cpu_supports("avx2") && f16c_supported();
}

#define SET_SYMBOL combine_set_avx2
#define SET_NAME "avx2"
#define SET_USABLE usable
#include "mem/combine_kernels.h"
#endif
