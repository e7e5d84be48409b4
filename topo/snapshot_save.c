#include <stdlib.h>
#include <string.h>

#include "topo/number.h"
#include "topo/snapshot.h"
#include "topo/snapshot_names.h"

/* Names need no escapes: box_name_valid has neither quotes nor backslashes. */

/* , "KEY": NUMBER */
static void put_number(FILE *f, const char *before, const char *key, double value)
{
    char text[TOPO_NUMBER_BYTES];
    fprintf(f, "%s\"%s\": %s", before, key, topo_number_print(text, value));
}

static void put_vertices(FILE *f, const struct topo_box *box)
{
    fprintf(f, "      \"vertices\": [");
    for (int32_t i = 0; i < box->nvertices; i++) {
        const struct topo_vertex *v = &box->vertices[i];
        fprintf(f, "%s\n        {\"kind\": \"%s\", \"name\": \"%s\"", i > 0 ? "," : "",
                snapshot_kinds[v->kind], v->name);
        if (v->chip >= 0)
            fprintf(f, ", \"chip\": \"%s\"", box->vertices[v->chip].name);
        if (v->instance > 0)
            fprintf(f, ", \"instance\": %d", v->instance);
        if (v->numa >= 0)
            fprintf(f, ", \"numa\": %d", v->numa);
        if (v->kind == TOPO_NIC)
            put_number(f, ", ", "gbps", v->bw_gbps);
        fputc('}', f);
    }
    fprintf(f, "\n      ],\n");
}

/* The link that is the other direction of link l and has not been written, or -1. */
static int32_t other_direction(const struct topo_box *box, int32_t l, const bool *written)
{
    const struct topo_link *p = &box->links[l];
    for (int32_t k = box->first_link[p->to]; k < box->first_link[p->to + 1]; k++) {
        const struct topo_link *q = &box->links[k];
        if (!written[k] && k != l && q->to == p->from && q->kind == p->kind &&
            q->dim == p->dim && q->step == -p->step && q->bw_gbps == p->bw_gbps &&
            q->latency_us == p->latency_us)
            return k;
    }
    return -1;
}

static void put_link(FILE *f, const struct topo_box *box, const struct topo_link *link,
                     bool both, bool first)
{
    fprintf(f, "%s\n        {\"%s\": \"%s\", \"%s\": \"%s\", \"kind\": \"%s\"",
            first ? "" : ",", both ? "a" : "from", box->vertices[link->from].name,
            both ? "b" : "to", box->vertices[link->to].name,
            snapshot_link_kinds[link->kind]);
    if (link->dim >= 0)
        fprintf(f, ", \"dim\": %d, \"step\": %d", link->dim, link->step);
    put_number(f, ", ", "gbps", link->bw_gbps);
    put_number(f, ", ", "us", link->latency_us);
    fputc('}', f);
}

static trncclResult_t put_links(FILE *f, const struct topo_box *box)
{
    bool *written = calloc((size_t)box->nlinks + 1, sizeof *written);
    if (written == NULL)
        return error_set(trncclSystemError, "no memory to save box %s", box->name);
    fprintf(f, "      \"links\": [");
    bool first = true;
    for (int32_t l = 0; l < box->nlinks; l++) {
        if (written[l])
            continue;
        int32_t other = other_direction(box, l, written);
        if (other >= 0)
            written[other] = true;
        bool turned =
            other >= 0 && box->links[l].step < 0; /* steps read better forwards */
        put_link(f, box, &box->links[turned ? other : l], other >= 0, first);
        first = false;
    }
    fprintf(f, "\n      ],\n");
    free(written);
    return trncclSuccess;
}

static void put_costs(FILE *f, const struct topo_costs *c)
{
    put_number(f, "      \"costs\": {", "step_us", c->step_us);
    put_number(f, ", ", "message_us", c->message_us);
    put_number(f, ", ", "launch_us", c->launch_us);
    put_number(f, ",\n                ", "copy_gbps", c->copy_gbps);
    put_number(f, ", ", "reduce_gbps", c->reduce_gbps);
    put_number(f, ", ", "memory_gbps", c->memory_gbps);
    fprintf(f, "},\n");
}

