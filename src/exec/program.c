#include "exec/program.h"

#include <stdlib.h>
#include <string.h>

/* Room for everything the program will hold, in one allocation: sizes are counted first.
 */
struct extent {
    size_t npieces, noffsets;
};

/* Whether every operand of a step is one contiguous range. */
static bool step_is_contiguous(const struct sched *s, const struct layout *l,
                               const struct sched_step *step)
{
    struct layout_range range;
    if (!layout_run(l, step->span_space, step->span_chunk, step->span_n, &range))
        return false;
    size_t nbytes = range.nbytes;
    for (int i = 0; i < step->nin + step->nout; i++) {
        const struct sched_ref *r = &s->refs[step->first + i];
        if (r->space == SCHED_PEER)
            continue;
        if (!layout_run(l, r->space, r->index, step->span_n, &range) ||
            range.nbytes != nbytes)
            return false;
    }
    return true;
}

static size_t slice_limit(const struct exec_program_args *args)
{
    bool copies = args->sched->copies && args->copy_nbytes > 0;
    size_t wanted = copies ? args->copy_nbytes : args->slice_nbytes;
    size_t most = copies ? TRANSPORT_MAX_COPY : TRANSPORT_MAX_MESSAGE;
    return wanted < most ? wanted : most;
}

static trncclResult_t program_allocate(const struct sched *s, const struct extent *e,
                                       struct exec_program **out)
{
    size_t nbytes = sizeof(struct exec_program) + s->nsteps * sizeof(struct exec_step) +
                    s->nrefs * (sizeof(struct exec_operand) + sizeof(void *)) +
                    (e->npieces + e->noffsets) * sizeof(size_t);
    struct exec_program *p = calloc(1, nbytes);
    if (!p)
        return error_set(trncclSystemError,
                         "out of memory: a program of %d steps needs %zu "
                         "bytes",
                         s->nsteps, nbytes);
    char *at = (char *)(p + 1);
    p->steps = (struct exec_step *)at;
    at += s->nsteps * sizeof(struct exec_step);
    p->operands = (struct exec_operand *)at;
    at += s->nrefs * sizeof(struct exec_operand);
    p->outs = (struct transport_conn **)at;
    at += s->nrefs * sizeof(void *);
    p->offsets = (size_t *)at;
    p->sizes = p->offsets + e->noffsets;
    *out = p;
    return trncclSuccess;
}

/* The pieces of one step: its run as a whole, or chunk by chunk. */
static void bind_pieces(struct exec_program *p, const struct layout *l,
                        const struct sched_step *from, struct exec_step *to, bool whole,
                        struct extent *used)
{
    to->npieces = whole ? 1 : from->span_n;
    to->pieces = (int32_t)used->npieces;
    for (int j = 0; j < to->npieces; j++) {
        struct layout_range range;
        if (whole)
            layout_run(l, from->span_space, from->span_chunk, from->span_n, &range);
        else
            range = layout_chunk(l, from->span_space, from->span_chunk + j);
        p->sizes[used->npieces++] = range.nbytes;
        if (range.nbytes > to->nbytes)
            to->nbytes = range.nbytes;
    }
}

/* Where the pieces of a local operand begin. A run as a whole begins at its first chunk
 * that is not empty: with displacements an empty one may lie anywhere. */
static void bind_offsets(struct exec_program *p, const struct layout *l,
                         const struct sched_ref *ref, int32_t nchunks, bool whole,
                         struct extent *used)
{
    struct layout_range range;
    if (whole && layout_run(l, ref->space, ref->index, nchunks, &range)) {
        p->offsets[used->noffsets++] = range.offset;
        return;
    }
    for (int j = 0; j < nchunks; j++)
        p->offsets[used->noffsets++] = layout_chunk(l, ref->space, ref->index + j).offset;
}

static trncclResult_t bind_peer(struct exec_program *p, const struct sched_ref *ref,
                                int link, bool outgoing, exec_connect_fn connect,
                                void *context, struct exec_operand *o)
{
    TRY(connect(context, ref->index, link, outgoing, &o->conn));
    if (!outgoing)
        return trncclSuccess;
    for (o->at = 0; o->at < p->nouts; o->at++)
        if (p->outs[o->at] == o->conn)
            return trncclSuccess;
    p->outs[p->nouts++] = o->conn;
    return trncclSuccess;
}

/* What kind of step it is, from where its operands lie. */
static void bind_kind(const struct exec_program *p, bool staged, struct exec_step *to)
{
    const struct exec_operand *in = p->operands + to->first, *out = in + to->nin;
    to->raw = to->source = to->lands = -1;
    int npeers = 0;
    for (int i = 0; i < to->nin; i++)
        if (in[i].space == SCHED_IN)
            to->raw = (int16_t)i;
    for (int i = 0; i < to->nout; i++) {
        npeers += out[i].space == SCHED_PEER;
        if (out[i].space == SCHED_OUT)
            to->source = (int16_t)i;
    }
    to->writes = npeers < to->nout;
    to->stored = !sched_coll_reduces(p->sched->coll);
    to->copies_in = to->nin == 1 && npeers > 0 &&
                    (in[0].space == SCHED_IN || in[0].space == SCHED_OUT);
    if (to->nin == 1 && in[0].space == SCHED_PEER)
        to->lands = to->source;
    if (staged && npeers > 0) {
        to->copies_in = false;
        to->source = -1;
    }
}

