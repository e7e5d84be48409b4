/* The layout of shared memory: nothing overlaps, nothing leaves it, strangers are
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "transports/segment.h"

enum { RANKS = 3, CHANNELS = 2, SLOTS = 4 };

static void index_everyConnection_isUniqueAndDense(void **state)
{
    (void)state;
    struct segment s = {.nranks = RANKS, .nchannels = CHANNELS};
    char seen[RANKS * RANKS * CHANNELS] = {0};
    for (int to = 0; to < RANKS; to++)
        for (int from = 0; from < RANKS; from++)
            for (int c = 0; c < CHANNELS; c++) {
                size_t i = segment_index(&s, to, from, c);
                assert_true(i < sizeof seen && !seen[i]);
                seen[i] = 1;
            }
}

static void slots_ofAllSizes_doNotOverlap(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 49, 1024, 1025, 4096, 4097, 16384, 16385, 65536};
    static char base[2 * SLOTS * 90000];
    size_t total = segment_slots_total(SLOTS);
    assert_true(total <= sizeof base);
    for (size_t a = 0; a < sizeof sizes / sizeof *sizes; a++)
        for (uint32_t i = 0; i < 2 * SLOTS; i++) {
            char *p = segment_slot(base, SLOTS, i, sizes[a]);
            assert_true(p >= base && p + sizes[a] <= base + total);
            assert_ptr_equal(p, segment_slot(base, SLOTS, i + SLOTS, sizes[a]));
            /* Whatever the sizes, the slots of two messages in flight lie apart. */
            for (size_t b = 0; b < sizeof sizes / sizeof *sizes; b++)
                for (uint32_t j = i + 1; j < i + SLOTS; j++) {
                    char *q = segment_slot(base, SLOTS, j, sizes[b]);
                    assert_true(p + sizes[a] <= q || q + sizes[b] <= p);
                }
        }
}

static void create_andAttach_shareMemory(void **state)
{
    (void)state;
    struct segment *a = NULL, *b = NULL;
    assert_int_equal(segment_create(RANKS, CHANNELS, SLOTS, &a), trncclSuccess);
    assert_int_equal(segment_attach(dup(a->fd), RANKS, CHANNELS, SLOTS, &b),
                     trncclSuccess);
    size_t last = segment_index(a, RANKS - 1, RANKS - 1, CHANNELS - 1);
    char *end = segment_slots(a, last) + segment_slots_total(SLOTS);
    assert_true(end <= a->base + a->nbytes);
    end[-1] = 'x';
    assert_int_equal(segment_slots(b, last)[segment_slots_total(SLOTS) - 1], 'x');
    assert_true((uintptr_t)segment_conn(a, last) % SEGMENT_LINE == 0);
    assert_true((char *)(segment_conn(a, last) + 1) <= segment_slots(a, 0));
    assert_int_equal(ftruncate(a->fd, 4096), -1); /* sealed: a peer can never shrink it */
    segment_destroy(a);
    segment_destroy(b);
}

static void attach_ofAnotherShape_isRefused(void **state)
{
    (void)state;
    struct segment *a = NULL, *b = NULL;
    assert_int_equal(segment_create(RANKS, CHANNELS, SLOTS, &a), trncclSuccess);
    assert_int_equal(segment_attach(dup(a->fd), RANKS + 1, CHANNELS, SLOTS, &b),
                     trncclInternalError);
    assert_non_null(strstr(error_text(), "expected"));
    assert_null(b);
    size_t nbytes = a->nbytes;
    segment_destroy(a);
    int fd = memfd_create("unsealed", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)nbytes), 0);
    assert_int_equal(segment_attach(fd, RANKS, CHANNELS, SLOTS, &b), trncclInternalError);
    assert_non_null(strstr(error_text(), "sealed"));
    assert_null(b);
    segment_destroy(NULL);
}

static void ring_ofASleeper_raisesItsBell(void **state)
{
    (void)state;
    struct segment_rank *r = aligned_alloc(64, sizeof *r);
    memset(r, 0, sizeof *r);
    segment_ring(r);
    assert_int_equal(atomic_load(&r->bell), 0);
    atomic_store(&r->sleeping, 1);
    segment_ring(r);
    assert_int_equal(atomic_load(&r->bell), 1);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_everyConnection_isUniqueAndDense),
        cmocka_unit_test(slots_ofAllSizes_doNotOverlap),
        cmocka_unit_test(create_andAttach_shareMemory),
        cmocka_unit_test(attach_ofAnotherShape_isRefused),
        cmocka_unit_test(ring_ofASleeper_raisesItsBell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
