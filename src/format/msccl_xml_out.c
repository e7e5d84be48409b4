#include "format/msccl_xml_out.h"

#include <errno.h>
#include <stdlib.h>

#include "format/msccl_ops.h"

static const char *coll_name(enum sched_coll coll)
{
    switch (coll) {
    case SCHED_ALL_REDUCE:
        return "allreduce";
    case SCHED_ALL_GATHER:
        return "allgather";
    case SCHED_REDUCE_SCATTER:
        return "reduce_scatter";
    case SCHED_ALL_TO_ALL:
        return "alltoall";
    case SCHED_BROADCAST:
    case SCHED_REDUCE:
    case SCHED_GATHER:
    case SCHED_SCATTER:
        return sched_coll_name(coll);
    default:
        return NULL;
    }
}

static void write_ref(FILE *file, const char *side, bool used, struct sched_ref ref)
{
    static const char buffers[] = "ios";
    fprintf(file, " %sbuf=\"%c\" %soff=\"%d\"", side, used ? buffers[ref.space] : 'i',
            side, used ? ref.index : -1);
}

static void write_step(FILE *file, const struct msccl_out *o,
                       const struct msccl_out_step *step)
{
    const struct msccl_traits *t = &msccl_traits[step->type];
    const struct msccl_out_step *dep = step->dep >= 0 ? &o->steps[step->dep] : NULL;
    fprintf(file, "      <step s=\"%d\" type=\"%s\"", step->s, t->name);
    write_ref(file, "src", t->reads, step->src);
    write_ref(file, "dst", t->writes, step->dst);
    fprintf(file, " cnt=\"%d\" depid=\"%d\" deps=\"%d\" hasdep=\"%d\"/>\n", step->cnt,
            dep ? dep->tb : -1, dep ? dep->s : -1, step->hasdep);
}

static void write_gpu(FILE *file, const struct msccl_out *o)
{
    const struct sched *s = o->s;
    fprintf(file, "  <gpu id=\"%d\" i_chunks=\"%d\" o_chunks=\"%d\" s_chunks=\"%d\">\n",
            s->rank, sched_nchunks(s, SCHED_IN), sched_nchunks(s, SCHED_OUT),
            o->nscratch);
    for (int32_t tb = 0; tb < o->ntbs; tb++) {
        const struct msccl_out_tb *t = &o->tbs[tb];
        fprintf(file, "    <tb id=\"%d\" send=\"%d\" recv=\"%d\" chan=\"%d\">\n", tb,
                t->send, t->recv, t->chan);
        for (int32_t i = 0; i < o->nsteps; i++)
            if (o->steps[i].tb == tb)
                write_step(file, o, &o->steps[i]);
        fputs("    </tb>\n", file);
    }
    fputs("  </gpu>\n", file);
}

static void write_head(FILE *file, const struct sched *s, int32_t nchans)
{
    bool blocks = msccl_coll_has_blocks(s->coll);
    fprintf(file,
            "<algo name=\"%s\" proto=\"Simple\" nchannels=\"%d\" nchunksperloop=\"%d\" "
            "ngpus=\"%d\" coll=\"%s\" inplace=\"%d\" outofplace=\"%d\" minBytes=\"0\" "
            "maxBytes=\"0\"",
            s->algo, nchans > 0 ? nchans : 1, s->shape.nsub * (blocks ? s->nranks : 1),
            s->nranks, coll_name(s->coll), s->inplace, !s->inplace);
    if (s->root > 0)
        fprintf(file, " root=\"%d\"", s->root);
    fputs(">\n", file);
}

static trncclResult_t write_all(FILE *file, struct sched *const *ranks,
                                struct msccl_out *outs, int32_t nranks)
{
    int32_t nchans = 0;
    for (int32_t r = 0; r < nranks; r++) {
        TRY(msccl_out_init(&outs[r], ranks[r]));
        nchans = outs[r].nchans > nchans ? outs[r].nchans : nchans;
    }
    /* Only the root of a rooted collective can be in place. */
    write_head(file, ranks[ranks[0]->root], nchans);
    for (int32_t r = 0; r < nranks; r++)
        write_gpu(file, &outs[r]);
    fputs("</algo>\n", file);
    if (fflush(file) != 0 || ferror(file))
        return error_set_errno(trncclSystemError, errno, "cannot write XML of %s %s",
                               sched_coll_name(ranks[0]->coll), ranks[0]->algo);
    return trncclSuccess;
}

trncclResult_t msccl_xml_write(FILE *file, struct sched *const *ranks, int32_t nranks)
{
    if (nranks < 1 || ranks[0]->nranks != nranks)
        return error_set(trncclInvalidArgument, "%d schedules to export of %d ranks",
                         nranks, nranks < 1 ? 0 : ranks[0]->nranks);
    if (!coll_name(ranks[0]->coll))
        return error_set(trncclInvalidArgument,
                         "MSCCL has no %s; expected all_reduce, all_gather, "
                         "reduce_scatter, all_to_all, broadcast, reduce, gather or "
                         "scatter",
                         sched_coll_name(ranks[0]->coll));
    struct msccl_out *outs = calloc((size_t)nranks, sizeof *outs);
    if (!outs)
        return error_set(trncclSystemError, "no memory to export %d ranks", nranks);
    trncclResult_t result = write_all(file, ranks, outs, nranks);
    for (int32_t r = 0; r < nranks; r++)
        msccl_out_fini(&outs[r]);
    free(outs);
    return result;
}
