#include "verify/value.h"

#include <limits.h>

/* Finalisers of MurmurHash3 (Appleby, 2011, public domain) and splitmix64 (Steele, Lea,
 * Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, variant 13). */
static uint64_t mix_a(uint64_t x)
{
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

static uint64_t mix_b(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Order matters: the running hash is multiplied before the next input is added. */
static void hash_add(uint64_t hash[2], const uint64_t by[2])
{
    hash[0] = mix_a(hash[0] * 0x9e3779b97f4a7c15u + by[0] + 1);
    hash[1] = mix_b(hash[1] * 0xd6e8feb86659fd93u + by[1] + 3);
}

bool values_init(struct values *v, struct arena *a, int32_t nranks, int64_t leaves,
                 int64_t nodes)
{
    if (leaves + nodes >= INT32_MAX)
        return false;
    v->capacity = (int32_t)(leaves + nodes + 1);
    v->nwords = (nranks + 63) / 64;
    v->of = arena_alloc(a, (size_t)v->capacity, sizeof(*v->of));
    v->sets = arena_alloc(a, (size_t)nodes * (size_t)v->nwords, sizeof(*v->sets));
    v->n = 1;
    v->nsets = 0;
    return v->of && v->sets;
}

int32_t values_leaf(struct values *v, int32_t rank, int32_t chunk)
{
    uint64_t x = ((uint64_t)(uint32_t)rank << 32) | (uint32_t)chunk;
    v->of[v->n] = (struct value){
        .hash = {mix_a(x + 0x51ed270b7f2b1a6du), mix_b(x + 0x2545f4914f6cdd1du)},
        .chunk = chunk,
        .rank = rank,
        .count = 1,
    };
    return v->n++;
}

int32_t values_combine_begin(struct values *v, int32_t ninputs, bool final)
{
    uint64_t tag = (uint64_t)ninputs * 2 + (final ? 1 : 0);
    v->of[v->n] = (struct value){
        .hash = {mix_a(tag), mix_b(tag)},
        .chunk = -1,
        .rank = -1,
        .finals = final ? 1 : 0,
        .set = v->nsets,
    };
    v->nsets += v->nwords;
    return v->n++;
}

static bool set_add_word(uint64_t *set, int32_t word, uint64_t bits, int32_t *twice)
{
    if (set[word] & bits) {
        *twice = word * 64 + __builtin_ctzll(set[word] & bits);
        return false;
    }
    set[word] |= bits;
    return true;
}

bool values_combine_add(struct values *v, int32_t node, int32_t input, int32_t *rank)
{
    struct value *to = &v->of[node];
    const struct value *by = &v->of[input];
    *rank = -1;
    if (to->count > 0 && to->chunk != by->chunk)
        return false;
    uint64_t *set = v->sets + to->set;
    if (by->rank >= 0) {
        if (!set_add_word(set, by->rank / 64, UINT64_C(1) << (by->rank % 64), rank))
            return false;
    } else {
        for (int32_t w = 0; w < v->nwords; w++)
            if (!set_add_word(set, w, v->sets[by->set + w], rank))
                return false;
    }
    to->chunk = by->chunk;
    to->count += by->count;
    to->finals += by->finals;
    hash_add(to->hash, by->hash);
    return true;
}

bool values_same(const struct values *v, int32_t a, int32_t b)
{
    return v->of[a].hash[0] == v->of[b].hash[0] && v->of[a].hash[1] == v->of[b].hash[1];
}

int32_t values_missing(const struct values *v, int32_t value, int32_t nranks)
{
    const struct value *x = &v->of[value];
    if (x->count == nranks) /* no contribution is ever counted twice */
        return -1;
    if (x->rank >= 0)
        return x->rank == 0 ? 1 : 0;
    for (int32_t r = 0; r < nranks; r++)
        if (!(v->sets[x->set + r / 64] >> (r % 64) & 1))
            return r;
    return -1;
}
