/* The combine kernels for AVX-512 F, BW, VL and DQ (Intel Skylake-SP, AMD Zen 4 and
 * later). */
#include <stdbool.h>

#ifdef __x86_64__
#include <immintrin.h>

#define VECTOR_BYTES 64
#define VECTOR_STREAM(p, v) _mm512_stream_si512((__m512i *)(void *)(p), (__m512i)(v))
#define VECTOR_FENCE() _mm_sfence()
/* One ternary operation: (mask & a) | (~mask & b). */
#define VECTOR_SELECT(mask, a, b)                                                        \
    ((vec)_mm512_ternarylogic_epi64((__m512i)(mask), (__m512i)(a), (__m512i)(b), 0xca))
#define VECTOR_PART_LOAD(p, n)                                                           \
    ((vec)_mm512_maskz_loadu_epi8((__mmask64)((1ull << (n)) - 1), p))
#define VECTOR_PART_STORE(p, v, n)                                                       \
    _mm512_mask_storeu_epi8(p, (__mmask64)((1ull << (n)) - 1), (__m512i)(v))

#include "mem/combine_vector.h"

#define HALF_WIDEN(v, i)                                                                 \
    ((vec)_mm512_cvtph_ps(_mm512_extracti64x4_epi64((__m512i)(v), i)))
#define HALVES_NARROW(a, b)                                                              \
    ((vec)_mm512_inserti64x4(_mm512_castsi256_si512(half_narrow(a)), half_narrow(b), 1))
#define F32_MIN_RAW(a, b) ((vec)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define F32_MAX_RAW(a, b) ((vec)_mm512_max_ps((__m512)(a), (__m512)(b)))

INLINE __m256i half_narrow(vec v)
{
    return _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#include "mem/combine_f16c.h"

/* The instructions return their second operand for a NaN or for two zeros: asking both
 * ways round and joining the bits gives -0 its due, and keeps a NaN a NaN. */
#define F32_MINIMUM(a, b)                                                                \
    ((vec)_mm512_or_ps(_mm512_min_ps((__m512)(a), (__m512)(b)),                          \
                       _mm512_min_ps((__m512)(b), (__m512)(a))))
#define F64_MINIMUM(a, b)                                                                \
    ((vec)_mm512_or_pd(_mm512_min_pd((__m512d)(a), (__m512d)(b)),                        \
                       _mm512_min_pd((__m512d)(b), (__m512d)(a))))
/* For the maximum the zeros need `and`, which may spoil a NaN; all ones restores it. */
#define F32_MAXIMUM(a, b)                                                                \
    ((vec)_mm512_mask_mov_ps(_mm512_and_ps(_mm512_max_ps((__m512)(a), (__m512)(b)),      \
                                           _mm512_max_ps((__m512)(b), (__m512)(a))),     \
                             _mm512_cmp_ps_mask((__m512)(a), (__m512)(b), _CMP_UNORD_Q), \
                             (__m512)vector_splat(F32_NAN)))
#define F64_MAXIMUM(a, b)                                                                \
    ((vec)_mm512_mask_mov_pd(                                                            \
        _mm512_and_pd(_mm512_max_pd((__m512d)(a), (__m512d)(b)),                         \
                      _mm512_max_pd((__m512d)(b), (__m512d)(a))),                        \
        _mm512_cmp_pd_mask((__m512d)(a), (__m512d)(b), _CMP_UNORD_Q),                    \
        (__m512d)vector_splat64(0x7ff8000000000000u)))

static bool usable(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

#define SET_SYMBOL combine_set_avx512
#define SET_NAME "avx512"
#define SET_USABLE usable
#include "mem/combine_kernels.h"
#endif
