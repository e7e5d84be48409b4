#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool reduces, rooted;
} colls[SCHED_NCOLLS] = {
    [SCHED_ALL_REDUCE] = {"all_reduce", true, false},
    [SCHED_ALL_GATHER] = {"all_gather", false, false},
    [SCHED_REDUCE_SCATTER] = {"reduce_scatter", true, false},
    [SCHED_BROADCAST] = {"broadcast", false, true},
    [SCHED_REDUCE] = {"reduce", true, true},
    [SCHED_ALL_TO_ALL] = {"all_to_all", false, false},
    [SCHED_GATHER] = {"gather", false, true},
    [SCHED_SCATTER] = {"scatter", false, true},
    [SCHED_BARRIER] = {"barrier", false, false},
    [SCHED_PERMUTE] = {"permute", false, false},
};

static bool coll_is_known(enum sched_coll coll)
{
    return (unsigned)coll < SCHED_NCOLLS;
}

const char *sched_coll_name(enum sched_coll coll)
{
    return coll_is_known(coll) ? colls[coll].name : "unknown";
}

bool sched_coll_parse(const char *name, enum sched_coll *coll)
{
    for (int i = 0; i < SCHED_NCOLLS; i++) {
        if (strcmp(name, colls[i].name) == 0) {
            *coll = (enum sched_coll)i;
            return true;
        }
    }
    return false;
}

bool sched_coll_reduces(enum sched_coll coll)
{
    return coll_is_known(coll) && colls[coll].reduces;
}

bool sched_coll_rooted(enum sched_coll coll)
{
    return coll_is_known(coll) && colls[coll].rooted;
}

static void permute_blocks(const struct sched_args *args, int32_t *in, int32_t *out)
{
    *in = *out = 0;
    for (int32_t i = 0; i < args->npairs; i++) {
        if (args->pairs[2 * i] == args->rank)
            *in = 1;
        if (args->pairs[2 * i + 1] == args->rank)
            *out = 1;
    }
}

void sched_coll_blocks(const struct sched_args *args, int32_t *in_blocks,
                       int32_t *out_blocks)
{
    int32_t n = args->nranks;
    bool root = args->rank == args->root;
    int32_t in = 1, out = 1;
    switch (args->coll) {
    case SCHED_ALL_GATHER:
        out = n;
        break;
    case SCHED_REDUCE_SCATTER:
        in = n;
        break;
    case SCHED_BROADCAST:
        in = root ? 1 : 0;
        break;
    case SCHED_REDUCE:
        out = root ? 1 : 0;
        break;
    case SCHED_ALL_TO_ALL:
        in = out = n;
        break;
    case SCHED_GATHER:
        out = root ? n : 0;
        break;
    case SCHED_SCATTER:
        in = root ? n : 0;
        break;
    case SCHED_PERMUTE:
        permute_blocks(args, &in, &out);
        break;
    case SCHED_ALL_REDUCE:
    case SCHED_BARRIER:
    case SCHED_NCOLLS:
        break;
    }
    *in_blocks = in;
    *out_blocks = out;
}

/* In place, IN chunk c lies on OUT chunk c + shift; false if the spaces do not alias. */
static bool alias_shift(const struct sched *s, int32_t *shift)
{
    *shift = 0;
    switch (s->coll) {
    case SCHED_ALL_REDUCE:
    case SCHED_BROADCAST:
    case SCHED_REDUCE:
    case SCHED_ALL_TO_ALL:
    case SCHED_PERMUTE:
        return true;
    case SCHED_ALL_GATHER:
        *shift = s->rank * s->shape.nsub;
        return true;
    case SCHED_REDUCE_SCATTER:
        *shift = -s->rank * s->shape.nsub;
        return true;
    case SCHED_GATHER:
        *shift = s->root * s->shape.nsub;
        return s->rank == s->root;
    case SCHED_SCATTER:
        *shift = -s->root * s->shape.nsub;
        return s->rank == s->root;
    case SCHED_BARRIER:
    case SCHED_NCOLLS:
        break;
    }
    return false;
}

int32_t sched_alias(const struct sched *s, enum sched_space space, int32_t chunk)
{
    int32_t shift;
    if (!s->inplace || (space != SCHED_IN && space != SCHED_OUT) || chunk < 0 ||
        chunk >= sched_nchunks(s, space) || !alias_shift(s, &shift))
        return -1;
    enum sched_space other = space == SCHED_IN ? SCHED_OUT : SCHED_IN;
    int32_t there = space == SCHED_IN ? chunk + shift : chunk - shift;
    return there >= 0 && there < sched_nchunks(s, other) ? there : -1;
}

int64_t sched_block_class(const struct sched *s, enum sched_space space, int32_t chunk)
{
    if (space == SCHED_TMP) {
        space = (enum sched_space)s->shape.tmp_like;
        chunk %= sched_nchunks(s, space);
    }
    int32_t block = chunk / s->shape.nsub;
    bool in = space == SCHED_IN;
    switch (s->coll) {
    case SCHED_ALL_GATHER:
    case SCHED_GATHER:
        return in ? s->rank : block;
    case SCHED_REDUCE_SCATTER:
    case SCHED_SCATTER:
        return in ? block : s->rank;
    case SCHED_ALL_TO_ALL:
        return in ? (int64_t)s->rank * s->nranks + block
                  : (int64_t)block * s->nranks + s->rank;
    default:
        return 0;
    }
}

static bool in_user_memory(const struct sched_ref *ref)
{
    return ref->space == SCHED_IN || ref->space == SCHED_OUT;
}

bool sched_step_copies(const struct sched *s, const struct sched_step *p)
{
    const struct sched_ref *in = sched_in(s, p), *out = sched_out(s, p);
    bool sends = false, receives = false;
    for (int32_t i = 0; i < p->nin; i++)
        receives |= in[i].space == SCHED_PEER;
    for (int32_t i = 0; i < p->nout; i++)
        sends |= out[i].space == SCHED_PEER;
    if (!sends && !receives)
        return true;
    if (p->nin != 1 || p->span_n != 1 || (sends && receives))
        return false;
    return sends ? in_user_memory(in) && !(p->flags & SCHED_STAGED)
                 : p->nout == 1 && out->space == SCHED_OUT;
}

int32_t sched_nlinks(const struct sched *s)
{
    int32_t n = 0;
    for (int32_t c = 0; c < s->nchannels; c++)
        for (int32_t i = 0; i < s->channels[c].nsteps; i++) {
            const struct sched_step *p = &s->steps[s->channels[c].first + i];
            for (int32_t r = 0; r < p->nin + p->nout; r++) {
                int32_t link = sched_link(p, r >= p->nin, c);
                if (sched_in(s, p)[r].space == SCHED_PEER && link >= n)
                    n = link + 1;
            }
        }
    return n;
}

void sched_destroy(struct sched *s)
{
    if (!s)
        return;
    free(s->steps);
    free(s->refs);
    free(s);
}
