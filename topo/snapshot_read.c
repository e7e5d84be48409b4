#include "topo/snapshot_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "topo/box.h"
#include "util/nearest.h"

void reader_enter(struct reader *r, const char *key, size_t index)
{
    if (r->depth < JSON_PLACE_DEPTH)
        r->steps[r->depth] = (struct json_step){key, index};
    r->depth++;
}

void reader_leave(struct reader *r)
{
    r->depth--;
}

trncclResult_t reader_refuse(const struct reader *r, const char *format, ...)
{
    char reason[512];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    int n = r->depth < JSON_PLACE_DEPTH ? r->depth : JSON_PLACE_DEPTH;
    return error_set(trncclInvalidArgument, "%.200s:%d: %s", r->where,
                     json_place_line(r->text, r->steps, n), reason);
}

/* ---- members of an object ---- */

/* A wrong word gets the nearest right one. */
static trncclResult_t reader_refuse_word(const struct reader *r, const char *what,
                                         const char *word, const char *const *words,
                                         size_t n)
{
    const char *nearest = nearest_name(word, words, n);
    return reader_refuse(r, "unknown %s '%.60s'%s%s%s", what, word,
                         nearest ? "; did you mean '" : "", nearest ? nearest : "",
                         nearest ? "'?" : "");
}

trncclResult_t reader_check_object(struct reader *r, json_t *v, const char *what,
                                   const char *const *names, size_t n)
{
    const char *key;
    json_t *member;
    if (!json_is_object(v))
        return reader_refuse(r, "expected %s, an object {...}", what);
    json_object_foreach(v, key, member)
    {
        size_t i = 0;
        while (i < n && strcmp(names[i], key) != 0)
            i++;
        if (i < n)
            continue;
        reader_enter(r, key, 0);
        trncclResult_t result = reader_refuse_word(r, "member", key, names, n);
        reader_leave(r);
        return result;
    }
    return trncclSuccess;
}

static trncclResult_t reader_get_array(struct reader *r, json_t *v, const char *key,
                                       json_t **out)
{
    *out = json_object_get(v, key);
    if (*out == NULL)
        return reader_refuse(r, "'%s' is missing, expected an array [...]", key);
    if (json_is_array(*out))
        return trncclSuccess;
    reader_enter(r, key, 0);
    trncclResult_t result = reader_refuse(r, "'%s', expected an array [...]", key);
    reader_leave(r);
    return result;
}

trncclResult_t reader_get_string(struct reader *r, json_t *v, const char *key,
                                 const char **out)
{
    json_t *member = json_object_get(v, key);
    if (member == NULL && *out != NULL)
        return trncclSuccess;
    if (member == NULL)
        return reader_refuse(r, "'%s' is missing, expected a string", key);
    reader_enter(r, key, 0);
    trncclResult_t result = trncclSuccess;
    if (!json_is_string(member) || !box_name_valid(json_string_value(member), 63))
        result = reader_refuse(
            r, "'%s', expected a string of 1 to 63 printable characters", key);
    else
        *out = json_string_value(member);
    reader_leave(r);
    return result;
}

trncclResult_t reader_get_number(struct reader *r, json_t *v, const char *key,
                                 bool optional, double *out)
{
    json_t *member = json_object_get(v, key);
    if (member == NULL && optional)
        return trncclSuccess;
    if (member == NULL)
        return reader_refuse(r, "'%s' is missing, expected a number", key);
    reader_enter(r, key, 0);
    trncclResult_t result = trncclSuccess;
    if (!json_is_number(member))
        result = reader_refuse(r, "'%s', expected a number", key);
    else
        *out = json_number_value(member);
    reader_leave(r);
    return result;
}

trncclResult_t reader_get_integer(struct reader *r, json_t *v, const char *key,
                                  int32_t least, int32_t most, int32_t *out)
{
    json_t *member = json_object_get(v, key);
    if (member == NULL)
        return trncclSuccess;
    reader_enter(r, key, 0);
    trncclResult_t result = trncclSuccess;
    if (!json_is_integer(member) || json_integer_value(member) < least ||
        json_integer_value(member) > most)
        result = reader_refuse(r, "'%s', expected an integer, %d to %d", key, (int)least,
                               (int)most);
    else
        *out = (int32_t)json_integer_value(member);
    reader_leave(r);
    return result;
}

trncclResult_t reader_get_word(struct reader *r, json_t *v, const char *key,
                               const char *const *words, size_t n, int *out)
{
    const char *word = NULL;
    TRY(reader_get_string(r, v, key, &word));
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], word) == 0) {
            *out = (int)i;
            return trncclSuccess;
        }
    reader_enter(r, key, 0);
    trncclResult_t result = reader_refuse_word(r, key, word, words, n);
    reader_leave(r);
    return result;
}

trncclResult_t reader_get_vertex(struct reader *r, json_t *v, const char *key,
                                 bool optional, int32_t *out)
{
    const char *name = NULL;
    *out = -1;
    if (optional && json_object_get(v, key) == NULL)
        return trncclSuccess;
    TRY(reader_get_string(r, v, key, &name));
    json_t *number = json_object_get(r->vertices, name);
    if (number != NULL) {
        *out = (int32_t)json_integer_value(number);
        return trncclSuccess;
    }
    reader_enter(r, key, 0);
    trncclResult_t result = reader_refuse(r, "no vertex '%s' before this", name);
    reader_leave(r);
    return result;
}

trncclResult_t reader_each(struct reader *r, json_t *v, const char *key,
                           trncclResult_t (*read)(struct reader *r, json_t *element,
                                                  void *context),
                           void *context)
{
    json_t *array, *element;
    size_t i;
    TRY(reader_get_array(r, v, key, &array));
    reader_enter(r, key, 0);
    json_array_foreach(array, i, element)
    {
        reader_enter(r, NULL, i);
        TRY(read(r, element, context));
        reader_leave(r);
    }
    reader_leave(r);
    return trncclSuccess;
}
