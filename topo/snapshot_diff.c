#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "topo/number.h"
#include "topo/snapshot.h"
#include "topo/snapshot_names.h"

struct differ {
    FILE *file;
    int32_t n;       /* lines so far */
    const char *box; /* before each line: "box 2: " */
};

__attribute__((format(printf, 2, 3))) static void say(struct differ *d,
                                                      const char *format, ...)
{
    va_list args;
    fprintf(d->file, "%c %s", format[0], d->box);
    va_start(args, format);
    vfprintf(d->file, format + 1, args);
    va_end(args);
    fputc('\n', d->file);
    d->n++;
}

static void say_number(struct differ *d, const char *what, const char *name, double a,
                       double b)
{
    char first[TOPO_NUMBER_BYTES], second[TOPO_NUMBER_BYTES];
    if (a != b)
        say(d, "~%s%s: %s, second %s", what, name, topo_number_print(first, a),
            topo_number_print(second, b));
}

/* ---- parts of a box, as lines that can be sorted and compared ---- */

/* `key` says which part it is, `value` all about it that may differ. */
struct part {
    char key[112], value[160];
};

struct parts {
    int32_t n;
    struct part *part;
};

static int part_compare(const void *p, const void *q)
{
    const struct part *a = p, *b = q;
    int order = strcmp(a->key, b->key);
    return order != 0 ? order : strcmp(a->value, b->value);
}

static const char *name_of(const struct topo_box *box, int32_t v)
{
    return v < 0 ? "none" : box->vertices[v].name;
}

static void list_vertices(const struct topo_box *box, struct parts *parts)
{
    for (int32_t i = 0; i < box->nvertices; i++) {
        const struct topo_vertex *v = &box->vertices[i];
        struct part *part = &parts->part[parts->n++];
        char rate[TOPO_NUMBER_BYTES];
        snprintf(part->key, sizeof part->key, "%s", v->name);
        snprintf(part->value, sizeof part->value,
                 "%s of %s, instance %d, NUMA node %d%s%s%s", snapshot_kinds[v->kind],
                 name_of(box, v->chip), v->instance, v->numa,
                 v->kind == TOPO_NIC ? ", " : "",
                 v->kind == TOPO_NIC ? topo_number_print(rate, v->bw_gbps) : "",
                 v->kind == TOPO_NIC ? " GB/s" : "");
    }
}

static void list_links(const struct topo_box *box, struct parts *parts)
{
    for (int32_t l = 0; l < box->nlinks; l++) {
        const struct topo_link *link = &box->links[l];
        struct part *part = &parts->part[parts->n++];
        char rate[TOPO_NUMBER_BYTES], latency[TOPO_NUMBER_BYTES], along[32] = "";
        if (link->dim >= 0)
            snprintf(along, sizeof along, ", dimension %d %+d", link->dim, link->step);
        snprintf(part->key, sizeof part->key, "link %s > %s (%s%s)",
                 name_of(box, link->from), name_of(box, link->to),
                 snapshot_link_kinds[link->kind], along);
        snprintf(part->value, sizeof part->value, "%s GB/s, %s us",
                 topo_number_print(rate, link->bw_gbps),
                 topo_number_print(latency, link->latency_us));
    }
}

static void list_seats(const struct topo_box *box, struct parts *parts)
{
    for (int32_t s = 0; s < box->nseats; s++) {
        struct part *part = &parts->part[parts->n++];
        snprintf(part->key, sizeof part->key, "seat on %s",
                 name_of(box, box->seats[s].core));
        snprintf(part->value, sizeof part->value, "number %d, served by %s", (int)s,
                 name_of(box, box->seats[s].nic));
    }
}

/* Both lists are sorted; keys may repeat (parallel links). */
static void compare_parts(struct differ *d, const struct parts *a, const struct parts *b)
{
    for (int32_t i = 0, k = 0; i < a->n || k < b->n;) {
        int order = i == a->n   ? 1
                    : k == b->n ? -1
                                : strcmp(a->part[i].key, b->part[k].key);
        const struct part *p = &a->part[i], *q = &b->part[k];
        if (order < 0)
            say(d, "-%s: %s", p->key, p->value);
        else if (order > 0)
            say(d, "+%s: %s", q->key, q->value);
        else if (strcmp(p->value, q->value) != 0)
            say(d, "~%s: %s; second %s", p->key, p->value, q->value);
        i += order <= 0;
        k += order >= 0;
    }
}

