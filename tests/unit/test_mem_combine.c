/* Combine kernels: every shape, type, operation and alignment against the oracle, for
 * every SIMD set of this CPU; guard bytes; faults that the comparison must notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/support/combine_oracle.h"
#include "tests/support/combine_sets.h"

enum { GUARD = 64, MAX_IN = 256, MAX_OUT = 5 };

struct trial {
    int type, op, nin, nout, nranks;
    int raw;   /* scaled input, or -1 */
    int alias; /* output 0 is this input's memory, or -1 */
    unsigned flags;
    size_t nelems;
    int nstream; /* with COMBINE_STREAM */
};

/* A block that starts `offset` bytes after a 64-byte line, with guards if it is written.
 * Exactly as long as needed, so that AddressSanitizer sees any excess. */
struct block {
    unsigned char *base, *data;
};

static struct block block_new(size_t offset, size_t nbytes, size_t guard)
{
    struct block b = {0};
    size_t total = guard + offset + nbytes + guard;
    assert_int_equal(posix_memalign((void **)&b.base, 64, total ? total : 1), 0);
    memset(b.base, 0xa5, total);
    b.data = b.base + guard + offset;
    return b;
}

static size_t guards_broken(const struct block *b, size_t nbytes)
{
    size_t broken = 0;
    for (int i = 1; i <= GUARD; i++) {
        broken += b->data[-i] != 0xa5;
        broken += b->data[nbytes + (size_t)i - 1] != 0xa5;
    }
    return broken;
}

/* Runs c->run once on random data of random alignment; how many elements, guard bytes and
 * input bytes are not what they must be. */
static size_t mismatches(const struct combine *c, const struct trial *t, uint64_t scalar,
                         struct random *r)
{
    static struct block in[MAX_IN], out[MAX_OUT];
    static unsigned char *before[MAX_IN];
    const void *in_ptr[MAX_IN];
    void *out_ptr[MAX_OUT];
    const size_t size = c->elem_nbytes, nbytes = t->nelems * size;
    const bool aligned = random_below(r, 3) == 0;  /* to elements, as most callers' are */
    const bool specials = random_below(r, 4) == 0; /* so that they meet each other */
    for (int i = 0; i < t->nin; i++) {
        size_t offset = random_below(r, 64);
        in[i] = block_new(aligned ? offset / size * size : offset, nbytes,
                          i == t->alias ? GUARD : 0);
        for (size_t e = 0; e < t->nelems; e++)
            element_put(in[i].data, e, size,
                        specials ? special_bits(t->type, random_below(r, NSPECIALS))
                                 : random_bits(r, t->type));
        before[i] = malloc(nbytes + 1);
        memcpy(before[i], in[i].data, nbytes);
        in_ptr[i] = in[i].data;
    }
    for (int j = 0; j < t->nout; j++) {
        size_t offset = random_below(r, 64);
        out[j] = j == 0 && t->alias >= 0
                     ? in[t->alias]
                     : block_new(aligned ? offset / size * size : offset, nbytes, GUARD);
        out_ptr[j] = out[j].data;
    }
    struct combine_args a = {in_ptr, out_ptr,  t->nin,    t->nout,
                             t->raw, t->flags, t->nelems, t->nstream};
    a.nstream = 1 + (int)random_below(r, (uint32_t)t->nout);
    combine_run(c, &a);

    size_t wrong = 0;
    for (size_t e = 0; e < t->nelems; e++) {
        uint64_t operand[MAX_IN];
        for (int i = 0; i < t->nin; i++)
            operand[i] = element_get(before[i], e, size);
        uint64_t want = oracle_combine(t->type, t->op, t->flags & COMBINE_FINAL,
                                       t->nranks, t->raw, scalar, operand, t->nin);
        for (int j = 0; j < t->nout; j++)
            wrong += element_get(out[j].data, e, size) != want;
    }
    for (int j = 0; j < t->nout; j++) {
        wrong += guards_broken(&out[j], nbytes);
        if (j > 0 || t->alias < 0)
            free(out[j].base);
    }
    for (int i = 0; i < t->nin; i++) {
        wrong += i != t->alias && memcmp(before[i], in[i].data, nbytes) != 0;
        free(in[i].base);
        free(before[i]);
    }
    return wrong;
}

