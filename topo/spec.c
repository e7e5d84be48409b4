#include "topo/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "topo/damage.h"
#include "topo/number.h"
#include "topo/preset.h"
#include "topo/spec_list.h"
#include "util/nearest.h"

enum { MAX_TEXT = 4096, MAX_BOXES = 1 << 20, MAX_NAMES = 64 };

/* Project Rainier is published as "500,000 Trainium2 chips" (AWS; SA2 has 400,000 for its
 * first stage) without its wiring. 7,812 UltraServers have 499,968; the 32 chips that
 * would be left are no UltraServer, and boxes of one kind is how such a cluster is used
 * [I]. */
static const struct topo_cluster clusters[] = {
    {"rainier", "trn2u.48xlarge", 7812,
     "500,000 Trainium2 chips as 7,812 whole UltraServers of 64: 499,968 chips"},
};

const struct topo_cluster *topo_cluster_list(int32_t *n)
{
    *n = (int32_t)(sizeof clusters / sizeof clusters[0]);
    return clusters;
}

/* What is broken in one box. */
struct scope {
    int32_t box, column; /* where it was said */
    struct topo_damage damage;
};

struct spec {
    const char *text; /* for errors */
    const struct topo_preset *preset;
    struct topo_params params;
    int32_t nboxes;
    struct topo_damage everywhere;
    int32_t everywhere_column; /* of the last word of it */
    int32_t nscopes, current;  /* current -1: all boxes */
    struct scope *scopes;      /* one per box that is named */
};

/* Puts the text and a column in front of the sentence that is there. */
static trncclResult_t spec_fail(const struct spec *s, size_t column,
                                trncclResult_t result)
{
    return error_set(result, "topology '%.200s', column %zu: %s", s->text, column + 1,
                     error_text());
}

/* ---- the first word ---- */

