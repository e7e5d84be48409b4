/* Values of the words of a machine string: lists of numbers, ranges and links. */
#ifndef TRNCCL_TOPO_SPEC_LIST_H
#define TRNCCL_TOPO_SPEC_LIST_H

#include "topo/damage.h"

/* Whether `key` is a word for damage. */
bool spec_list_is_damage(const char *key);
extern const char *const spec_list_keys[5]; /* those words */
/* Adds what KEY=VALUE says. On an error *at is where in value it was found. */
trncclResult_t spec_list_parse(const char *key, const char *value, struct topo_damage *d,
                               const char **at);

#endif
