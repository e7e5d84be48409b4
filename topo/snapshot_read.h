/* Reading members of JSON objects, with the line and the reason of what is wrong. */
#ifndef TRNCCL_TOPO_SNAPSHOT_READ_H
#define TRNCCL_TOPO_SNAPSHOT_READ_H

#include <jansson.h>

#include "topo/json_place.h"
#include "topo/model.h"

struct reader {
    const char *where, *text; /* borrowed; text ends with a zero byte */
    int depth;
    struct json_step steps[JSON_PLACE_DEPTH]; /* to the value that is being read */
    struct topo_builder *b;                   /* of the type that is being read */
    json_t *vertices;                         /* its vertices: name to number */
};

/* Goes into a member (or, with key NULL, an element), and back out. After an error nobody
 * goes on, so nobody has to go back. */
void reader_enter(struct reader *r, const char *key, size_t index);
void reader_leave(struct reader *r);
/* trncclInvalidArgument with "WHERE:LINE: " before the reason. */
trncclResult_t reader_refuse(const struct reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* That v is an object with members of these names only; `what` says what is expected. */
trncclResult_t reader_check_object(struct reader *r, json_t *v, const char *what,
                                   const char *const *names, size_t n);
#define READER_CHECK_OBJECT(r, v, what, ...)                                             \
    reader_check_object(r, v, what, (const char *const[]){__VA_ARGS__},                  \
                        sizeof((const char *const[]){__VA_ARGS__}) /                     \
                            sizeof(const char *))

/* Members of object v. A printable string; *out NULL at the start: it must be there. */
trncclResult_t reader_get_string(struct reader *r, json_t *v, const char *key,
                                 const char **out);
/* optional: *out stays as it is where the member is missing. */
trncclResult_t reader_get_number(struct reader *r, json_t *v, const char *key,
                                 bool optional, double *out);
/* *out stays as it is where the member is missing. */
trncclResult_t reader_get_integer(struct reader *r, json_t *v, const char *key,
                                  int32_t least, int32_t most, int32_t *out);
/* The index of the word, one of words[n]. */
trncclResult_t reader_get_word(struct reader *r, json_t *v, const char *key,
                               const char *const *words, size_t n, int *out);
/* The vertex that is named; *out -1 if the member is missing and optional. */
trncclResult_t reader_get_vertex(struct reader *r, json_t *v, const char *key,
                                 bool optional, int32_t *out);
/* Calls `read` for each element of a member that is an array. */
trncclResult_t reader_each(struct reader *r, json_t *v, const char *key,
                           trncclResult_t (*read)(struct reader *r, json_t *element,
                                                  void *context),
                           void *context);

#endif
