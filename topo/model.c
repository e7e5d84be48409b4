#include "topo/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/box.h"

void box_fini(struct topo_box *box)
{
    free((void *)box->vertices);
    free((void *)box->links);
    free((void *)box->first_link);
    free((void *)box->seats);
    free((void *)box->chips);
    free((void *)box->nics);
}

const struct topo_box *topo_box_get(const struct topo_box *box)
{
    /* Relaxed: who gets has a reference, so the box is there and stays. */
    __atomic_add_fetch(&((struct box_owned *)box)->references, 1, __ATOMIC_RELAXED);
    return box;
}

void topo_box_put(const struct topo_box *box)
{
    if (box == NULL)
        return;
    struct box_owned *owned = (struct box_owned *)box;
    if (__atomic_sub_fetch(&owned->references, 1, __ATOMIC_SEQ_CST) > 0)
        return;
    box_fini(&owned->box);
    free(owned);
}

/* ---- equality and hash: field by field, for structs have holes ---- */

static bool same_vertices(const struct topo_box *a, const struct topo_box *b)
{
    for (int32_t v = 0; v < a->nvertices; v++) {
        const struct topo_vertex *p = &a->vertices[v], *q = &b->vertices[v];
        if (p->kind != q->kind || p->instance != q->instance || p->numa != q->numa ||
            p->index != q->index || p->chip != q->chip || p->bw_gbps != q->bw_gbps ||
            strcmp(p->name, q->name) != 0)
            return false;
    }
    return true;
}

static bool same_links(const struct topo_box *a, const struct topo_box *b)
{
    for (int32_t l = 0; l < a->nlinks; l++) {
        const struct topo_link *p = &a->links[l], *q = &b->links[l];
        if (p->from != q->from || p->to != q->to || p->kind != q->kind ||
            p->dim != q->dim || p->step != q->step || p->bw_gbps != q->bw_gbps ||
            p->latency_us != q->latency_us)
            return false;
    }
    return true;
}

static bool same_costs(const struct topo_costs *p, const struct topo_costs *q)
{
    return p->step_us == q->step_us && p->message_us == q->message_us &&
           p->launch_us == q->launch_us && p->copy_gbps == q->copy_gbps &&
           p->reduce_gbps == q->reduce_gbps && p->memory_gbps == q->memory_gbps;
}

bool topo_box_equal(const struct topo_box *a, const struct topo_box *b)
{
    if (a == b)
        return true;
    if (a->provisional != b->provisional || a->nvertices != b->nvertices ||
        a->nlinks != b->nlinks || a->nseats != b->nseats || a->ndims != b->ndims ||
        memcmp(a->dims, b->dims, sizeof a->dims) != 0 ||
        !same_costs(&a->costs, &b->costs))
        return false;
    for (int32_t s = 0; s < a->nseats; s++)
        if (a->seats[s].core != b->seats[s].core || a->seats[s].nic != b->seats[s].nic)
            return false;
    return same_vertices(a, b) && same_links(a, b);
}

/* One round of multiply and fold per word: every bit of the word reaches every bit. */
static void hash_word(uint64_t *hash, uint64_t word)
{
    uint64_t h = (*hash ^ word) * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
    *hash = h ^ (h >> 29);
}

static void hash_int(uint64_t *hash, int64_t value)
{
    hash_word(hash, (uint64_t)value);
}

static void hash_double(uint64_t *hash, double value)
{
    uint64_t word;
    value += 0.0; /* both zeros are one */
    memcpy(&word, &value, sizeof word);
    hash_word(hash, word);
}

uint64_t box_hash(const struct topo_box *box)
{
    uint64_t hash = 0x74726e63636c0001u; /* changes with what is hashed */
    hash_int(&hash, box->nvertices);
    for (int32_t v = 0; v < box->nvertices; v++) {
        const struct topo_vertex *vertex = &box->vertices[v];
        hash_int(&hash, vertex->kind);
        hash_int(&hash, vertex->instance);
        hash_int(&hash, vertex->numa);
        hash_int(&hash, vertex->chip);
        hash_double(&hash, vertex->bw_gbps);
    }
    hash_int(&hash, box->nlinks);
    for (int32_t l = 0; l < box->nlinks; l++) {
        const struct topo_link *link = &box->links[l];
        hash_int(&hash, link->from);
        hash_int(&hash, link->to);
        hash_int(&hash, link->kind);
        hash_int(&hash, link->dim);
        hash_int(&hash, link->step);
        hash_double(&hash, link->bw_gbps);
        hash_double(&hash, link->latency_us);
    }
    hash_int(&hash, box->nseats);
    for (int32_t s = 0; s < box->nseats; s++) {
        hash_int(&hash, box->seats[s].core);
        hash_int(&hash, box->seats[s].nic);
    }
    hash_int(&hash, box->ndims);
    for (int32_t d = 0; d < box->ndims; d++)
        hash_int(&hash, box->dims[d]);
    const struct topo_costs *c = &box->costs;
    const double costs[] = {c->step_us,   c->message_us,  c->launch_us,
                            c->copy_gbps, c->reduce_gbps, c->memory_gbps};
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++)
        hash_double(&hash, costs[i]);
    return hash;
}