static void trial_check(const struct trial *t, struct random *r)
{
    uint64_t scalar = random_bits(r, t->type);
    struct combine c;
    assert_int_equal(
        combine_init(&c, (trncclDataType_t)t->type, t->op, &scalar, t->nranks),
        trncclSuccess);
    size_t wrong = mismatches(&c, t, scalar, r);
    if (wrong)
        fail_msg("%zu wrong: %s %s %s, %d in, %d out, %zu elements, raw %d, output 0 is "
                 "input %d, flags %u, %d ranks",
                 wrong, combine_simd_name(), combine_type_name((trncclDataType_t)t->type),
                 combine_op_name(t->op), t->nin, t->nout, t->nelems, t->raw, t->alias,
                 t->flags, t->nranks);
}

static struct trial random_trial(struct random *r, int type, int op)
{
    static const int nranks[] = {1, 2, 3, 7, 64, 127, 128, 1000, 65537, 2147483647};
    struct trial t = {
        .type = type,
        .op = op,
        .nin = 1 + (int)random_below(r, 9),
        .nout = 1 + (int)random_below(r, MAX_OUT),
        .nranks = nranks[random_below(r, 10)],
        .flags = random_below(r, 4), /* COMBINE_FINAL, COMBINE_STREAM */
        .nelems = random_below(r, 131),
    };
    t.nstream = 1 + (int)random_below(r, (uint32_t)t.nout);
    t.raw = op == COMBINE_PREMUL ? (int)random_below(r, (uint32_t)t.nin + 1) - 1 : -1;
    t.alias = (int)random_below(r, 2 * (uint32_t)t.nin);
    if (t.alias >= t.nin)
        t.alias = -1;
    return t;
}

/* Every type and operation: 60 small calls, one of thousands of elements, one of 64 or
 * 256 inputs. */
static void kernels_any_shape(const char *simd)
{
    if (!simd_try(simd))
        skip();
    struct random r = random_seeded(simd);
    for (int type = 0; type < trncclNumTypes; type++) {
        for (int o = 0; o < NOPS; o++) {
            if (!oracle_has(type, all_ops[o]))
                continue;
            for (int i = 0; i < 62; i++) {
                struct trial t = random_trial(&r, type, all_ops[o]);
                if (i == 60)
                    t.nelems = 1000 + random_below(&r, 4000);
                if (i == 61)
                    t.nin = random_below(&r, 4) ? 64 : MAX_IN;
                trial_check(&t, &r);
            }
        }
    }
}

/* Every number of inputs, outputs and elements, for one type of each width. */
static void kernels_every_shape(const char *simd)
{
    static const int types[] = {trncclFloat32, trncclBfloat16, trncclInt8, trncclFloat64};
    if (!simd_try(simd))
        skip();
    struct random r = random_seeded(simd);
    for (int k = 0; k < 4; k++)
        for (int nin = 1; nin <= 9; nin += nin > 3 ? 2 : 1)
            for (int nout = 1; nout <= MAX_OUT; nout += nout > 2 ? 2 : 1)
                for (size_t nelems = 0; nelems <= 130; nelems++) {
                    struct trial t = {.type = types[k],
                                      .op = trncclSum,
                                      .nin = nin,
                                      .nout = nout,
                                      .nranks = 2,
                                      .raw = -1,
                                      .nelems = nelems,
                                      .nstream = nout};
                    t.flags = nelems % 3 == 0 ? COMBINE_STREAM : 0;
                    t.alias = (int)(nelems % 4) < nin ? (int)(nelems % 4) : -1;
                    trial_check(&t, &r);
                }
}

#define FOR_EVERY_SIMD(body)                                                             \
    static void body##_portable_matches_oracle(void **state)                             \
    {                                                                                    \
        (void)state;                                                                     \
        body("portable");                                                                \
    }                                                                                    \
    static void body##_avx2_matches_oracle(void **state)                                 \
    {                                                                                    \
        (void)state;                                                                     \
        body("avx2");                                                                    \
    }                                                                                    \
    static void body##_avx512_matches_oracle(void **state)                               \
    {                                                                                    \
        (void)state;                                                                     \
        body("avx512");                                                                  \
    }
FOR_EVERY_SIMD(kernels_any_shape)
FOR_EVERY_SIMD(kernels_every_shape)

