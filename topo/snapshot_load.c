#include <stdlib.h>
#include <string.h>

#include "topo/file.h"
#include "topo/snapshot.h"
#include "topo/snapshot_names.h"
#include "topo/snapshot_read.h"

enum { MAX_NBYTES = 64 << 20, MAX_DEPTH = 6, MAX_BOXES = 1 << 20, MAX_TYPES = 4096 };

/* ---- a type of box ---- */

static trncclResult_t read_vertex(struct reader *r, json_t *v, void *context)
{
    (void)context;
    int kind;
    int32_t instance = 0, numa = -1, chip;
    double gbps = 0;
    const char *name = "";
    TRY(READER_CHECK_OBJECT(r, v, "a vertex", "kind", "name", "chip", "instance", "numa",
                            "gbps"));
    TRY(reader_get_word(r, v, "kind", snapshot_kinds, TOPO_NKINDS, &kind));
    TRY(reader_get_string(r, v, "name", &name));
    TRY(reader_get_vertex(r, v, "chip", true, &chip));
    TRY(reader_get_integer(r, v, "instance", 0, INT16_MAX, &instance));
    TRY(reader_get_integer(r, v, "numa", -1, INT16_MAX, &numa));
    TRY(reader_get_number(r, v, "gbps", true, &gbps));
    if (name[0] == '\0')
        return reader_refuse(r, "'name' is missing, expected a string");
    if (json_object_get(r->vertices, name) != NULL)
        return reader_refuse(r, "a second vertex named '%s'", name);
    int32_t vertex = topo_add_vertex(r->b, (enum topo_kind)kind, instance, numa, chip);
    topo_set_name(r->b, vertex, name);
    if (json_object_get(v, "gbps") != NULL)
        topo_set_nic_rate(r->b, vertex, gbps);
    if (json_object_set_new(r->vertices, name, json_integer(vertex)) != 0)
        return error_set(trncclSystemError, "%.200s: no memory", r->where);
    return trncclSuccess;
}

static trncclResult_t read_link(struct reader *r, json_t *v, void *context)
{
    (void)context;
    int kind;
    int32_t from, to, dim = -1, step = 0;
    double gbps, us = 0;
    TRY(READER_CHECK_OBJECT(r, v, "a link", "a", "b", "from", "to", "kind", "dim", "step",
                            "gbps", "us"));
    bool oneway = json_object_get(v, "from") != NULL || json_object_get(v, "to") != NULL;
    if (oneway && (json_object_get(v, "a") != NULL || json_object_get(v, "b") != NULL))
        return reader_refuse(r,
                             "a link has a and b (both directions) or from and to (one)");
    TRY(reader_get_vertex(r, v, oneway ? "from" : "a", false, &from));
    TRY(reader_get_vertex(r, v, oneway ? "to" : "b", false, &to));
    TRY(reader_get_word(r, v, "kind", snapshot_link_kinds, TOPO_LINK_NKINDS, &kind));
    TRY(reader_get_integer(r, v, "dim", 0, TOPO_MAX_DIMS - 1, &dim));
    TRY(reader_get_integer(r, v, "step", -1, 1, &step));
    TRY(reader_get_number(r, v, "gbps", false, &gbps));
    TRY(reader_get_number(r, v, "us", true, &us));
    if (dim >= 0 && step == 0)
        return reader_refuse(
            r, "a link along dimension %d without a step, expected 1 or -1", (int)dim);
    if (!(gbps > 0) || !(us >= 0))
        return reader_refuse(
            r, "a link of %g GB/s and %g us, expected more than 0 and at least 0", gbps,
            us);
    if (oneway)
        topo_add_link_oneway(r->b, from, to, (enum topo_link_kind)kind, dim, step, gbps,
                             us);
    else
        topo_add_link(r->b, from, to, (enum topo_link_kind)kind, dim, step, gbps, us);
    return trncclSuccess;
}

static trncclResult_t read_seat(struct reader *r, json_t *v, void *context)
{
    (void)context;
    int32_t core, nic;
    TRY(READER_CHECK_OBJECT(r, v, "a seat", "core", "nic"));
    TRY(reader_get_vertex(r, v, "core", false, &core));
    TRY(reader_get_vertex(r, v, "nic", true, &nic));
    topo_add_seat(r->b, core, nic);
    return trncclSuccess;
}