static trncclResult_t unknown_machine(const char *name)
{
    const char *names[MAX_NAMES];
    size_t n = 0;
    int32_t npresets;
    const struct topo_preset *presets = topo_preset_list(&npresets);
    for (int32_t i = 0; i < npresets && n + 3 < MAX_NAMES; i++) {
        names[n++] = presets[i].name;
        names[n++] = presets[i].alias[0];
        names[n++] = presets[i].alias[1];
    }
    names[n++] = clusters[0].name;
    const char *nearest = nearest_name(name, names, n);
    return error_set(
        trncclInvalidArgument, "'%.80s' is no machine that is known by name%s%s%s", name,
        nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* NAME or NAME:COUNT; *bad is the place in it for errors. */
static trncclResult_t parse_machine(struct spec *s, char *word, size_t *bad)
{
    char *colon = strchr(word, ':');
    s->nboxes = 1;
    if (colon != NULL) {
        const char *end;
        *bad = (size_t)(colon + 1 - word);
        if (!topo_count_parse(colon + 1, &end, &s->nboxes) || *end != '\0' ||
            s->nboxes < 1 || s->nboxes > MAX_BOXES)
            return error_set(trncclInvalidArgument,
                             "'%.80s', expected a number of boxes, 1 to %d", colon + 1,
                             MAX_BOXES);
        *colon = '\0';
    }
    const char *name = word;
    for (size_t i = 0; i < sizeof clusters / sizeof clusters[0]; i++) {
        if (strcasecmp(clusters[i].name, word) != 0)
            continue;
        if (colon != NULL)
            return error_set(trncclInvalidArgument,
                             "%s has a number of boxes of its own, %d", clusters[i].name,
                             (int)clusters[i].nboxes);
        name = clusters[i].preset;
        s->nboxes = clusters[i].nboxes;
    }
    *bad = 0;
    s->preset = topo_preset_find(name);
    if (s->preset == NULL)
        return unknown_machine(name);
    s->params = s->preset->params;
    return trncclSuccess;
}

/* ---- the other words ---- */

static trncclResult_t unknown_key(const char *key)
{
    const char *names[MAX_NAMES];
    size_t n = 0;
    int32_t nparams;
    const struct topo_param *params = topo_param_list(&nparams);
    for (int32_t i = 0; i < nparams && n + 7 < MAX_NAMES; i++)
        names[n++] = params[i].name;
    for (int i = 0; i < 5; i++)
        names[n++] = spec_list_keys[i];
    names[n++] = "box";
    const char *nearest = nearest_name(key, names, n);
    return error_set(trncclInvalidArgument, "'%.80s' is no setting%s%s%s", key,
                     nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

/* box=N or box=all: whose damage follows. */
static trncclResult_t parse_scope(struct spec *s, const char *value, size_t column)
{
    const char *end;
    int32_t box;
    if (strcmp(value, "all") == 0) {
        s->current = -1;
        return trncclSuccess;
    }
    if (!topo_count_parse(value, &end, &box) || *end != '\0')
        return error_set(trncclInvalidArgument,
                         "'%.80s', expected the number of a box or all", value);
    if (box >= s->nboxes)
        return error_set(trncclInvalidArgument, "box %d, expected 0 to %d", (int)box,
                         (int)s->nboxes - 1);
    for (s->current = 0; s->current < s->nscopes; s->current++)
        if (s->scopes[s->current].box == box)
            return trncclSuccess;
    struct scope *larger =
        reallocarray(s->scopes, (size_t)s->nscopes + 1, sizeof *larger);
    if (larger == NULL)
        return error_set(trncclSystemError, "no memory");
    s->scopes = larger;
    larger[s->nscopes++] = (struct scope){.box = box, .column = (int32_t)column};
    return trncclSuccess;
}

static trncclResult_t parse_param(struct spec *s, const char *key, const char *value)
{
    const struct topo_param *param = topo_param_find(key);
    double number;
    const char *end;
    if (param == NULL)
        return unknown_key(key);
    if (s->current >= 0)
        return error_set(
            trncclInvalidArgument,
            "%s holds for all boxes: it stands before box=, or after box=all", key);
    if (!topo_number_parse(value, &end, &number) || *end != '\0')
        return error_set(trncclInvalidArgument, "'%.80s', expected a number", value);
    return topo_param_set(s->preset, &s->params, param, number);
}

/* KEY=VALUE; *bad is the place in it for errors. */
static trncclResult_t parse_word(struct spec *s, char *word, size_t column, size_t *bad)
{
    char *equals = strchr(word, '=');
    *bad = 0;
    if (equals == NULL)
        return error_set(trncclInvalidArgument, "'%.80s', expected SETTING=VALUE", word);
    *equals = '\0';
    const char *value = equals + 1;
    if (strcmp(word, "box") == 0) {
        *bad = (size_t)(value - word);
        return parse_scope(s, value, column);
    }
    if (spec_list_is_damage(word)) {
        const char *at = value;
        struct topo_damage *d =
            s->current < 0 ? &s->everywhere : &s->scopes[s->current].damage;
        if (s->current < 0)
            s->everywhere_column = (int32_t)column;
        trncclResult_t result = spec_list_parse(word, value, d, &at);
        *bad = (size_t)(at - word);
        return result;
    }
    if (topo_param_find(word) != NULL)
        *bad = (size_t)(value - word);
    return parse_param(s, word, value);
}

static trncclResult_t parse_words(struct spec *s, char *copy)
{
    static const char blanks[] = " \t\n";
    bool first = true;
    for (char *word = copy; *(word += strspn(word, blanks)) != '\0';) {
        size_t n = strcspn(word, blanks), bad, column = (size_t)(word - copy);
        char *rest = word + n + (word[n] != '\0');
        word[n] = '\0';
        trncclResult_t result =
            first ? parse_machine(s, word, &bad) : parse_word(s, word, column, &bad);
        if (result != trncclSuccess)
            return spec_fail(s, column + bad, result);
        first = false;
        word = rest;
    }
    if (!first)
        return trncclSuccess;
    error_set(trncclInvalidArgument, "expected the name of a machine, as in trn2u:4");
    return spec_fail(s, 0, trncclInvalidArgument);
}

/* ---- the model ---- */

/* A reference to the box with its damage. */
static trncclResult_t damaged(const struct topo_box *plain, const struct topo_damage *d,
                              const struct topo_box **out)
{
    if (topo_damage_none(d)) {
        *out = topo_box_get(plain);
        return trncclSuccess;
    }
    return topo_damage_apply(plain, d, out);
}

/* Fills boxes[nboxes] with one reference each; on an error with NULLs behind. */
static trncclResult_t fill_boxes(struct spec *s, const struct topo_box *plain,
                                 const struct topo_box **boxes)
{
    if (s->nscopes < s->nboxes) {
        trncclResult_t result = damaged(plain, &s->everywhere, &boxes[0]);
        if (result != trncclSuccess)
            return spec_fail(s, (size_t)s->everywhere_column, result);
        for (int32_t i = 1; i < s->nboxes; i++)
            boxes[i] = topo_box_get(boxes[0]);
    }
    for (int32_t i = 0; i < s->nscopes; i++) {
        struct scope *scope = &s->scopes[i];
        TRY(topo_damage_merge(&scope->damage, &s->everywhere));
        const struct topo_box *box;
        trncclResult_t result = damaged(plain, &scope->damage, &box);
        if (result != trncclSuccess)
            return spec_fail(s, (size_t)scope->column, result);
        topo_box_put(boxes[scope->box]);
        boxes[scope->box] = box;
    }
    for (int32_t i = 0; i < s->nboxes && s->nboxes > 1; i++)
        for (int32_t r = 0; r < boxes[i]->nseats && (i == 0 || boxes[i] != boxes[i - 1]);
             r++)
            if (boxes[i]->seats[r].nic < 0) {
                error_set(
                    trncclInvalidArgument,
                    "rank %d of box %d has no NIC, so %d boxes of %s cannot be joined",
                    (int)r, (int)i, (int)s->nboxes, s->preset->name);
                return spec_fail(s, 0, trncclInvalidArgument);
            }
    return trncclSuccess;
}

/* The text with single blanks, cut to fit. */
static void model_name(const char *text, char name[sizeof((struct topo_model *)0)->name])
{
    size_t n = 0, room = sizeof((struct topo_model *)0)->name - 1;
    for (const char *c = text; *c != '\0' && n < room; c++) {
        bool blank = *c == ' ' || *c == '\t' || *c == '\n';
        if (!blank)
            name[n++] = *c;
        else if (n > 0 && name[n - 1] != ' ')
            name[n++] = ' ';
    }
    while (n > 0 && name[n - 1] == ' ')
        n--;
    name[n] = '\0';
}

static trncclResult_t make_model(struct spec *s, struct topo_model **out)
{
    char name[sizeof((struct topo_model *)0)->name];
    struct topo_net net;
    const struct topo_box *plain;
    trncclResult_t result = topo_preset_build(s->preset, &s->params, &plain);
    if (result != trncclSuccess)
        return spec_fail(s, 0, result);
    const struct topo_box **boxes = calloc((size_t)s->nboxes, sizeof *boxes);
    if (boxes == NULL)
        result = error_set(trncclSystemError, "no memory for %d boxes", (int)s->nboxes);
    else
        result = fill_boxes(s, plain, boxes);
    if (result == trncclSuccess) {
        model_name(s->text, name);
        topo_preset_net(&s->params, &net);
        result = topo_model_create(name, boxes, s->nboxes, &net, out);
    }
    for (int32_t i = 0; boxes != NULL && i < s->nboxes; i++)
        topo_box_put(boxes[i]);
    free(boxes);
    topo_box_put(plain);
    return result;
}

trncclResult_t topo_spec_parse(const char *text, struct topo_model **out)
{
    size_t n = strnlen(text, MAX_TEXT + 1);
    if (n > MAX_TEXT)
        return error_set(trncclInvalidArgument,
                         "the string for a topology has more than %d bytes", MAX_TEXT);
    for (size_t i = 0; i < n; i++)
        if ((text[i] < ' ' && text[i] != '\t' && text[i] != '\n') || text[i] > '~' ||
            text[i] == '"' || text[i] == '\\')
            return error_set(trncclInvalidArgument,
                             "topology, column %zu: byte 0x%02x, expected printable "
                             "characters without quotes",
                             i + 1, (unsigned char)text[i]);
    struct spec s = {.text = text, .current = -1};
    char *copy = strdup(text);
    if (copy == NULL)
        return error_set(trncclSystemError, "no memory");
    trncclResult_t result = parse_words(&s, copy);
    if (result == trncclSuccess)
        result = make_model(&s, out);
    for (int32_t i = 0; i < s.nscopes; i++)
        topo_damage_fini(&s.scopes[i].damage);
    free(s.scopes);
    topo_damage_fini(&s.everywhere);
    free(copy);
    return result;
}
