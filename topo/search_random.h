/* Chance for searches that must find the same thing every time: the same seed, the same
 * numbers on every machine. */
#ifndef TRNCCL_TOPO_SEARCH_RANDOM_H
#define TRNCCL_TOPO_SEARCH_RANDOM_H

#include <stdint.h>

/* The next of a sequence; *state is the seed at first, any number.
 * Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014
 * (SplitMix64). */
static inline uint64_t search_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* One of 0 .. count - 1; count >= 1. Even enough for counts far below 2^32. */
static inline int32_t search_random_below(uint64_t *state, int32_t count)
{
    return (int32_t)(((search_random(state) >> 32) * (uint64_t)count) >> 32);
}

#endif