static trncclResult_t compare_lists(struct differ *d, const struct topo_box *a,
                                    const struct topo_box *b, size_t na, size_t nb,
                                    void (*list)(const struct topo_box *, struct parts *))
{
    struct parts first = {0, calloc(na + 1, sizeof *first.part)};
    struct parts second = {0, calloc(nb + 1, sizeof *second.part)};
    bool good = first.part != NULL && second.part != NULL;
    if (good) {
        list(a, &first);
        list(b, &second);
        qsort(first.part, (size_t)first.n, sizeof *first.part, part_compare);
        qsort(second.part, (size_t)second.n, sizeof *second.part, part_compare);
        compare_parts(d, &first, &second);
    }
    free(first.part);
    free(second.part);
    return good ? trncclSuccess
                : error_set(trncclSystemError, "no memory to compare %s and %s", a->name,
                            b->name);
}

static void torus_text(const struct topo_box *box, char text[64])
{
    size_t n = (size_t)snprintf(text, 64, "%s", box->ndims == 0 ? "none" : "");
    for (int32_t i = 0; i < box->ndims; i++)
        n += (size_t)snprintf(text + n, 64 - n, "%s%d", i > 0 ? "x" : "",
                              (int)box->dims[i]);
}

static trncclResult_t compare_boxes(struct differ *d, const struct topo_box *a,
                                    const struct topo_box *b)
{
    char first[64], second[64];
    torus_text(a, first);
    torus_text(b, second);
    if (strcmp(first, second) != 0)
        say(d, "~torus: %s, second %s", first, second);
    if (a->provisional != b->provisional)
        say(d, "~provisional: %s, second %s", a->provisional ? "yes" : "no",
            b->provisional ? "yes" : "no");
    const struct topo_costs *p = &a->costs, *q = &b->costs;
    say_number(d, "cost ", "step_us", p->step_us, q->step_us);
    say_number(d, "cost ", "message_us", p->message_us, q->message_us);
    say_number(d, "cost ", "launch_us", p->launch_us, q->launch_us);
    say_number(d, "cost ", "copy_gbps", p->copy_gbps, q->copy_gbps);
    say_number(d, "cost ", "reduce_gbps", p->reduce_gbps, q->reduce_gbps);
    say_number(d, "cost ", "memory_gbps", p->memory_gbps, q->memory_gbps);
    TRY(compare_lists(d, a, b, (size_t)a->nvertices, (size_t)b->nvertices,
                      list_vertices));
    TRY(compare_lists(d, a, b, (size_t)a->nlinks, (size_t)b->nlinks, list_links));
    TRY(compare_lists(d, a, b, (size_t)a->nseats, (size_t)b->nseats, list_seats));
    if (d->n == 0 && !topo_box_equal(a, b))
        say(d, "~vertices are in another order");
    return trncclSuccess;
}

/* ---- models ---- */

/* The last box of the run of pairs that begins at i. */
static int32_t run_end(const struct topo_model *a, const struct topo_model *b, int32_t i)
{
    int32_t end = i;
    while (end + 1 < a->nboxes && end + 1 < b->nboxes &&
           a->boxes[end + 1] == a->boxes[i] && b->boxes[end + 1] == b->boxes[i])
        end++;
    return end;
}

static trncclResult_t compare_all(struct differ *d, const struct topo_model *a,
                                  const struct topo_model *b)
{
    if (a->nboxes != b->nboxes)
        say(d, "~boxes: %d, second %d", (int)a->nboxes, (int)b->nboxes);
    say_number(d, "net ", "latency_us", a->net.latency_us, b->net.latency_us);
    say_number(d, "net ", "message_us", a->net.message_us, b->net.message_us);
    say_number(d, "net ", "efficiency", a->net.efficiency, b->net.efficiency);
    for (int32_t i = 0, end; i < a->nboxes && i < b->nboxes; i = end + 1) {
        char boxes[48];
        end = run_end(a, b, i);
        if (topo_box_equal(a->boxes[i], b->boxes[i]))
            continue;
        if (end > i)
            snprintf(boxes, sizeof boxes, "boxes %d to %d: ", (int)i, (int)end);
        else
            snprintf(boxes, sizeof boxes, "box %d: ", (int)i);
        struct differ inner = {d->file, 0, boxes};
        TRY(compare_boxes(&inner, a->boxes[i], b->boxes[i]));
        d->n += inner.n;
    }
    return trncclSuccess;
}

trncclResult_t topo_snapshot_diff(const struct topo_model *a, const struct topo_model *b,
                                  FILE *file, int32_t *ndiffs)
{
    struct differ d = {file, 0, ""};
    TRY(compare_all(&d, a, b));
    if (fflush(file) != 0 || ferror(file))
        return error_set(trncclSystemError, "the difference cannot be written");
    *ndiffs = d.n;
    return trncclSuccess;
}
