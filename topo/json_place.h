/* Where something is in a JSON text: jansson keeps no lines of what it has read. */
#ifndef TRNCCL_TOPO_JSON_PLACE_H
#define TRNCCL_TOPO_JSON_PLACE_H

#include <stddef.h>

#define JSON_PLACE_DEPTH 8

/* A step from a value into it: a member of an object, or an element of an array. */
struct json_step {
    const char *key; /* NULL: element number `index` */
    size_t index;
};

/* The line, from 1, of the value that steps[n] lead to in a valid JSON text that ends
 * with a zero byte; of the last one that is there, if they lead nowhere. */
int json_place_line(const char *text, const struct json_step *steps, int n);
/* The deepest nesting of brackets, and the line where it is exceeded: returns 0 if there
 * are at most `most` levels, else that line. The text need not be valid. */
int json_place_too_deep(const char *text, size_t nbytes, int most);

#endif
