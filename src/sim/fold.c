#include "sim/fold.h"

#include <stdlib.h>
#include <string.h>

#include "sim/route.h"
#include "sim/slices.h"

struct sim_fold {
    int32_t nranks, nboxes, ngenerators;
    int64_t size; /* of the group: product of the orders */
    struct sim_generator generators[FOLD_MAX_GENERATORS];
    int64_t stride[FOLD_MAX_GENERATORS]; /* an element is a number in mixed radix */
    int32_t *representative;             /* [nranks], -1 while unknown; owned */
    int32_t *element; /* [nranks] that maps the representative to it; owned */
    int64_t *orbit;   /* [nranks] of a representative: its members in `members`; owned */
    int32_t *members; /* [nranks], size of each orbit; owned */
    int32_t *box, *box_element; /* [nboxes] the same of boxes; owned */
};

int64_t fold_size(const struct sim_fold *f)
{
    return f->size;
}

int32_t fold_nranks(const struct sim_fold *f)
{
    return f->nranks;
}

int32_t fold_representative(const struct sim_fold *f, int32_t rank)
{
    return f->representative[rank];
}

int32_t fold_representative_box(const struct sim_fold *f, int32_t box)
{
    return f->box[box];
}

/* a - b, digit by digit: the inverse of b applied after a. */
static int32_t element_minus(const struct sim_fold *f, int32_t a, int32_t b)
{
    int64_t out = 0;
    for (int32_t i = 0; i < f->ngenerators; i++) {
        int64_t order = f->generators[i].order;
        int64_t digit = (a / f->stride[i] - b / f->stride[i]) % order;
        out += (digit < 0 ? digit + order : digit) * f->stride[i];
    }
    return (int32_t)out;
}

int32_t fold_seen(const struct sim_fold *f, int32_t from, int32_t to)
{
    int64_t first = f->orbit[f->representative[from]];
    return f->members[first + element_minus(f, f->element[from], f->element[to])];
}

static int32_t generator_map(const struct sim_fold *f, int32_t generator, int32_t rank)
{
    const struct sim_generator *g = &f->generators[generator];
    return g->map(g->context, rank);
}

/* ---- seats ---- */

static trncclResult_t seat_check(const struct routes *r, int32_t generator, int32_t rank,
                                 int32_t image)
{
    if (image < 0 || image >= r->nranks)
        return error_set(trncclInvalidArgument,
                         "generator %d maps rank %d to %d, but there are ranks 0 to %d",
                         generator, rank, image, r->nranks - 1);
    if (routes_kind(r, r->box[rank]) != routes_kind(r, r->box[image]) ||
        r->seat[rank] != r->seat[image])
        return error_set(
            trncclInvalidArgument,
            "generator %d maps rank %d (box %d, %s, seat %d) to rank %d (box "
            "%d, %s, seat %d): expected the same seat of an equal box",
            generator, rank, r->box[rank], routes_kind(r, r->box[rank])->box->name,
            r->seat[rank], image, r->box[image], routes_kind(r, r->box[image])->box->name,
            r->seat[image]);
    return trncclSuccess;
}

/* The rank is the image of a representative under an element; so is its box. */
static trncclResult_t member_add(struct sim_fold *f, const struct routes *r, int32_t rank,
                                 int32_t representative, int32_t element)
{
    int32_t box = r->box[rank], home = r->box[representative];
    bool new_box = f->box[box] < 0;
    if (f->representative[rank] >= 0 ||
        (!new_box && (f->box[box] != home || f->box_element[box] != element)))
        return error_set(trncclInvalidArgument,
                         "the generators map rank %d to rank %d of box %d in two ways or "
                         "boxes to parts of boxes: expected that each product of their "
                         "powers, up to their orders, moves every box elsewhere",
                         representative, rank, box);
    f->representative[rank] = representative;
    f->element[rank] = element;
    f->members[f->orbit[representative] + element] = rank;
    f->box[box] = home;
    f->box_element[box] = element;
    return trncclSuccess;
}

static trncclResult_t orbit_fill(struct sim_fold *f, const struct routes *r,
                                 int32_t representative, int64_t first)
{
    if (first + f->size > f->nranks)
        return error_set(trncclInvalidArgument,
                         "%d ranks are not a multiple of the %lld products of the "
                         "generators' powers",
                         f->nranks, (long long)f->size);
    f->orbit[representative] = first;
    TRY(member_add(f, r, representative, representative, 0));
    for (int32_t e = 1; e < f->size; e++) {
        int32_t g = 0;
        while (e / f->stride[g] % f->generators[g].order == 0)
            g++;
        int32_t from = f->members[first + e - f->stride[g]];
        int32_t rank = generator_map(f, g, from);
        TRY(seat_check(r, g, from, rank));
        TRY(member_add(f, r, rank, representative, e));
    }
    return trncclSuccess;
}

/* The representatives are the ranks of the first box of each orbit. Ranks need not be in
 * the order of boxes, so a rank of a box that is known already is one only if the box is
 * its own representative. */
