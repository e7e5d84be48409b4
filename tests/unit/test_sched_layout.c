/* Layout: chunks tile their blocks for any count; the formula of the header; v-forms,
 * TMP, runs; counts beyond 32 bits; and the checker against planted faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "sched/layout.h"

static struct sched sched_of(int32_t in_blocks, int32_t out_blocks, int32_t nsub)
{
    struct sched s = {.coll = SCHED_ALL_GATHER, .nranks = out_blocks};
    s.shape = (struct sched_shape){
        .in_blocks = in_blocks, .out_blocks = out_blocks, .nsub = nsub};
    return s;
}

/* NULL if chunks tile the block of nelems elements from byte `start` in order, none
 * longer than the first, and none empty that rounding up alone made so. */
static const char *tiling_fault(const struct layout *l, enum sched_space space,
                                int32_t block, size_t nelems, size_t start)
{
    size_t at = start, elem = l->elem_nbytes;
    int32_t nsub = l->shape.nsub, nfull = 0;
    size_t first = layout_chunk(l, space, block * nsub).nbytes;
    for (int32_t i = 0; i < nsub; i++) {
        struct layout_range r = layout_chunk(l, space, block * nsub + i);
        if (r.offset != at)
            return "a chunk does not begin where the one before it ends";
        if (r.nbytes > first || r.nbytes % elem != 0)
            return "a chunk is longer than the first, or of broken elements";
        at += r.nbytes;
        nfull += r.nbytes > 0;
    }
    if (at != start + nelems * elem)
        return "the chunks do not cover the block";
    size_t plain = (nelems + (size_t)nsub - 1) / (size_t)nsub;
    if (plain > 0 && (size_t)nfull != (nelems + plain - 1) / plain)
        return "rounding made chunks empty";
    return NULL;
}

static void layout_chunk_tiles_blocks_of_any_count(void **state)
{
    (void)state;
    static const int32_t nsubs[] = {1, 2, 3, 4, 5, 7, 8, 16, 31, 64, 129};
    for (size_t k = 0; k < sizeof nsubs / sizeof *nsubs; k++) {
        for (size_t elem = 1; elem <= 8; elem *= 2) {
            struct sched s = sched_of(1, 3, nsubs[k]);
            for (size_t nelems = 0; nelems < 700; nelems += 1 + nelems / 60) {
                struct layout l;
                layout_init(&l, &s, elem, nelems);
                assert_null(tiling_fault(&l, SCHED_IN, 0, nelems, 0));
                for (int32_t b = 0; b < 3; b++)
                    assert_null(tiling_fault(&l, SCHED_OUT, b, nelems,
                                             (size_t)b * nelems * elem));
                size_t most = nelems < l.base[0] ? nelems : l.base[0];
                assert_int_equal(layout_max_chunk(&l), most * elem);
            }
        }
    }
}

static void tiling_fault_of_wrong_layouts_is_noticed(void **state)
{
    (void)state;
    struct sched s = sched_of(1, 2, 4);
    struct layout l;
    layout_init(&l, &s, 4, 1000);
    assert_null(tiling_fault(&l, SCHED_OUT, 1, 1000, 4000));
    l.base[SCHED_OUT] -= 10; /* too short: the last elements belong to no chunk */
    assert_non_null(tiling_fault(&l, SCHED_OUT, 1, 1000, 4000));
    l.base[SCHED_OUT] += 300; /* too long: the last chunk is empty for nothing */
    assert_non_null(tiling_fault(&l, SCHED_OUT, 1, 1000, 4000));
    layout_init(&l, &s, 4, 999); /* blocks overlap */
    assert_non_null(tiling_fault(&l, SCHED_OUT, 1, 1000, 4000));
}

static void layout_base_is_the_formula(void **state)
{
    (void)state;
    assert_int_equal(layout_base(0, 4, 4), 0);
    assert_int_equal(layout_base(7, 4, 1), 7);
    assert_int_equal(layout_base(3, 4, 8), 1);       /* fewer elements than chunks */
    assert_int_equal(layout_base(64, 4, 4), 16);     /* whole lines already */
    assert_int_equal(layout_base(100, 4, 4), 32);    /* 32 32 32 4 */
    assert_int_equal(layout_base(68, 4, 4), 17);     /* 32 32 4 0: not rounded */
    assert_int_equal(layout_base(1000, 4, 4), 256);  /* 256 256 256 232 */
    assert_int_equal(layout_base(1000, 1, 4), 256);  /* a line is 64 elements */
    assert_int_equal(layout_base(1000, 8, 4), 256);  /* a line is 8 */
    assert_int_equal(layout_base(1004, 8, 4), 256);  /* 251 rounded */
    assert_int_equal(layout_base(1004, 12, 4), 251); /* no whole elements in a line */
}

