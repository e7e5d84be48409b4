/* The combine kernels for any little-endian CPU: 16-byte vectors, no intrinsics except
 * the streaming store where every x86-64 has one. */
#include <stdbool.h>

#define VECTOR_BYTES 16

#ifdef __SSE2__
#include <emmintrin.h>
#define VECTOR_STREAM(p, v) _mm_stream_si128((__m128i *)(void *)(p), (__m128i)(v))
#define VECTOR_FENCE() _mm_sfence()
#endif

static bool usable(void)
{
    return true;
}

#define SET_SYMBOL combine_set_portable
#define SET_NAME "portable"
#define SET_USABLE usable
#include "mem/combine_kernels.h"
