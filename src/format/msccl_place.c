#include "format/msccl_place.h"

#include <stdlib.h>
#include <string.h>

/* In place the smaller of input and output is a block of the larger. */
static void place_buffers(struct msccl_place *p, int32_t rank, bool alias)
{
    const struct msccl *m = p->m;
    int32_t ni = msccl_nchunks(m, rank, MSCCL_INPUT);
    int32_t no = msccl_nchunks(m, rank, MSCCL_OUTPUT);
    int32_t block = rank * m->nsub;
    bool rooted = m->coll == SCHED_GATHER || m->coll == SCHED_SCATTER;
    p->base[MSCCL_OUTPUT] = ni;
    p->base[MSCCL_SCRATCH] = ni + no;
    if (alias && !(rooted && rank != m->root)) {
        p->base[MSCCL_INPUT] = ni < no ? block : 0;
        p->base[MSCCL_OUTPUT] = no < ni ? block : 0;
        p->base[MSCCL_SCRATCH] = ni > no ? ni : no;
    }
    p->nslots = p->base[MSCCL_SCRATCH] + m->gpus[rank].nscratch;
}

trncclResult_t msccl_place_init(struct msccl_place *p, const struct msccl *m,
                                int32_t rank, bool alias)
{
    struct sched_args args = {
        .coll = m->coll, .nranks = m->nranks, .rank = rank, .root = m->root};
    int32_t in_blocks, out_blocks;
    sched_coll_blocks(&args, &in_blocks, &out_blocks);
    *p = (struct msccl_place){
        .m = m, .nin = in_blocks * m->nsub, .nout = out_blocks * m->nsub};
    place_buffers(p, rank, alias);
    p->cells = malloc(((size_t)p->nslots + 1) * sizeof *p->cells);
    p->shadow = malloc(((size_t)p->nslots + 1) * sizeof *p->shadow);
    if (!p->cells || !p->shadow)
        return error_set(trncclSystemError, "no memory for %d chunks of rank %d",
                         p->nslots, rank);
    for (int32_t i = 0; i < p->nslots; i++) {
        p->shadow[i] = -1;
        p->cells[i].chunk = -1;
    }
    for (int32_t i = 0; i < p->nin; i++)
        p->cells[p->base[MSCCL_INPUT] + i] = (struct msccl_cell){
            .chunk = i, .count = 1, .lowest = rank, .at = {SCHED_IN, i}};
    return trncclSuccess;
}

void msccl_place_fini(struct msccl_place *p)
{
    free(p->cells);
    free(p->shadow);
    free(p->shadows);
    free(p->taken);
}

const struct msccl_cell *msccl_place_cell(const struct msccl_place *p, int buffer,
                                          int32_t off)
{
    return &p->cells[p->base[buffer] + off];
}

/* ---- TMP ----------------------------------------------------------------------------
 */

static int32_t shadow_find(const struct msccl_place *p, int32_t slot, int32_t sub)
{
    for (int32_t i = slot >= 0 ? p->shadow[slot] : -1; i >= 0; i = p->shadows[i].next)
        if (p->shadows[i].sub == sub)
            return p->shadows[i].tmp;
    return -1;
}

static trncclResult_t tmp_reserve(struct msccl_place *p, int32_t ntmp)
{
    if (ntmp > MSCCL_MAX_CHUNKS)
        return error_set(trncclInvalidArgument,
                         "a rank's scratch of more than %d chunks, sorted by their "
                         "place within a block",
                         MSCCL_MAX_CHUNKS);
    if (ntmp > p->taken_capacity) {
        int32_t more = ntmp < 64 ? 64 : ntmp * 2;
        bool *bigger = realloc(p->taken, (size_t)more * sizeof *bigger);
        if (!bigger)
            return error_set(trncclSystemError, "no memory for %d chunks of TMP", more);
        memset(bigger + p->taken_capacity, 0,
               (size_t)(more - p->taken_capacity) * sizeof *bigger);
        p->taken = bigger;
        p->taken_capacity = more;
    }
    if (ntmp > p->ntmp)
        p->ntmp = ntmp;
    return trncclSuccess;
}

/* A free chunk of TMP with the length of chunk `sub` of a block: behind that of the slot
 * before, so that runs stay runs, or wherever there is one. */
static trncclResult_t tmp_take(struct msccl_place *p, int32_t slot, int32_t sub,
                               int32_t *tmp)
{
    int32_t nsub = p->m->nsub;
    int32_t before = shadow_find(p, slot - 1, (sub + nsub - 1) % nsub);
    int64_t at = before + 1;
    if (before < 0 || (before + 1 < p->ntmp && p->taken[before + 1]))
        for (at = (int64_t)p->row * nsub + sub; at < p->ntmp && p->taken[at];)
            at += nsub;
    if (at >= MSCCL_MAX_CHUNKS)
        at = MSCCL_MAX_CHUNKS;
    TRY(tmp_reserve(p, (int32_t)at + 1));
    p->taken[at] = true;
    *tmp = (int32_t)at;
    for (bool full = true; full && (p->row + 1) * (int64_t)nsub <= p->ntmp;) {
        for (int32_t i = 0; i < nsub && full; i++)
            full = p->taken[p->row * nsub + i];
        p->row += full;
    }
    return trncclSuccess;
}

static trncclResult_t shadow_make(struct msccl_place *p, int32_t slot, int32_t sub,
                                  int32_t *tmp)
{
    *tmp = shadow_find(p, slot, sub);
    if (*tmp >= 0)
        return trncclSuccess;
    if (p->nshadows == p->capacity) {
        int32_t more = p->capacity ? p->capacity * 2 : 64;
        void *bigger = realloc(p->shadows, (size_t)more * sizeof *p->shadows);
        if (!bigger)
            return error_set(trncclSystemError, "no memory for %d chunks of TMP", more);
        p->shadows = bigger;
        p->capacity = more;
    }
    TRY(tmp_take(p, slot, sub, tmp));
    p->shadows[p->nshadows] = (struct msccl_shadow){sub, *tmp, p->shadow[slot]};
    p->shadow[slot] = p->nshadows++;
    return trncclSuccess;
}

trncclResult_t msccl_place_write(struct msccl_place *p, int buffer, int32_t off,
                                 struct msccl_cell *cell)
{
    int32_t slot = p->base[buffer] + off, sub = cell->chunk % p->m->nsub;
    int32_t out = slot - p->base[MSCCL_OUTPUT];
    if (out >= 0 && out < p->nout && out % p->m->nsub == sub) {
        cell->at = (struct sched_ref){SCHED_OUT, out};
    } else {
        int32_t tmp;
        TRY(shadow_make(p, slot, sub, &tmp));
        cell->at = (struct sched_ref){SCHED_TMP, tmp};
    }
    p->cells[slot] = *cell;
    return trncclSuccess;
}