static trncclResult_t orbits_fill(struct sim_fold *f, const struct routes *r)
{
    int64_t used = 0;
    for (int32_t i = 0; i < f->nranks; i++) {
        int32_t box = r->box[i];
        if (f->representative[i] >= 0 || (f->box[box] >= 0 && f->box[box] != box))
            continue;
        TRY(orbit_fill(f, r, i, used));
        used += f->size;
    }
    for (int32_t i = 0; i < f->nranks; i++)
        if (f->representative[i] < 0)
            return error_set(
                trncclInvalidArgument,
                "rank %d is no image of a rank of box %d, the representative "
                "of its box %d",
                i, f->box[r->box[i]], r->box[i]);
    for (int32_t b = 0; b < f->nboxes; b++)
        f->box[b] = f->box[b] < 0 ? b : f->box[b];
    return trncclSuccess;
}

/* Every generator does on every rank what its power says: they commute and have their
 * orders. */
static trncclResult_t group_check(const struct sim_fold *f)
{
    for (int32_t g = 0; g < f->ngenerators; g++)
        for (int32_t i = 0; i < f->nranks; i++) {
            int64_t order = f->generators[g].order, e = f->element[i];
            int64_t next = (e / f->stride[g] + 1) % order == 0
                               ? e - (order - 1) * f->stride[g]
                               : e + f->stride[g];
            int32_t wanted = f->members[f->orbit[f->representative[i]] + next];
            int32_t found = generator_map(f, g, i);
            if (found != wanted)
                return error_set(trncclInvalidArgument,
                                 "generator %d maps rank %d to %d; expected %d, if its "
                                 "order is %d and the generators commute",
                                 g, i, found, wanted, f->generators[g].order);
        }
    return trncclSuccess;
}

/* ---- steps ---- */

/* Room for one step's operands while its image is read. */
struct refs {
    struct sched_ref *refs; /* owned */
    size_t capacity;
};

static trncclResult_t refs_copy(struct refs *r, const struct sched_ref *from, size_t n)
{
    if (n > r->capacity) {
        struct sched_ref *refs = realloc(r->refs, n * sizeof *refs);
        if (!refs)
            return error_set(trncclSystemError, "out of memory: a step of %zu operands",
                             n);
        r->refs = refs;
        r->capacity = n;
    }
    memcpy(r->refs, from, n * sizeof *from);
    return trncclSuccess;
}

/* Whether two runs of chunks have as many bytes in every round. */
static bool same_lengths(const struct slices *s, const struct sched_step *a,
                         const struct sched_step *b)
{
    struct slices whole = *s, rest = *s;
    whole.slice = rest.slice = 1;
    whole.chunk_nbytes = rest.rest_nbytes = 1;
    whole.rest_nbytes = rest.chunk_nbytes = 0;
    if (s->rest_nbytes == 0)
        rest.rest_nbytes = 0;
    return slices_nbytes(&whole, a, 0) == slices_nbytes(&whole, b, 0) &&
           slices_nbytes(&rest, a, 0) == slices_nbytes(&rest, b, 0);
}

static int32_t image_of(const struct sim_fold *f, int32_t generator, int32_t rank)
{
    return rank >= 0 && rank < f->nranks ? generator_map(f, generator, rank) : -1;
}

static int count_peers(const struct sched_ref *refs, int n)
{
    int npeers = 0;
    for (int i = 0; i < n; i++)
        npeers += refs[i].space == SCHED_PEER;
    return npeers;
}

/* Whether the peer is among the n operands; most often it is at `guess`. */
static bool has_peer(const struct sched_ref *refs, int n, int guess, int32_t peer)
{
    bool has = refs[guess].space == SCHED_PEER && refs[guess].index == peer;
    for (int i = 0; i < n && !has; i++)
        has = refs[i].space == SCHED_PEER && refs[i].index == peer;
    return has;
}

/* NULL if b, with operands to, is the image of a, with operands from. */
static const char *step_differs(const struct sim_fold *f, int32_t generator,
                                const struct sched_step *a, const struct sched_ref *from,
                                const struct sched_step *b, const struct sched_ref *to)
{
    if (a->nin != b->nin || a->nout != b->nout)
        return "the number of operands";
    if (a->after_step != b->after_step ||
        (a->after_step >= 0 && a->after_channel != b->after_channel))
        return "the step it waits for";
    /* The order of inputs is that of the sum; time does not depend on it. */
    for (int i = 0; i < a->nin; i++)
        if (from[i].space == SCHED_PEER &&
            !has_peer(to, a->nin, i, image_of(f, generator, from[i].index)))
            return "a peer it receives from";
    if (count_peers(from, a->nin) != count_peers(to, a->nin))
        return "the number of messages it receives";
    for (int i = a->nin; i < a->nin + a->nout; i++)
        if ((from[i].space == SCHED_PEER) != (to[i].space == SCHED_PEER) ||
            (from[i].space == SCHED_PEER &&
             image_of(f, generator, from[i].index) != to[i].index))
            return "a peer it sends to";
    return NULL;
}

