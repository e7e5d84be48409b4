/* text_print. Its inverse is in text_parse.c. */
#include "sched/text.h"

#include <errno.h>

static const char *const space_names[] = {"IN", "OUT", "TMP"};

static void print_run(FILE *file, unsigned space, int32_t chunk, int32_t n)
{
    if (n == 1)
        fprintf(file, "%s[%d]", space_names[space], chunk);
    else
        fprintf(file, "%s[%d..%d]", space_names[space], chunk, chunk + n - 1);
}

static void print_refs(FILE *file, const char *side, const struct sched_ref *refs,
                       int32_t nrefs, int32_t span_n)
{
    fprintf(file, " %s", side);
    for (int32_t i = 0; i < nrefs; i++) {
        fputs(i ? ", " : " ", file);
        if (refs[i].space == SCHED_PEER)
            fprintf(file, "peer %d", refs[i].index);
        else
            print_run(file, refs[i].space, refs[i].index, span_n);
    }
}

static void print_step(FILE *file, const struct sched *s, const struct sched_step *p,
                       int32_t index)
{
    fprintf(file, "    %d:", index);
    if (p->nin == 0) {
        fputs(" wait", file);
    } else {
        print_refs(file, "in", sched_in(s, p), p->nin, p->span_n);
        print_refs(file, "out", sched_out(s, p), p->nout, p->span_n);
    }
    fputs(" len ", file);
    print_run(file, p->span_space, p->span_chunk, p->span_n);
    if (p->in_link)
        fprintf(file, " in-link %d", p->in_link - 1);
    if (p->out_link)
        fprintf(file, " out-link %d", p->out_link - 1);
    if (p->after_step >= 0)
        fprintf(file, " after %d:%d", p->after_channel, p->after_step);
    if (p->flags & SCHED_FINAL)
        fputs(" final", file);
    if (p->flags & SCHED_STAGED)
        fputs(" staged", file);
    if (p->drain > 0)
        fprintf(file, " drain %d", p->drain);
    if (p->after_drain)
        fputs(" after-drain", file);
    if (p->flags & SCHED_POST_EARLY)
        fputs(" early", file);
    fputc('\n', file);
}

static void print_tmp(FILE *file, const struct sched_shape *shape)
{
    fprintf(file, " tmp %d", shape->tmp_chunks);
    if (shape->tmp_chunks > 0)
        fprintf(file, " like %s", space_names[shape->tmp_like]);
}

static void print_rank(FILE *file, const struct sched *s, const struct sched *first)
{
    fprintf(file, "rank %d %s", s->rank, s->inplace ? "in-place" : "out-of-place");
    if (s->coll == SCHED_PERMUTE)
        fprintf(file, " blocks %d %d", s->shape.in_blocks, s->shape.out_blocks);
    if (s->shape.nsub != first->shape.nsub)
        fprintf(file, " nsub %d", s->shape.nsub);
    if (s->shape.tmp_chunks != first->shape.tmp_chunks ||
        (s->shape.tmp_chunks > 0 && s->shape.tmp_like != first->shape.tmp_like))
        print_tmp(file, &s->shape);
    if (s->credits != first->credits)
        fprintf(file, " credits %d", s->credits);
    if (s->max_run != first->max_run)
        fprintf(file, " run %d", s->max_run);
    if (s->copies && !first->copies)
        fputs(" copies", file);
    if (s->any_order && !first->any_order)
        fputs(" any-order", file);
    fputc('\n', file);
    for (int32_t c = 0; c < s->nchannels; c++) {
        fprintf(file, "  channel %d\n", c);
        for (int32_t i = 0; i < s->channels[c].nsteps; i++)
            print_step(file, s, &s->steps[s->channels[c].first + i], i);
    }
}

trncclResult_t text_print(FILE *file, struct sched *const *ranks, int32_t nranks)
{
    if (nranks < 1)
        return error_set(trncclInvalidArgument, "no schedule to print");
    const struct sched *first = ranks[0];
    if (first->nranks != nranks)
        return error_set(trncclInvalidArgument, "%d schedules to print of %d ranks",
                         nranks, first->nranks);
    fprintf(file, "collective %s algo %s ranks %d root %d nsub %d",
            sched_coll_name(first->coll), first->algo, nranks, first->root,
            first->shape.nsub);
    print_tmp(file, &first->shape);
    fprintf(file, " credits %d run %d%s%s\n", first->credits, first->max_run,
            first->copies ? " copies" : "", first->any_order ? " any-order" : "");
    for (int32_t r = 0; r < nranks; r++)
        print_rank(file, ranks[r], first);
    if (fflush(file) != 0 || ferror(file))
        return error_set_errno(trncclSystemError, errno,
                               "cannot write the schedules of %s %s",
                               sched_coll_name(first->coll), first->algo);
    return trncclSuccess;
}
