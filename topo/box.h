/* What builder.c and model.c share: a box as it is allocated. */
#ifndef TRNCCL_TOPO_BOX_H
#define TRNCCL_TOPO_BOX_H

#include "topo/model.h"

struct box_owned {
    struct topo_box box; /* first: a box that others see is the address of this */
    uint64_t hash;       /* of all that counts for plans */
    int32_t references;  /* atomic */
};

/* The hash that box_owned keeps; names and provisional do not count. */
uint64_t box_hash(const struct topo_box *box);
/* Frees the arrays of a box, not the box. */
void box_fini(struct topo_box *box);
/* Checks what finish promises; trncclInvalidArgument with the reason. links are sorted
 * and first_link is filled. */
trncclResult_t box_check(const struct topo_box *box);
/* Whether `name` may be the name of something, at most `max` characters long. */
bool box_name_valid(const char *name, size_t max);

#endif