static trncclResult_t read_costs(struct reader *r, json_t *v)
{
    struct topo_costs c;
    json_t *costs = json_object_get(v, "costs");
    if (costs == NULL)
        return reader_refuse(r, "'costs' are missing, expected an object {...}");
    reader_enter(r, "costs", 0);
    TRY(READER_CHECK_OBJECT(r, costs, "costs", "step_us", "message_us", "launch_us",
                            "copy_gbps", "reduce_gbps", "memory_gbps"));
    TRY(reader_get_number(r, costs, "step_us", false, &c.step_us));
    TRY(reader_get_number(r, costs, "message_us", false, &c.message_us));
    TRY(reader_get_number(r, costs, "launch_us", false, &c.launch_us));
    TRY(reader_get_number(r, costs, "copy_gbps", false, &c.copy_gbps));
    TRY(reader_get_number(r, costs, "reduce_gbps", false, &c.reduce_gbps));
    TRY(reader_get_number(r, costs, "memory_gbps", false, &c.memory_gbps));
    reader_leave(r);
    topo_set_costs(r->b, &c);
    return trncclSuccess;
}

static trncclResult_t read_dim(struct reader *r, json_t *v, void *context)
{
    int32_t *dims = context; /* [0] is their number */
    if (dims[0] == TOPO_MAX_DIMS || !json_is_integer(v) || json_integer_value(v) < 2 ||
        json_integer_value(v) > INT32_MAX)
        return reader_refuse(r, "'torus', expected up to %d integers of at least 2",
                             TOPO_MAX_DIMS);
    dims[++dims[0]] = (int32_t)json_integer_value(v);
    return trncclSuccess;
}

static trncclResult_t fill_type(struct reader *r, json_t *v)
{
    int32_t dims[TOPO_MAX_DIMS + 1] = {0};
    json_t *provisional = json_object_get(v, "provisional");
    if (provisional != NULL && !json_is_boolean(provisional))
        return reader_refuse(r, "'provisional', expected true or false");
    if (json_is_true(provisional))
        topo_set_provisional(r->b);
    TRY(read_costs(r, v));
    TRY(reader_each(r, v, "vertices", read_vertex, NULL));
    TRY(reader_each(r, v, "links", read_link, NULL));
    TRY(reader_each(r, v, "seats", read_seat, NULL));
    if (json_object_get(v, "torus") != NULL) {
        TRY(reader_each(r, v, "torus", read_dim, dims));
        topo_set_torus(r->b, dims[0], dims + 1);
    }
    return trncclSuccess;
}

struct types {
    int32_t n;
    const struct topo_box *box[MAX_TYPES];
};

static trncclResult_t read_type(struct reader *r, json_t *v, void *context)
{
    struct types *types = context;
    const char *name = NULL;
    TRY(READER_CHECK_OBJECT(r, v, "a type of box", "name", "provisional", "torus",
                            "costs", "vertices", "links", "seats"));
    TRY(reader_get_string(r, v, "name", &name));
    if (types->n == MAX_TYPES)
        return reader_refuse(r, "more than %d types", MAX_TYPES);
    if (strlen(name) > sizeof((struct topo_box *)0)->name - 1)
        return reader_refuse(r, "the name of a type has more than 31 characters");
    TRY(topo_builder_create(name, &r->b));
    r->vertices = json_object();
    trncclResult_t result =
        r->vertices == NULL ? error_set(trncclSystemError, "%.200s: no memory", r->where)
                            : fill_type(r, v);
    if (result == trncclSuccess &&
        (result = topo_box_finish(r->b, &types->box[types->n])) == trncclInvalidArgument)
        result = reader_refuse(r, "%.400s", error_text());
    types->n += result == trncclSuccess;
    json_decref(r->vertices);
    topo_builder_destroy(r->b);
    r->vertices = NULL;
    r->b = NULL;
    return result;
}

/* ---- the whole ---- */

struct boxes {
    const struct types *types;
    int32_t n, cap;
    const struct topo_box **box; /* borrowed from types; the array is owned */
};

