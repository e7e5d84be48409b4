#include "perf/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "perf/names.h"
#include "perf/number.h"
#include "trnccl.h"

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014. */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t hash3(uint64_t seed, uint64_t a, uint64_t b)
{
    return mix(mix(mix(seed) ^ a) ^ (b * UINT64_C(0xd6e8feb86659fd93)));
}

/* Random bits of one position, the same for all ranks. */
static uint64_t hash_position(const struct data *d, size_t q)
{
    return hash3(d->seed, q, 0x706f73);
}

static uint64_t hash_element(const struct data *d, int rank, size_t q)
{
    return hash3(d->seed, q, (uint64_t)rank + 1);
}

static uint64_t width_mask(const struct data *d)
{
    return d->elem_nbytes == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * d->elem_nbytes)) - 1;
}

/* The one rank whose contribution decides, at this position. */
static int special_rank(const struct data *d, size_t q)
{
    return (int)((hash_position(d, q) >> 32) % (uint64_t)d->nranks);
}

/* This rank's place in a window that starts at another rank for every position. */
static int window_place(const struct data *d, int rank, size_t q)
{
    return (rank + special_rank(d, q)) % d->nranks;
}

static double pow2_range(uint64_t random, int lowest, int highest)
{
    return ldexp(1, lowest + (int)(random % (uint64_t)(highest - lowest + 1)));
}

/* Powers of two that keep 2^precision units of them normal and finite in the type. */
static double scale_of(const struct data *d, size_t q)
{
    uint64_t random = hash_position(d, q) >> 8;
    switch (d->type) {
    case trncclFloat16:
        return pow2_range(random, -10, 4);
    case trncclFloat8e4m3:
        return pow2_range(random, -6, 4);
    case trncclFloat8e5m2:
        return pow2_range(random, -10, 10);
    default:
        return pow2_range(random, -20, 20);
    }
}

static double float_for_sum(const struct data *d, int rank, size_t q)
{
    int precision = number_precision(d->type);
    int64_t units = INT64_C(1) << (precision < 50 ? precision : 50);
    if (d->op == NAMES_OP_MULSUM)
        units /= 2; /* a scalar is at most 2 */
    int64_t active = d->nranks < units ? d->nranks : units;
    if (window_place(d, rank, q) >= active)
        return 0;
    int64_t most = units / active;
    uint64_t random = hash_element(d, rank, q);
    int64_t value = most == 1 ? 1 - 2 * (int64_t)(random & 1)
                              : (int64_t)(random % (uint64_t)(2 * most + 1)) - most;
    return (double)value * scale_of(d, q);
}

static double float_for_prod(const struct data *d, int rank, size_t q)
{
    uint64_t random = hash_element(d, rank, q);
    double sign = random & 1 ? -1 : 1;
    if (rank == special_rank(d, q)) {
        int fraction_bits = number_precision(d->type) - 1;
        double hidden = ldexp(1, fraction_bits);
        double fraction = (double)((random >> 1) & ((UINT64_C(1) << fraction_bits) - 1));
        return sign * (hidden + fraction) / hidden;
    }
    int place = window_place(d, rank, q);
    return sign * (place < 2 ? 2.0 : place < 4 ? 0.5 : 1.0);
}

static uint64_t float_bits_finite(const struct data *d, int rank, size_t q)
{
    uint64_t random = hash_element(d, rank, q);
    uint64_t sign = UINT64_C(1) << (8 * d->elem_nbytes - 1);
    if (random % 16 == 0)
        return (random >> 8) & 1 ? sign : 0;
    uint64_t bits = mix(random) & width_mask(d);
    /* Without its highest exponent bit no pattern is infinite or NaN. */
    return isfinite(number_decode(d->type, bits)) ? bits : bits & ~(sign >> 1);
}

static uint64_t float_element(const struct data *d, int rank, size_t q)
{
    switch (d->op) {
    case trncclProd:
        return number_encode(d->type, float_for_prod(d, rank, q));
    case trncclMin:
    case trncclMax:
        return float_bits_finite(d, rank, q);
    default:
        return number_encode(d->type, float_for_sum(d, rank, q));
    }
}

/* For `and`, every rank but one has a certain bit set; the result depends on that one. */
static uint64_t integer_for_band(const struct data *d, int rank, size_t q)
{
    uint64_t position = hash_position(d, q);
    uint64_t bit = UINT64_C(1) << (position % (8 * d->elem_nbytes));
    uint64_t value = mix(position) | hash_element(d, rank, q);
    return rank == special_rank(d, q) ? value & ~bit : value | bit;
}