static trncclResult_t steps_check(const struct sim_fold *f, const struct sim_args *args,
                                  const struct slices *slices, int32_t generator,
                                  int32_t rank, struct refs *kept)
{
    const struct sim_source *s = args->source;
    int32_t image = generator_map(f, generator, rank);
    for (int32_t c = 0; c < s->nchannels; c++)
        for (int32_t i = 0;; i++) {
            struct sched_step a, b;
            const struct sched_ref *from, *to;
            bool has = s->step(s->context, rank, c, i, &a, &from);
            if (has)
                TRY(refs_copy(kept, from, (size_t)(a.nin + a.nout)));
            const char *what = "the number of steps";
            if (s->step(s->context, image, c, i, &b, &to) == has) {
                if (!has)
                    break;
                what = step_differs(f, generator, &a, kept->refs, &b, to);
                if (!what && !same_lengths(slices, &a, &b))
                    what = "the length";
            }
            if (what)
                return error_set(trncclInvalidArgument,
                                 "generator %d maps rank %d to rank %d, but step %d of "
                                 "channel %d is not mapped: %s differs",
                                 generator, rank, image, i, c, what);
        }
    return trncclSuccess;
}

static trncclResult_t all_steps_check(const struct sim_fold *f,
                                      const struct sim_args *args, enum fold_check check)
{
    struct slices slices;
    TRY(slices_init(&slices, args));
    struct refs kept = {0};
    trncclResult_t result = trncclSuccess;
    int32_t stride = f->nranks / 64 + 1;
    for (int32_t g = 0; g < f->ngenerators; g++)
        for (int32_t i = 0; i < f->nranks && result == trncclSuccess; i++)
            if (check == FOLD_CHECK_ALL || f->representative[i] == i || i % stride == 0)
                result = steps_check(f, args, &slices, g, i, &kept);
    free(kept.refs);
    return result;
}

/* ---- making one ---- */

static int32_t *unknown(int32_t n)
{
    int32_t *a = malloc(((size_t)n + 1) * sizeof *a);
    for (int32_t i = 0; a && i < n; i++)
        a[i] = -1;
    return a;
}

static trncclResult_t fold_allocate(struct sim_fold *f)
{
    f->representative = unknown(f->nranks);
    f->element = unknown(f->nranks);
    f->members = unknown(f->nranks);
    f->orbit = malloc(((size_t)f->nranks + 1) * sizeof *f->orbit);
    f->box = unknown(f->nboxes);
    f->box_element = unknown(f->nboxes);
    if (f->representative && f->element && f->members && f->orbit && f->box &&
        f->box_element)
        return trncclSuccess;
    return error_set(trncclSystemError, "out of memory: symmetries of %d ranks",
                     f->nranks);
}

static trncclResult_t generators_take(struct sim_fold *f,
                                      const struct sim_generator *generators, int32_t n)
{
    if (n < 1 || n > FOLD_MAX_GENERATORS)
        return error_set(trncclInvalidArgument, "%d generators; expected 1 to %d", n,
                         FOLD_MAX_GENERATORS);
    f->ngenerators = n;
    f->size = 1;
    for (int32_t i = 0; i < n; i++) {
        f->generators[i] = generators[i];
        f->stride[i] = f->size;
        f->size *= generators[i].order;
        if (generators[i].order < 2 || f->size > f->nranks)
            return error_set(trncclInvalidArgument,
                             "generator %d has order %d; expected at least 2, and at "
                             "most %d for the product of the orders",
                             i, generators[i].order, f->nranks);
    }
    return trncclSuccess;
}

static trncclResult_t fold_fill(struct sim_fold *f, const struct sim_args *args,
                                const struct sim_generator *generators,
                                int32_t ngenerators, enum fold_check check)
{
    TRY(generators_take(f, generators, ngenerators));
    TRY(fold_allocate(f));
    struct routes r = {0};
    trncclResult_t result = routes_init(&r, args->model, args->seats, f->nranks);
    if (result == trncclSuccess)
        result = orbits_fill(f, &r);
    routes_fini(&r);
    TRY(result);
    TRY(group_check(f));
    return all_steps_check(f, args, check);
}

trncclResult_t fold_create(const struct sim_args *args,
                           const struct sim_generator *generators, int32_t ngenerators,
                           enum fold_check check, struct sim_fold **out)
{
    struct sim_fold *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(trncclSystemError, "out of memory: symmetries");
    f->nranks = args->source->nranks;
    f->nboxes = args->model->nboxes;
    trncclResult_t result = fold_fill(f, args, generators, ngenerators, check);
    if (result == trncclSuccess)
        *out = f;
    else
        fold_destroy(f);
    return result;
}

void fold_destroy(struct sim_fold *f)
{
    if (!f)
        return;
    free(f->representative);
    free(f->element);
    free(f->orbit);
    free(f->members);
    free(f->box);
    free(f->box_element);
    free(f);
}