static void layout_chunk_beyond_32_bits_is_exact(void **state)
{
    (void)state;
    struct sched s = sched_of(1, 1024, 3);
    struct layout l;
    size_t nelems = ((size_t)1 << 40) + 5;
    layout_init(&l, &s, 8, nelems);
    assert_null(tiling_fault(&l, SCHED_IN, 0, nelems, 0));
    assert_null(tiling_fault(&l, SCHED_OUT, 1023, nelems, 1023 * nelems * 8));
    layout_init(&l, &s, 1, ((size_t)1 << 32) - 1); /* sums pass 2^32 */
    assert_null(
        tiling_fault(&l, SCHED_OUT, 1, ((size_t)1 << 32) - 1, ((size_t)1 << 32) - 1));
    s = sched_of(1, 1, 65536);
    layout_init(&l, &s, 8, (size_t)1 << 32);
    assert_null(tiling_fault(&l, SCHED_IN, 0, (size_t)1 << 32, 0));
}

static void layout_init_v_blocks_have_their_own_sizes(void **state)
{
    (void)state;
    static const size_t counts[] = {100, 0, 1, 68};
    static const size_t displs[] = {500, 0, 400, 10};
    struct sched s = sched_of(1, 4, 4);
    struct layout_blocks in = {.nblocks = 1, .nelems = counts[3]};
    struct layout_blocks out = {.nblocks = 4, .counts = counts, .displs = displs};
    struct layout l;
    layout_init_v(&l, &s, 4, &in, &out);
    for (int32_t b = 0; b < 4; b++)
        assert_null(tiling_fault(&l, SCHED_OUT, b, counts[b], displs[b] * 4));
    /* A rank's own block has the same lengths as a block of IN and of OUT. */
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(layout_chunk(&l, SCHED_IN, i).nbytes,
                         layout_chunk(&l, SCHED_OUT, 12 + i).nbytes);
    assert_int_equal(layout_max_chunk(&l), 32 * 4);
    size_t packed[4], at = 0;
    out.displs = NULL;
    layout_init_v(&l, &s, 4, &in, &out);
    layout_displs_fill(counts, 4, packed);
    for (int32_t b = 0; b < 4; b++) {
        assert_null(tiling_fault(&l, SCHED_OUT, b, counts[b], at * 4));
        assert_int_equal(packed[b], at);
        at += counts[b];
    }
}

static void layout_tmp_repeats_the_space_it_is_like(void **state)
{
    (void)state;
    static const size_t counts[] = {100, 0, 7}, displs[] = {900, 0, 100};
    struct sched s = sched_of(1, 3, 2);
    s.shape.tmp_chunks = 9;
    s.shape.tmp_like = SCHED_OUT;
    struct layout_blocks in = {.nblocks = 1, .nelems = 7};
    struct layout_blocks out = {.nblocks = 3, .counts = counts, .displs = displs};
    struct layout l;
    for (int uniform = 0; uniform < 2; uniform++) {
        if (uniform)
            layout_init(&l, &s, 4, 77);
        else
            layout_init_v(&l, &s, 4, &in, &out);
        size_t at = 0;
        for (int32_t i = 0; i < 9; i++) {
            struct layout_range t = layout_chunk(&l, SCHED_TMP, i);
            assert_int_equal(t.offset, at);
            assert_int_equal(t.nbytes, layout_chunk(&l, SCHED_OUT, i % 6).nbytes);
            at += t.nbytes;
        }
        assert_int_equal(layout_tmp_nbytes(&l), at);
        struct layout_range run;
        assert_true(layout_run(&l, SCHED_TMP, 1, 8, &run));
        assert_int_equal(run.offset + run.nbytes, at);
    }
    s.shape.tmp_chunks = 0;
    layout_init(&l, &s, 4, 77);
    assert_int_equal(layout_tmp_nbytes(&l), 0);
}