static uint64_t integer_for_logic(const struct data *d, int rank, size_t q)
{
    uint64_t random = hash_element(d, rank, q);
    /* One bit anywhere in the element makes it true. */
    uint64_t truth = UINT64_C(1) << (random % (8 * d->elem_nbytes));
    bool special = rank == special_rank(d, q);
    switch (hash_position(d, q) & 3) {
    case 0:
        return truth;
    case 1:
        return special ? 0 : truth;
    case 2:
        return special ? truth : 0;
    default:
        return (random >> 16) & 1 ? truth : 0;
    }
}

static uint64_t integer_element(const struct data *d, int rank, size_t q)
{
    uint64_t random = hash_element(d, rank, q);
    switch (d->op) {
    case trncclProd: /* odd, or the product of many would always be 0 */
        return rank == special_rank(d, q) ? random : random | 1;
    case trncclBand:
        return integer_for_band(d, rank, q);
    case trncclBor:
        return ~integer_for_band(d, rank, q);
    case trncclLand:
    case trncclLor:
        return integer_for_logic(d, rank, q);
    default:
        return random;
    }
}

uint64_t data_scalar(int type, int rank)
{
    if (names_type_is_float(type))
        return number_encode(type, 1 + rank % 2);
    size_t nbits = 8 * names_type_nbytes(type);
    uint64_t scalar = (uint64_t)(2 * rank + 3);
    return nbits == 64 ? scalar : scalar & ((UINT64_C(1) << nbits) - 1);
}

static uint64_t contribution(const struct data *d, int rank, size_t q)
{
    if (d->op == DATA_COPY)
        return hash_element(d, rank, q) & width_mask(d);
    if (names_type_is_float(d->type))
        return float_element(d, rank, q);
    return integer_element(d, rank, q) & width_mask(d);
}

/* Whether x comes before y where -0 comes before +0. */
static bool float_less(double x, double y)
{
    return x < y || (x == 0 && y == 0 && signbit(x) && !signbit(y));
}

static uint64_t float_reduced(const struct data *d, size_t q)
{
    double total = number_decode(d->type, contribution(d, 0, q));
    if (d->op == NAMES_OP_MULSUM)
        total *= number_decode(d->type, data_scalar(d->type, 0));
    for (int rank = 1; rank < d->nranks; rank++) {
        double x = number_decode(d->type, contribution(d, rank, q));
        if (d->op == trncclProd)
            total *= x;
        else if (d->op == trncclMin)
            total = float_less(x, total) ? x : total;
        else if (d->op == trncclMax)
            total = float_less(total, x) ? x : total;
        else if (d->op == NAMES_OP_MULSUM)
            total += x * number_decode(d->type, data_scalar(d->type, rank));
        else
            total += x;
    }
    if (d->op == trncclAvg && d->type == trncclFloat64)
        total /= d->nranks;
    else if (d->op == trncclAvg)
        total = (double)((float)total / (float)d->nranks);
    return number_encode(d->type, total);
}

static uint64_t integer_fold(const struct data *d, uint64_t total, uint64_t x, int rank)
{
    bool is_signed = d->type == trncclInt8 || d->type == trncclInt16 ||
                     d->type == trncclInt32 || d->type == trncclInt64;
    uint64_t a = number_extend(d->type, total), b = number_extend(d->type, x);
    bool less = is_signed ? (int64_t)b < (int64_t)a : b < a;
    switch (d->op) {
    case trncclProd:
        return total * x;
    case trncclMin:
        return less ? x : total;
    case trncclMax:
        return less ? total : x;
    case trncclBand:
        return total & x;
    case trncclBor:
        return total | x;
    case trncclBxor:
        return total ^ x;
    case trncclLand:
        return total && x;
    case trncclLor:
        return total || x;
    case NAMES_OP_MULSUM:
        return total + x * data_scalar(d->type, rank);
    default:
        return total + x;
    }
}

static uint64_t integer_reduced(const struct data *d, size_t q)
{
    uint64_t total = contribution(d, 0, q);
    if (d->op == NAMES_OP_MULSUM)
        total *= data_scalar(d->type, 0);
    if (d->op == trncclLand || d->op == trncclLor)
        total = total != 0;
    for (int rank = 1; rank < d->nranks; rank++)
        total = integer_fold(d, total & width_mask(d), contribution(d, rank, q), rank);
    total &= width_mask(d);
    if (d->op == trncclAvg) {
        bool is_unsigned = d->type == trncclUint8 || d->type == trncclUint16 ||
                           d->type == trncclUint32 || d->type == trncclUint64;
        uint64_t wide = number_extend(d->type, total);
        total = is_unsigned ? wide / (uint64_t)d->nranks
                            : (uint64_t)((int64_t)wide / d->nranks);
    }
    return total & width_mask(d);
}

/* The bits at a place of the period, before rotation. */
static uint64_t place_bits(const struct data *d, int rank, size_t q)
{
    if (rank != DATA_REDUCED)
        return contribution(d, rank, q);
    return names_type_is_float(d->type) ? float_reduced(d, q) : integer_reduced(d, q);
}