static trncclResult_t bind_step(struct exec_program *p, const struct layout *l,
                                const struct sched_step *from, int channel, bool whole,
                                struct extent *used, exec_connect_fn connect,
                                void *context)
{
    struct exec_step *to = &p->steps[from - p->sched->steps];
    *to = (struct exec_step){.first = from->first,
                             .nin = from->nin,
                             .nout = from->nout,
                             .final = from->flags & SCHED_FINAL,
                             .post_early = from->flags & SCHED_POST_EARLY,
                             .after_channel =
                                 from->after_step < 0 ? -1 : from->after_channel,
                             .after_step = from->after_step,
                             .after_drain = from->after_drain,
                             .drain = from->drain};
    bind_pieces(p, l, from, to, whole, used);
    for (int i = 0; i < from->nin + from->nout; i++) {
        const struct sched_ref *ref = &p->sched->refs[from->first + i];
        struct exec_operand *o = &p->operands[from->first + i];
        o->space = ref->space;
        if (ref->space == SCHED_PEER) {
            bool outgoing = i >= from->nin;
            TRY(bind_peer(p, ref, sched_link(from, outgoing, channel), outgoing, connect,
                          context, o));
            continue;
        }
        o->at = (int32_t)used->noffsets;
        bind_offsets(p, l, ref, from->span_n, whole, used);
        o->offset = p->offsets[o->at];
    }
    bind_kind(p, from->flags & SCHED_STAGED, to);
    if (to->nin > p->max_in)
        p->max_in = to->nin;
    if (to->nout > p->max_out)
        p->max_out = to->nout;
    return trncclSuccess;
}

static size_t space_nbytes(const struct layout *l, enum sched_space space,
                           int32_t nchunks)
{
    size_t total = 0;
    for (int32_t i = 0; i < nchunks; i++)
        total += layout_chunk(l, space, i).nbytes;
    return total;
}

/* Which messages may be lent or may land by themselves: most small calls have none, and
 * then need not keep account of them. */
static void bind_lends(struct exec_program *p, size_t lend_nbytes)
{
    p->plain = p->nrounds <= 1;
    for (struct exec_step *s = p->steps; s < p->steps + p->nsteps; s++) {
        if (s->after_drain)
            p->holds[s->after_channel] = true;
        size_t share = layout_share(s->nbytes, 0, p->slice);
        bool small = share * (size_t)s->npieces < lend_nbytes;
        s->plain = small && s->npieces == 1 && s->after_channel < 0 && s->drain == 0;
        p->plain &= s->plain;
        p->lends |= !small && (s->copies_in || s->source >= 0);
        p->posts |= !small && s->post_early;
    }
}

trncclResult_t exec_program_create(const struct exec_program_args *args,
                                   struct exec_program **out)
{
    const struct sched *sched = args->sched;
    const struct layout *layout = args->layout;
    size_t slice = layout_slice(layout, sched->max_run, slice_limit(args));
    if (slice < 64)
        return error_set(trncclInvalidUsage,
                         "algorithm %s moves %d chunks per message; more than %u is not "
                         "supported for data larger than one round",
                         sched->algo, sched->max_run, TRANSPORT_MAX_MESSAGE / 64);
    struct extent extent = {0, 0}, used = {0, 0};
    for (int i = 0; i < sched->nsteps; i++) {
        const struct sched_step *s = &sched->steps[i];
        extent.npieces += (size_t)s->span_n;
        extent.noffsets += (size_t)s->span_n * (s->nin + s->nout);
    }
    bool one_round = layout_max_chunk(layout) <= slice;
    struct exec_program *p = NULL;
    TRY(program_allocate(sched, &extent, &p));
    p->sched = sched;
    p->slice = slice;
    p->nsteps = sched->nsteps;
    p->noperands = sched->nrefs;
    p->tmp_nbytes = layout_tmp_nbytes(layout);
    size_t largest = 0;
    for (int c = 0; c < sched->nchannels; c++)
        for (int i = 0; i < sched->channels[c].nsteps; i++) {
            const struct sched_step *from = &sched->steps[sched->channels[c].first + i];
            bool whole = one_round && step_is_contiguous(sched, layout, from);
            trncclResult_t result =
                bind_step(p, layout, from, c, whole, &used, args->connect, args->context);
            if (result != trncclSuccess) {
                exec_program_destroy(p);
                return result;
            }
            size_t nbytes = p->steps[from - sched->steps].nbytes;
            largest = nbytes > largest ? nbytes : largest;
        }
    p->nrounds = (int32_t)((largest + slice - 1) / slice);
    size_t in = space_nbytes(layout, SCHED_IN, sched_nchunks(sched, SCHED_IN));
    size_t outb = space_nbytes(layout, SCHED_OUT, sched_nchunks(sched, SCHED_OUT));
    p->total_nbytes = in > outb ? in : outb;
    bind_lends(p, args->lend_nbytes);
    *out = p;
    return trncclSuccess;
}

void exec_program_destroy(struct exec_program *p)
{
    free(p);
}