/* Splitting a call in two at any element gives the bits of the whole. */
static void run_split_anywhere_same_bits(void **state)
{
    (void)state;
    struct random r = random_seeded(__func__);
    enum { N = 97 };
    for (int type = 0; type < trncclNumTypes; type++) {
        struct combine c;
        assert_int_equal(combine_init(&c, (trncclDataType_t)type, trncclSum, NULL, 1), 0);
        const size_t size = c.elem_nbytes;
        unsigned char x[N * 8], y[N * 8], whole[N * 8], halves[N * 8];
        for (size_t e = 0; e < N; e++) {
            element_put(x, e, size, random_bits(&r, type));
            element_put(y, e, size, random_bits(&r, type));
        }
        const void *in[2] = {x, y};
        void *out[1] = {whole};
        combine_run(&c, &(struct combine_args){in, out, 2, 1, -1, 0, N, 0});
        for (size_t at = 0; at <= N; at++) {
            const void *rest[2] = {x + at * size, y + at * size};
            void *out1[1] = {halves}, *out2[1] = {halves + at * size};
            combine_run(&c, &(struct combine_args){in, out1, 2, 1, -1, 0, at, 0});
            combine_run(&c, &(struct combine_args){rest, out2, 2, 1, -1, 0, N - at, 0});
            assert_memory_equal(whole, halves, N * size);
        }
    }
}

/* Planted faults: each breaks one rule that the comparison above must notice. */
static combine_fn honest;

static void fault_last_element(const struct combine *c, const struct combine_args *a)
{
    struct combine_args fewer = *a;
    fewer.nelems -= a->nelems > 0;
    honest(c, &fewer);
}

static void fault_one_too_many(const struct combine *c, const struct combine_args *a)
{
    honest(c, a);
    ((unsigned char *)a->out[a->nout - 1])[a->nelems * c->elem_nbytes] ^= 1;
}

static void fault_first_output_only(const struct combine *c, const struct combine_args *a)
{
    struct combine_args fewer = *a;
    fewer.nout = 1;
    honest(c, &fewer);
}

static void fault_reversed_order(const struct combine *c, const struct combine_args *a)
{
    const void *in[MAX_IN];
    struct combine_args other = *a;
    for (int i = 0; i < a->nin; i++)
        in[i] = a->in[a->nin - 1 - i];
    other.in = in;
    honest(c, &other);
}

/* bfloat16: rounds after every addition, and by cutting off. */
static void fault_cut_off(const struct combine *c, const struct combine_args *a)
{
    for (size_t e = 0; e < a->nelems; e++) {
        float sum = 0;
        for (int i = 0; i < a->nin; i++) {
            uint32_t bits = (uint32_t)element_get(a->in[i], e, 2) << 16;
            float x;
            memcpy(&x, &bits, sizeof x);
            sum = i ? sum + x : x;
        }
        uint32_t bits;
        memcpy(&bits, &sum, sizeof bits);
        if (sum != sum)
            bits = 0x7fc00000;
        for (int j = 0; j < a->nout; j++)
            element_put(a->out[j], e, c->elem_nbytes, bits >> 16);
    }
}

/* float32: the CPU's own minimum, which returns the second of two zeros. */
static void fault_zero_by_position(const struct combine *c, const struct combine_args *a)
{
    for (size_t e = 0; e < a->nelems; e++) {
        float m = 0;
        for (int i = 0; i < a->nin; i++) {
            float x;
            memcpy(&x, (const char *)a->in[i] + 4 * e, sizeof x);
            m = i == 0 || x != x || m == x ? x : m < x || m != m ? m : x;
        }
        uint32_t bits;
        memcpy(&bits, &m, sizeof bits);
        for (int j = 0; j < a->nout; j++)
            element_put(a->out[j], e, c->elem_nbytes, m != m ? 0x7fc00000 : bits);
    }
}

static void planted_faults_are_caught(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        combine_fn fault;
        int type, op, nin;
    } faults[] = {
        {"last element left out", fault_last_element, trncclInt32, trncclSum, 2},
        {"one byte too many", fault_one_too_many, trncclInt8, trncclMax, 2},
        {"second output forgotten", fault_first_output_only, trncclFloat64, trncclSum, 2},
        {"inputs in reverse order", fault_reversed_order, trncclFloat32, trncclSum, 4},
        {"rounding by cutting off", fault_cut_off, trncclBfloat16, trncclSum, 3},
        {"zero chosen by position", fault_zero_by_position, trncclFloat32, trncclMin, 2},
    };
    struct random r = random_seeded(__func__);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct trial t = {
            faults[i].type, faults[i].op, faults[i].nin, 2, 1, -1, -1, 0, 2000, 0};
        struct combine c;
        assert_int_equal(combine_init(&c, (trncclDataType_t)t.type, t.op, NULL, 1), 0);
        assert_int_equal(mismatches(&c, &t, 0, &r), 0);
        honest = c.run;
        c.run = faults[i].fault;
        bool noticed = false;
        for (int tries = 0; tries < 20 && !noticed; tries++)
            noticed = mismatches(&c, &t, 0, &r) > 0;
        if (!noticed)
            fail_msg("not noticed: %s", faults[i].what);
    }
}

