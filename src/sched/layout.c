#include "sched/layout.h"

enum { LAYOUT_LINE_NBYTES = 64 };

/* A chunk in elements, from the start of its space. */
struct extent {
    size_t offset, nelems;
};

/* 64-bit division costs several times a 32-bit one, and nearly all calls fit the latter.
 */
static inline size_t divide_up(size_t a, size_t b)
{
    if (((a | b) >> 32) == 0)
        return (uint32_t)a / (uint32_t)b + ((uint32_t)a % (uint32_t)b != 0);
    return a / b + (a % b != 0);
}

size_t layout_base(size_t nelems, size_t elem_nbytes, int32_t nsub)
{
    if (nsub == 1 || nelems == 0)
        return nelems;
    size_t plain = divide_up(nelems, (size_t)nsub);
    if (elem_nbytes == 0 || LAYOUT_LINE_NBYTES % elem_nbytes != 0)
        return plain;
    size_t line = LAYOUT_LINE_NBYTES / elem_nbytes;
    size_t rounded = (plain + line - 1) & ~(line - 1);
    if (rounded <= plain) /* already a multiple, or beyond any memory */
        return plain;
    return divide_up(nelems, rounded) == divide_up(nelems, plain) ? rounded : plain;
}

void layout_displs_fill(const size_t *counts, int32_t n, size_t *displs)
{
    size_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        displs[i] = sum;
        sum += counts[i];
    }
}

static size_t blocks_total(const struct layout_blocks *b)
{
    if (!b->counts)
        return b->nelems * (size_t)b->nblocks;
    size_t sum = 0;
    for (int32_t i = 0; i < b->nblocks; i++)
        sum += b->counts[i];
    return sum;
}

void layout_init_v(struct layout *l, const struct sched *s, size_t elem_nbytes,
                   const struct layout_blocks *in, const struct layout_blocks *out)
{
    l->shape = s->shape;
    l->elem_nbytes = elem_nbytes;
    l->in = *in;
    l->out = *out;
    l->base[SCHED_IN] =
        in->counts ? 0 : layout_base(in->nelems, elem_nbytes, s->shape.nsub);
    l->base[SCHED_OUT] = out->counts ? 0
                         : !in->counts && in->nelems == out->nelems
                             ? l->base[SCHED_IN]
                             : layout_base(out->nelems, elem_nbytes, s->shape.nsub);
    l->period_elems =
        s->shape.tmp_chunks == 0
            ? 0
            : blocks_total(s->shape.tmp_like == SCHED_IN ? &l->in : &l->out);
}

void layout_init(struct layout *l, const struct sched *s, size_t elem_nbytes,
                 size_t nelems)
{
    struct layout_blocks in = {.nblocks = s->shape.in_blocks, .nelems = nelems};
    struct layout_blocks out = {.nblocks = s->shape.out_blocks, .nelems = nelems};
    layout_init_v(l, s, elem_nbytes, &in, &out);
}

/* Start of a block; packed: as if there were no gaps. */
static inline size_t block_offset(const struct layout_blocks *b, int32_t block,
                                  bool packed)
{
    if (b->displs && !packed)
        return b->displs[block];
    if (!b->counts)
        return (size_t)block * b->nelems;
    size_t sum = 0;
    for (int32_t i = 0; i < block; i++)
        sum += b->counts[i];
    return sum;
}

static inline struct extent chunk_extent(const struct layout *l, enum sched_space space,
                                         int32_t chunk, bool packed)
{
    const struct layout_blocks *b = space == SCHED_IN ? &l->in : &l->out;
    uint32_t nsub = (uint32_t)l->shape.nsub;
    uint32_t block = nsub == 1 ? (uint32_t)chunk : (uint32_t)chunk / nsub;
    uint32_t sub = (uint32_t)chunk - block * nsub;
    size_t nelems = b->nelems, base = l->base[space];
    if (b->counts) {
        nelems = b->counts[block];
        base = layout_base(nelems, l->elem_nbytes, (int32_t)nsub);
    }
    size_t start = sub * base;
    if (start > nelems)
        start = nelems;
    size_t left = nelems - start;
    return (struct extent){
        .offset = block_offset(b, (int32_t)block, packed) + start,
        .nelems = left < base ? left : base,
    };
}