static trncclResult_t put_type(FILE *f, const struct topo_box *box)
{
    fprintf(f, "    {\n      \"name\": \"%s\",\n", box->name);
    if (box->provisional)
        fprintf(f, "      \"provisional\": true,\n");
    if (box->ndims > 0) {
        fprintf(f, "      \"torus\": [");
        for (int32_t d = 0; d < box->ndims; d++)
            fprintf(f, "%s%d", d > 0 ? ", " : "", (int)box->dims[d]);
        fprintf(f, "],\n");
    }
    put_costs(f, &box->costs);
    put_vertices(f, box);
    TRY(put_links(f, box));
    fprintf(f, "      \"seats\": [");
    for (int32_t s = 0; s < box->nseats; s++) {
        fprintf(f, "%s\n        {\"core\": \"%s\"", s > 0 ? "," : "",
                box->vertices[box->seats[s].core].name);
        if (box->seats[s].nic >= 0)
            fprintf(f, ", \"nic\": \"%s\"", box->vertices[box->seats[s].nic].name);
        fputc('}', f);
    }
    fprintf(f, "\n      ]\n    }");
    return trncclSuccess;
}

/* Fills type[nboxes] and first[] (a box of each type); returns the number of types. */
static int32_t find_types(const struct topo_model *m, int32_t *type, int32_t *first)
{
    int32_t ntypes = 0, t = 0;
    for (int32_t i = 0; i < m->nboxes; i++) {
        if (ntypes == 0 || m->boxes[first[t]] != m->boxes[i])
            for (t = 0; t < ntypes; t++)
                if (m->boxes[first[t]] == m->boxes[i])
                    break;
        if (t == ntypes)
            first[ntypes++] = i;
        type[i] = t;
    }
    return ntypes;
}

static void put_boxes(FILE *f, const int32_t *type, int32_t nboxes)
{
    fprintf(f, "  \"boxes\": [");
    for (int32_t i = 0, end; i < nboxes; i = end) {
        for (end = i + 1; end < nboxes && type[end] == type[i]; end++)
            ;
        fprintf(f, "%s\n    {\"type\": %d, \"count\": %d}", i > 0 ? "," : "",
                (int)type[i], (int)(end - i));
    }
    fprintf(f, "\n  ]\n}\n");
}

trncclResult_t topo_snapshot_save(const struct topo_model *m, FILE *f)
{
    int32_t *type = calloc((size_t)m->nboxes, sizeof *type);
    int32_t *first = calloc((size_t)m->nboxes, sizeof *first);
    trncclResult_t result = trncclSuccess;
    if (type == NULL || first == NULL)
        result = error_set(trncclSystemError, "no memory to save topology %s", m->name);
    if (result == trncclSuccess) {
        int32_t ntypes = find_types(m, type, first);
        fprintf(f, "{\n  \"format\": \"" SNAPSHOT_FORMAT "\",\n  \"name\": \"%s\",\n",
                m->name);
        put_number(f, "  \"net\": {", "latency_us", m->net.latency_us);
        put_number(f, ", ", "message_us", m->net.message_us);
        put_number(f, ", ", "efficiency", m->net.efficiency);
        fprintf(f, "},\n  \"types\": [\n");
        for (int32_t t = 0; t < ntypes && result == trncclSuccess; t++) {
            result = put_type(f, m->boxes[first[t]]);
            fprintf(f, "%s\n", t + 1 < ntypes ? "," : "");
        }
        fprintf(f, "  ],\n");
        put_boxes(f, type, m->nboxes);
    }
    free(type);
    free(first);
    if (result == trncclSuccess && (fflush(f) != 0 || ferror(f)))
        result = error_set(trncclSystemError, "topology %s cannot be written", m->name);
    return result;
}
