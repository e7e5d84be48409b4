/* Up to 8 bytes at any address as one word. */
#ifndef TRNCCL_MEM_COMBINE_WORD_H
#define TRNCCL_MEM_COMBINE_WORD_H

#include <stddef.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

typedef uint64_t u64_anywhere __attribute__((aligned(1), may_alias));
typedef uint32_t u32_anywhere __attribute__((aligned(1), may_alias));
typedef uint16_t u16_anywhere __attribute__((aligned(1), may_alias));

/* The n bytes at p, 1 <= n <= 8, as the low bytes of a word. Reads overlap rather than
 * loop: at most two loads for any n. */
INLINE uint64_t word_load(const char *p, size_t n)
{
    if (n == 8)
        return *(const u64_anywhere *)p;
    if (n >= 4)
        return *(const u32_anywhere *)p | (uint64_t) * (const u32_anywhere *)(p + n - 4)
                                              << (8 * (n - 4));
    if (n >= 2)
        return *(const u16_anywhere *)p | (uint64_t) * (const u16_anywhere *)(p + n - 2)
                                              << (8 * (n - 2));
    return *(const uint8_t *)p;
}

INLINE void word_store(char *p, uint64_t word, size_t n)
{
    if (n == 8) {
        *(u64_anywhere *)p = word;
    } else if (n >= 4) {
        *(u32_anywhere *)p = (uint32_t)word;
        *(u32_anywhere *)(p + n - 4) = (uint32_t)(word >> (8 * (n - 4)));
    } else if (n >= 2) {
        *(u16_anywhere *)p = (uint16_t)word;
        *(u16_anywhere *)(p + n - 2) = (uint16_t)(word >> (8 * (n - 2)));
    } else {
        *p = (char)word;
    }
}

#endif