/* By looking at every byte's owner. */
static bool run_is_contiguous(const struct layout *l, int32_t chunk, int32_t n,
                              struct layout_range *range)
{
    *range = (struct layout_range){SIZE_MAX, 0};
    for (int32_t i = 0; i < n; i++) {
        struct layout_range r = layout_chunk(l, SCHED_OUT, chunk + i);
        if (r.nbytes == 0)
            continue;
        if (range->nbytes > 0 && r.offset != range->offset + range->nbytes)
            return false;
        if (range->nbytes == 0)
            range->offset = r.offset;
        range->nbytes += r.nbytes;
    }
    return true;
}

static void layout_run_is_contiguous_where_chunks_are(void **state)
{
    (void)state;
    static const size_t counts[] = {5, 0, 3, 64};
    static const size_t tables[][4] = {
        {0, 5, 5, 8}, {0, 999, 5, 8}, {10, 0, 5, 30}, {8, 0, 13, 16}};
    int nyes = 0, nno = 0;
    for (size_t t = 0; t < 5; t++) {
        struct sched s = sched_of(1, 4, 3);
        struct layout_blocks in = {.nblocks = 1, .nelems = 5};
        struct layout_blocks out = {
            .nblocks = 4, .counts = counts, .displs = t < 4 ? tables[t] : NULL};
        struct layout l;
        layout_init_v(&l, &s, 2, &in, &out);
        for (int32_t chunk = 0; chunk < 12; chunk++) {
            for (int32_t n = 1; chunk + n <= 12; n++) {
                struct layout_range want, got = {7, 7};
                bool yes = run_is_contiguous(&l, chunk, n, &want);
                assert_int_equal(layout_run(&l, SCHED_OUT, chunk, n, &got), yes);
                *(yes ? &nyes : &nno) += 1;
                assert_int_equal(got.nbytes, yes ? want.nbytes : 7);
                if (yes && want.nbytes > 0)
                    assert_int_equal(got.offset, want.offset);
            }
        }
    }
    assert_true(nyes > 100 && nno > 20);
}

/* Slices of one chunk tile it, and max_run slices fit the largest message. */
static void layout_slice_fits_runs_into_messages(void **state)
{
    (void)state;
    const struct sched s = sched_of(1, 1, 8);
    struct layout l;
    layout_init(&l, &s, 4, 8 * 1024); /* chunks of 4,096 bytes */
    assert_int_equal(layout_slice(&l, 4, 4 * 4096), 4 * 4096);
    assert_int_equal(layout_slice(&l, 4, 4 * 4096 - 1), 4032);
    assert_int_equal(layout_slice(&l, 3, 1000), 320);
    assert_true(layout_slice(&l, 100, 1000) < 64);
    size_t sum = 0, slice = layout_slice(&l, 3, 1000);
    for (size_t offset = 0; offset < 8192; offset += slice)
        sum += layout_share(4096, offset, slice);
    assert_int_equal(sum, 4096);
    /* Blocks of different sizes: whole runs are not known to fit on all ranks, but this
     * rank's chunks do. */
    const size_t counts[2] = {10, 1000};
    const struct sched two = sched_of(2, 1, 1);
    struct layout_blocks in = {.nblocks = 2, .counts = counts};
    struct layout_blocks out = {.nblocks = 1, .nelems = 10};
    layout_init_v(&l, &two, 4, &in, &out);
    assert_int_equal(layout_slice(&l, 2, 8128), 8128);
    assert_int_equal(layout_slice(&l, 2, 7999), 3968);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_chunk_tiles_blocks_of_any_count),
        cmocka_unit_test(tiling_fault_of_wrong_layouts_is_noticed),
        cmocka_unit_test(layout_base_is_the_formula),
        cmocka_unit_test(layout_chunk_beyond_32_bits_is_exact),
        cmocka_unit_test(layout_init_v_blocks_have_their_own_sizes),
        cmocka_unit_test(layout_tmp_repeats_the_space_it_is_like),
        cmocka_unit_test(layout_run_is_contiguous_where_chunks_are),
        cmocka_unit_test(layout_slice_fits_runs_into_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