/* ---- models ---- */

/* The first of distinct[n] that equals `box`, or n. The last one found is tried first:
 * clusters repeat themselves. */
static int32_t find_equal(const struct topo_box *const *distinct, int32_t n, int32_t last,
                          const struct topo_box *box)
{
    if (n > 0 && distinct[last] == box)
        return last;
    uint64_t hash = ((const struct box_owned *)box)->hash;
    for (int32_t i = 0; i < n; i++)
        if (distinct[i] == box ||
            (((const struct box_owned *)distinct[i])->hash == hash &&
             topo_box_equal(distinct[i], box)))
            return i;
    return n;
}

static trncclResult_t model_fill(struct topo_model *m,
                                 const struct topo_box *const *boxes)
{
    const struct topo_box **own = calloc((size_t)m->nboxes, sizeof *own);
    const struct topo_box **distinct = calloc((size_t)m->nboxes, sizeof *distinct);
    int32_t *first_rank = calloc((size_t)m->nboxes + 1, sizeof *first_rank);
    trncclResult_t result = trncclSuccess;
    m->boxes = own;
    m->first_rank = first_rank;
    if (own == NULL || distinct == NULL || first_rank == NULL)
        result = error_set(trncclSystemError, "topology %s: no memory", m->name);
    int64_t nranks = 0;
    int32_t ndistinct = 0, last = 0;
    for (int32_t i = 0; i < m->nboxes && result == trncclSuccess; i++) {
        last = find_equal(distinct, ndistinct, last, boxes[i]);
        if (last == ndistinct)
            distinct[ndistinct++] = boxes[i];
        own[i] = topo_box_get(distinct[last]);
        nranks += own[i]->nseats;
        if (nranks > INT32_MAX)
            result = error_set(trncclInvalidArgument,
                               "topology %s: more than %d seats in %d boxes", m->name,
                               INT32_MAX, (int)m->nboxes);
        else
            first_rank[i + 1] = (int32_t)nranks;
    }
    free(distinct);
    m->nranks = (int32_t)nranks;
    return result;
}

trncclResult_t topo_model_create(const char *name, const struct topo_box *const *boxes,
                                 int32_t nboxes, const struct topo_net *net,
                                 struct topo_model **out)
{
    if (nboxes < 1)
        return error_set(trncclInvalidArgument,
                         "topology %s: %d boxes, expected 1 or more", name, (int)nboxes);
    if (!isfinite(net->latency_us) || net->latency_us < 0 || !isfinite(net->message_us) ||
        net->message_us < 0 || !(net->efficiency > 0 && net->efficiency <= 1))
        return error_set(
            trncclInvalidArgument,
            "topology %s: network of %g us, %g us per message, efficiency %g; "
            "expected at least 0, at least 0, more than 0 and at most 1",
            name, net->latency_us, net->message_us, net->efficiency);
    struct topo_model *m = calloc(1, sizeof *m);
    if (m == NULL)
        return error_set(trncclSystemError, "topology %s: no memory", name);
    snprintf(m->name, sizeof m->name, "%s", name);
    if (!box_name_valid(m->name, sizeof m->name - 1)) {
        free(m);
        return error_set(trncclInvalidArgument,
                         "the name of a topology is printable, without quotes");
    }
    m->nboxes = nboxes;
    m->net = *net;
    trncclResult_t result = model_fill(m, boxes);
    if (result != trncclSuccess) {
        topo_model_destroy(m);
        return result;
    }
    *out = m;
    return trncclSuccess;
}

void topo_model_destroy(struct topo_model *m)
{
    if (m == NULL)
        return;
    for (int32_t i = 0; m->boxes != NULL && i < m->nboxes; i++)
        topo_box_put(m->boxes[i]);
    free((void *)m->boxes);
    free((void *)m->first_rank);
    free(m);
}

uint64_t topo_model_hash(const struct topo_model *m)
{
    uint64_t hash = 0;
    hash_int(&hash, m->nboxes);
    for (int32_t i = 0; i < m->nboxes; i++)
        hash_word(&hash, ((const struct box_owned *)m->boxes[i])->hash);
    hash_double(&hash, m->net.latency_us);
    hash_double(&hash, m->net.message_us);
    hash_double(&hash, m->net.efficiency);
    return hash;
}
