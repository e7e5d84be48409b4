#include "sim/slices.h"

trncclResult_t slices_init(struct slices *s, const struct sim_args *args)
{
    /* Every rank that has data has blocks of this size; rank 0 may have none. */
    struct sched one = {.shape = args->source->shape};
    one.shape.in_blocks = one.shape.out_blocks = 1;
    struct layout l;
    layout_init(&l, &one, args->elem_nbytes, args->nelems);
    size_t slice = layout_slice(&l, args->source->max_run, args->slice_nbytes);
    if (slice < 64)
        return error_set(trncclInvalidUsage,
                         "the schedule moves %d chunks per message, but messages of "
                         "%llu bytes hold at most %llu of them",
                         args->source->max_run, (unsigned long long)args->slice_nbytes,
                         (unsigned long long)args->slice_nbytes / 64);
    size_t base = l.base[SCHED_IN], most = layout_max_chunk(&l);
    *s = (struct slices){
        .slice = slice,
        .nrounds = (int32_t)(most / slice + (most % slice != 0)),
        .nsub = one.shape.nsub,
        .nwhole = base ? (int32_t)(args->nelems / base) : 0,
        .chunk_nbytes = base * args->elem_nbytes,
        .rest_nbytes = base ? (size_t)(args->nelems % base) * args->elem_nbytes : 0,
    };
    return trncclSuccess;
}