static trncclResult_t read_boxes(struct reader *r, json_t *v, void *context)
{
    struct boxes *boxes = context;
    int32_t type = 0, count = 1;
    TRY(READER_CHECK_OBJECT(r, v, "boxes of a type", "type", "count"));
    if (json_object_get(v, "type") == NULL)
        return reader_refuse(r,
                             "'type' is missing, expected the number of a type, from 0");
    TRY(reader_get_integer(r, v, "type", 0, boxes->types->n - 1, &type));
    TRY(reader_get_integer(r, v, "count", 1, MAX_BOXES - boxes->n, &count));
    if (boxes->n + count > boxes->cap) {
        int32_t cap = boxes->n + count + boxes->cap;
        const struct topo_box **larger =
            reallocarray(boxes->box, (size_t)cap, sizeof *larger);
        if (larger == NULL)
            return error_set(trncclSystemError, "%.200s: no memory", r->where);
        boxes->box = larger;
        boxes->cap = cap;
    }
    for (int32_t i = 0; i < count; i++)
        boxes->box[boxes->n++] = boxes->types->box[type];
    return trncclSuccess;
}

static trncclResult_t read_net(struct reader *r, json_t *v, struct topo_net *net)
{
    json_t *member = json_object_get(v, "net");
    *net = (struct topo_net){.efficiency = 1};
    if (member == NULL)
        return reader_refuse(r, "'net' is missing, expected an object {...}");
    reader_enter(r, "net", 0);
    TRY(READER_CHECK_OBJECT(r, member, "a network", "latency_us", "message_us",
                            "efficiency"));
    TRY(reader_get_number(r, member, "latency_us", false, &net->latency_us));
    TRY(reader_get_number(r, member, "message_us", true, &net->message_us));
    TRY(reader_get_number(r, member, "efficiency", true, &net->efficiency));
    reader_leave(r);
    return trncclSuccess;
}

static trncclResult_t read_model(struct reader *r, json_t *v, struct types *types,
                                 struct boxes *boxes, struct topo_model **out)
{
    const char *format = NULL, *name = NULL;
    struct topo_net net;
    TRY(READER_CHECK_OBJECT(r, v, "a machine", "format", "name", "net", "types",
                            "boxes"));
    TRY(reader_get_string(r, v, "format", &format));
    if (strcmp(format, SNAPSHOT_FORMAT) != 0) {
        reader_enter(r, "format", 0);
        return reader_refuse(r, "format '%s', expected '" SNAPSHOT_FORMAT "'", format);
    }
    TRY(reader_get_string(r, v, "name", &name));
    TRY(read_net(r, v, &net));
    TRY(reader_each(r, v, "types", read_type, types));
    if (types->n == 0)
        return reader_refuse(r, "'types' is empty, expected a type of box");
    TRY(reader_each(r, v, "boxes", read_boxes, boxes));
    trncclResult_t result = topo_model_create(name, boxes->box, boxes->n, &net, out);
    return result == trncclInvalidArgument ? reader_refuse(r, "%.400s", error_text())
                                           : result;
}

trncclResult_t topo_snapshot_parse(const char *where, const char *text, size_t nbytes,
                                   struct topo_model **out)
{
    json_error_t error;
    if (nbytes > MAX_NBYTES)
        return error_set(trncclInvalidArgument, "%.200s: %zu bytes, expected at most %d",
                         where, nbytes, MAX_NBYTES);
    int line = json_place_too_deep(text, nbytes, MAX_DEPTH);
    if (line > 0)
        return error_set(trncclInvalidArgument,
                         "%.200s:%d: brackets more than %d deep, no machine file", where,
                         line, MAX_DEPTH);
    json_t *v = json_loadb(text, nbytes, JSON_REJECT_DUPLICATES, &error);
    if (v == NULL)
        return error_set(trncclInvalidArgument, "%.200s:%d: %s", where, error.line,
                         error.text);
    char *copy = strndup(text, nbytes); /* valid JSON has no zero bytes */
    struct types *types = calloc(1, sizeof *types);
    struct boxes boxes = {.types = types};
    struct reader r = {.where = where, .text = copy};
    trncclResult_t result = copy == NULL || types == NULL
                                ? error_set(trncclSystemError, "%.200s: no memory", where)
                                : read_model(&r, v, types, &boxes, out);
    for (int32_t t = 0; types != NULL && t < types->n; t++)
        topo_box_put(types->box[t]);
    free(boxes.box);
    free(types);
    free(copy);
    json_decref(v);
    return result;
}

trncclResult_t topo_snapshot_load(const char *path, struct topo_model **out)
{
    char *text = NULL;
    size_t nbytes = 0;
    TRY(topo_file_read(path, MAX_NBYTES, &text, &nbytes));
    trncclResult_t result = topo_snapshot_parse(path, text, nbytes, out);
    free(text);
    return result;
}