static size_t rotation(const struct data *d, size_t tile)
{
    return hash3(d->seed ^ 0x726f74, tile, d->rep) % DATA_PERIOD;
}

static size_t place_of(const struct data *d, size_t index)
{
    size_t tile = index / DATA_PERIOD;
    return (index % DATA_PERIOD + rotation(d, tile)) % DATA_PERIOD;
}

void data_init(struct data *d, int type, int op, int nranks, uint64_t seed)
{
    *d = (struct data){
        .type = type,
        .op = op,
        .nranks = nranks,
        .seed = mix(seed ^ ((uint64_t)type << 8) ^ ((uint64_t)(op + 1) << 16)),
        .elem_nbytes = names_type_nbytes(type),
    };
}

void data_fini(struct data *d)
{
    free(d->reduced);
    free(d->source);
    d->reduced = d->source = NULL;
}

void data_rep_set(struct data *d, unsigned rep)
{
    d->rep = rep;
}

uint64_t data_element(const struct data *d, int rank, size_t index)
{
    return place_bits(d, rank, place_of(d, index));
}

/* The table of a source, twice over so that a rotated period is contiguous. */
static const unsigned char *table(struct data *d, int rank)
{
    unsigned char **slot = rank == DATA_REDUCED ? &d->reduced : &d->source;
    bool ready = *slot && (rank == DATA_REDUCED || d->source_rank == rank);
    if (ready)
        return *slot;
    size_t nbytes = d->elem_nbytes;
    if (!*slot)
        *slot = malloc(2 * DATA_PERIOD * nbytes);
    if (!*slot)
        return NULL;
    for (size_t q = 0; q < DATA_PERIOD; q++)
        number_store(*slot + q * nbytes, nbytes, place_bits(d, rank, q));
    memcpy(*slot + DATA_PERIOD * nbytes, *slot, DATA_PERIOD * nbytes);
    if (rank != DATA_REDUCED)
        d->source_rank = rank;
    return *slot;
}

/* Short ranges are computed one by one instead of through a table. */
static bool is_short(const struct data *d, int rank, size_t count)
{
    const unsigned char *made = rank == DATA_REDUCED     ? d->reduced
                                : d->source_rank == rank ? d->source
                                                         : NULL;
    return !made && count < DATA_PERIOD / 4;
}

bool data_fill(struct data *d, int rank, size_t first, size_t count, void *dst)
{
    unsigned char *out = dst;
    size_t nbytes = d->elem_nbytes;
    if (is_short(d, rank, count)) {
        for (size_t i = 0; i < count; i++)
            number_store(out + i * nbytes, nbytes, data_element(d, rank, first + i));
        return true;
    }
    const unsigned char *from = table(d, rank);
    if (!from)
        return false;
    while (count > 0) {
        size_t left = DATA_PERIOD - first % DATA_PERIOD;
        size_t n = left < count ? left : count;
        memcpy(out, from + place_of(d, first) * nbytes, n * nbytes);
        out += n * nbytes;
        first += n;
        count -= n;
    }
    return true;
}

static size_t compare(const struct data *d, const unsigned char *expected,
                      const unsigned char *found, size_t base, size_t count,
                      bool *have_first, struct data_wrong *wrong)
{
    size_t nbytes = d->elem_nbytes, nwrong = 0;
    if (memcmp(expected, found, count * nbytes) == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (memcmp(expected + i * nbytes, found + i * nbytes, nbytes) == 0)
            continue;
        if (!*have_first) {
            *have_first = true;
            *wrong =
                (struct data_wrong){base + i, number_load(expected + i * nbytes, nbytes),
                                    number_load(found + i * nbytes, nbytes)};
        }
        nwrong++;
    }
    return nwrong;
}

size_t data_count_wrong(struct data *d, int rank, size_t first, size_t count,
                        const void *found, struct data_wrong *wrong)
{
    const unsigned char *in = found;
    size_t nbytes = d->elem_nbytes, nwrong = 0, done = 0;
    bool have_first = false;
    if (is_short(d, rank, count)) {
        for (size_t i = 0; i < count; i++) {
            unsigned char one[8];
            number_store(one, nbytes, data_element(d, rank, first + i));
            nwrong += compare(d, one, in + i * nbytes, i, 1, &have_first, wrong);
        }
        return nwrong;
    }
    const unsigned char *from = table(d, rank);
    if (!from)
        return SIZE_MAX;
    while (done < count) {
        size_t left = DATA_PERIOD - (first + done) % DATA_PERIOD;
        size_t n = left < count - done ? left : count - done;
        nwrong += compare(d, from + place_of(d, first + done) * nbytes,
                          in + done * nbytes, done, n, &have_first, wrong);
        done += n;
    }
    return nwrong;
}
