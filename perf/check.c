#include "perf/check.h"

#include <stdio.h>
#include <string.h>

static unsigned char filler(const struct check *c)
{
    return (unsigned char)(0xa5 ^ (c->data->rep * 29));
}

static size_t extent_of(const struct check *c, bool is_send)
{
    const struct op_layout *l = c->layout;
    if (!c->in_place)
        return is_send ? l->send_extent : l->recv_extent;
    return l->send_extent > l->recv_extent ? l->send_extent : l->recv_extent;
}

static void surround(const struct check *c, unsigned char *area, size_t extent)
{
    size_t nbytes = extent * c->data->elem_nbytes;
    memset(area - CHECK_GUARD_BYTES, filler(c), CHECK_GUARD_BYTES);
    memset(area + nbytes, filler(c), CHECK_GUARD_BYTES);
}

bool check_prepare(const struct check *c)
{
    const struct op_layout *l = c->layout;
    size_t esize = c->data->elem_nbytes;
    memset(c->recv, filler(c), extent_of(c, false) * esize);
    surround(c, c->recv, extent_of(c, false));
    unsigned char *send = c->in_place ? c->recv : c->send;
    if (!c->in_place)
        surround(c, send, extent_of(c, true));
    return data_fill(c->data, l->rank, 0, l->send_count, send + l->send_at * esize);
}

static void note(struct check_wrong *w, size_t nwrong, const char *where, size_t index,
                 uint64_t expected, uint64_t found)
{
    if (nwrong == 0)
        return;
    if (w->nwrong == 0) {
        snprintf(w->where, sizeof w->where, "%s", where);
        w->index = index;
        w->expected = expected;
        w->found = found;
    }
    w->nwrong += nwrong;
}

/* Counts elements of `nbytes` that do not hold the filler throughout. */
static void verify_filler(const struct check *c, const unsigned char *area, size_t at,
                          size_t count, size_t esize, const char *where,
                          struct check_wrong *w)
{
    const unsigned char *p = area + at * esize;
    size_t nbytes = count * esize;
    unsigned char byte = filler(c);
    if (nbytes == 0 || (p[0] == byte && memcmp(p, p + 1, nbytes - 1) == 0))
        return;
    for (size_t i = 0; i < count; i++) {
        uint64_t found = 0, expected = 0;
        for (size_t b = 0; b < esize; b++) {
            found |= (uint64_t)p[i * esize + b] << (8 * b);
            expected |= (uint64_t)byte << (8 * b);
        }
        note(w, found != expected, where, at + i, expected, found);
    }
}

static void verify_data(const struct check *c, const unsigned char *area, size_t at,
                        size_t count, int rank, size_t index, const char *where,
                        struct check_wrong *w)
{
    struct data_wrong first = {0};
    if (w->nwrong == SIZE_MAX)
        return;
    size_t n = data_count_wrong(c->data, rank, index, count,
                                area + at * c->data->elem_nbytes, &first);
    if (n == SIZE_MAX)
        w->nwrong = SIZE_MAX;
    else
        note(w, n, where, at + first.index, first.expected, first.found);
}

/* Elements [from, to) must be as they were before the call. */
static void verify_unchanged(const struct check *c, const unsigned char *area,
                             bool has_send_data, size_t from, size_t to,
                             const char *where, struct check_wrong *w)
{
    const struct op_layout *l = c->layout;
    size_t esize = c->data->elem_nbytes;
    size_t low = l->send_at, high = l->send_at + l->send_count;
    if (!has_send_data || high <= from || low >= to) {
        verify_filler(c, area, from, to - from, esize, where, w);
        return;
    }
    low = low > from ? low : from;
    high = high < to ? high : to;
    verify_filler(c, area, from, low - from, esize, where, w);
    verify_data(c, area, low, high - low, l->rank, low - l->send_at, where, w);
    verify_filler(c, area, high, to - high, esize, where, w);
}

static void verify_guards(const struct check *c, const unsigned char *area, size_t extent,
                          struct check_wrong *w)
{
    verify_filler(c, area - CHECK_GUARD_BYTES, 0, CHECK_GUARD_BYTES, 1,
                  "guard zone before the buffer", w);
    verify_filler(c, area + extent * c->data->elem_nbytes, 0, CHECK_GUARD_BYTES, 1,
                  "guard zone behind the buffer", w);
}

void check_verify(const struct check *c, struct check_wrong *w)
{
    const struct op_layout *l = c->layout;
    *w = (struct check_wrong){0};
    size_t extent = extent_of(c, false), at = 0;
    for (int i = 0; i < l->nsegments; i++) {
        const struct op_segment *s = &l->segments[i];
        verify_unchanged(c, c->recv, c->in_place, at, s->at, "outside the result", w);
        int from = s->from == OP_FROM_REDUCTION ? DATA_REDUCED : s->from;
        verify_data(c, c->recv, s->at, s->count, from, s->index, "result", w);
        at = s->at + s->count;
    }
    verify_unchanged(c, c->recv, c->in_place, at, extent, "outside the result", w);
    verify_guards(c, c->recv, extent, w);
    if (!c->in_place) {
        size_t n = l->send_count;
        verify_data(c, c->send, l->send_at, n, l->rank, 0, "send buffer changed", w);
        verify_guards(c, c->send, extent_of(c, true), w);
    }
}