static void init_bad_arguments_named(void **state)
{
    (void)state;
    struct combine c;
    assert_int_equal(combine_init(&c, trncclFloat16, trncclBxor, NULL, 2),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "bxor"));
    assert_non_null(strstr(error_text(), "float16"));
    for (int type = 0; type < trncclNumTypes; type++)
        for (int o = 0; o < NOPS; o++) {
            uint64_t scalar = 0;
            trncclResult_t want =
                oracle_has(type, all_ops[o]) ? trncclSuccess : trncclInvalidArgument;
            assert_int_equal(
                combine_init(&c, (trncclDataType_t)type, all_ops[o], &scalar, 2), want);
        }
    assert_int_equal(combine_init(&c, trncclNumTypes, trncclSum, NULL, 2),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "14"));
    assert_int_equal(combine_init(&c, trncclInt8, trncclNumOps, NULL, 2),
                     trncclInvalidArgument);
    assert_int_equal(combine_init(&c, trncclInt8, -1, NULL, 2), trncclInvalidArgument);
    assert_int_equal(combine_init(&c, trncclInt8, trncclSum, NULL, 0),
                     trncclInvalidArgument);
    assert_int_equal(combine_init(&c, trncclInt8, COMBINE_PREMUL, NULL, 2),
                     trncclInvalidArgument);
}

static void init_states_what_must_run(void **state)
{
    (void)state;
    struct combine c;
    uint16_t half = 0x3800;
    assert_int_equal(combine_init(&c, trncclFloat16, COMBINE_PREMUL, &half, 4), 0);
    assert_true(c.premul && !c.final_scales && c.scalar.f32 == 0.5f);
    assert_int_equal(combine_init(&c, trncclInt64, trncclAvg, NULL, 4), 0);
    assert_true(!c.premul && c.final_scales);
    assert_int_equal(combine_init(&c, trncclInt64, trncclAvg, NULL, 1), 0);
    assert_false(c.final_scales);
    assert_int_equal(combine_init(&c, trncclInt64, COMBINE_COPY, NULL, 4), 0);
    assert_true(!c.premul && !c.final_scales && c.elem_nbytes == 8);
}

static void simd_select_unknown_lists_sets(void **state)
{
    (void)state;
    assert_int_equal(combine_simd_select("mmx"), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "mmx"));
    assert_non_null(strstr(error_text(), "portable"));
    assert_int_equal(combine_simd_select("portable"), trncclSuccess);
    assert_string_equal(combine_simd_name(), "portable");
}

static void names_cover_the_tables(void **state)
{
    (void)state;
    for (int t = 0; t < trncclNumTypes; t++) {
        assert_non_null(combine_type_name((trncclDataType_t)t));
        assert_in_range(combine_type_nbytes((trncclDataType_t)t), 1, 8);
    }
    assert_string_equal(combine_type_name(trncclFloat32), "float32");
    assert_null(combine_type_name((trncclDataType_t)-1));
    assert_null(combine_type_name(trncclNumTypes));
    assert_int_equal(combine_type_nbytes(trncclNumTypes), 0);
    for (int o = 0; o < trncclNumOps; o++)
        assert_non_null(combine_op_name(o));
    assert_string_equal(combine_op_name(trncclMin), "min");
    assert_null(combine_op_name(trncclNumOps));
}

int main(void)
{
    oracle_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_bad_arguments_named),
        cmocka_unit_test(init_states_what_must_run),
        cmocka_unit_test(names_cover_the_tables),
        cmocka_unit_test(planted_faults_are_caught),
        cmocka_unit_test(run_split_anywhere_same_bits),
        cmocka_unit_test(kernels_any_shape_portable_matches_oracle),
        cmocka_unit_test(kernels_any_shape_avx2_matches_oracle),
        cmocka_unit_test(kernels_any_shape_avx512_matches_oracle),
        cmocka_unit_test(kernels_every_shape_portable_matches_oracle),
        cmocka_unit_test(kernels_every_shape_avx2_matches_oracle),
        cmocka_unit_test(kernels_every_shape_avx512_matches_oracle),
        cmocka_unit_test(simd_select_unknown_lists_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
