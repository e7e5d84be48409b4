/* Memory of one proof: many allocations, one end. */
#ifndef TRNCCL_VERIFY_ARENA_H
#define TRNCCL_VERIFY_ARENA_H

#include <stddef.h>

struct arena_block;

/* Initialise with {0}. */
struct arena {
    struct arena_block *blocks; /* owned */
    unsigned char *next;        /* free bytes of the newest small block */
    size_t left;
};

/* Zeroed memory for count objects of nbytes each, aligned for any of them; lives until
 * arena_fini. NULL if there is not enough memory or the product overflows. */
void *arena_alloc(struct arena *a, size_t count, size_t nbytes);
void arena_fini(struct arena *a);

#endif