static inline struct extent tmp_extent(const struct layout *l, int32_t chunk)
{
    enum sched_space like = (enum sched_space)l->shape.tmp_like;
    int32_t blocks = like == SCHED_IN ? l->shape.in_blocks : l->shape.out_blocks;
    uint32_t period = (uint32_t)(blocks * l->shape.nsub);
    uint32_t turn = (uint32_t)chunk / period;
    struct extent e =
        chunk_extent(l, like, (int32_t)((uint32_t)chunk - turn * period), true);
    e.offset += turn * l->period_elems;
    return e;
}

static inline struct extent any_extent(const struct layout *l, enum sched_space space,
                                       int32_t chunk)
{
    return space == SCHED_TMP ? tmp_extent(l, chunk)
                              : chunk_extent(l, space, chunk, false);
}

struct layout_range layout_chunk(const struct layout *l, enum sched_space space,
                                 int32_t chunk)
{
    struct extent e = any_extent(l, space, chunk);
    return (struct layout_range){e.offset * l->elem_nbytes, e.nelems * l->elem_nbytes};
}

/* Whether the chunks [chunk, chunk + n) follow each other, looking at each. Empty chunks
 * lie nowhere, so they cannot break a run. */
static bool run_follows(const struct layout *l, enum sched_space space, int32_t chunk,
                        int32_t n, struct extent *run)
{
    *run = any_extent(l, space, chunk);
    for (int32_t i = 1; i < n; i++) {
        struct extent e = any_extent(l, space, chunk + i);
        if (e.nelems == 0)
            continue;
        if (run->nelems == 0)
            *run = e;
        else if (e.offset != run->offset + run->nelems)
            return false;
        else
            run->nelems += e.nelems;
    }
    return true;
}

bool layout_run(const struct layout *l, enum sched_space space, int32_t chunk, int32_t n,
                struct layout_range *range)
{
    const struct layout_blocks *b = space == SCHED_IN ? &l->in : &l->out;
    struct extent run = any_extent(l, space, chunk);
    bool packed = space == SCHED_TMP || !b->displs;
    int32_t nsub = l->shape.nsub;
    if (n > 1 && !packed && chunk / nsub != (chunk + n - 1) / nsub) {
        if (!run_follows(l, space, chunk, n, &run))
            return false;
    } else if (n > 1) {
        struct extent last = any_extent(l, space, chunk + n - 1);
        run.nelems = last.offset + last.nelems - run.offset;
    }
    *range =
        (struct layout_range){run.offset * l->elem_nbytes, run.nelems * l->elem_nbytes};
    return true;
}

static size_t blocks_max_chunk(const struct layout *l, enum sched_space space)
{
    const struct layout_blocks *b = space == SCHED_IN ? &l->in : &l->out;
    if (b->nblocks == 0)
        return 0;
    if (!b->counts)
        return l->base[space] < b->nelems ? l->base[space] : b->nelems;
    size_t most = 0;
    for (int32_t i = 0; i < b->nblocks; i++) {
        size_t base = layout_base(b->counts[i], l->elem_nbytes, l->shape.nsub);
        size_t chunk = base < b->counts[i] ? base : b->counts[i];
        if (chunk > most)
            most = chunk;
    }
    return most;
}

size_t layout_max_chunk(const struct layout *l)
{
    size_t in = blocks_max_chunk(l, SCHED_IN), out = blocks_max_chunk(l, SCHED_OUT);
    return (in > out ? in : out) * l->elem_nbytes;
}

size_t layout_tmp_nbytes(const struct layout *l)
{
    if (l->shape.tmp_chunks == 0)
        return 0;
    struct extent last = tmp_extent(l, l->shape.tmp_chunks - 1);
    return (last.offset + last.nelems) * l->elem_nbytes;
}

/* Only what all ranks know may go in here: with blocks of different sizes a rank may not
 * know the largest. */
size_t layout_slice(const struct layout *l, int32_t max_run, size_t limit)
{
    size_t most = layout_max_chunk(l), slice = limit / (size_t)max_run;
    bool uniform = !l->in.counts && !l->out.counts;
    if (uniform && most <= slice)
        return limit;
    slice &= ~(size_t)(LAYOUT_LINE_NBYTES - 1);
    /* Every run then fits a message and must not be cut at the slice of one chunk: the
     * rank at the other end may have it in pieces that are not. */
    return slice >= LAYOUT_LINE_NBYTES && most <= slice ? limit : slice;
}
