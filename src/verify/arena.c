#include "verify/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { ARENA_BLOCK_NBYTES = 32768 };

struct arena_block {
    struct arena_block *older;
    _Alignas(max_align_t) unsigned char bytes[];
};

static unsigned char *arena_grow(struct arena *a, size_t nbytes)
{
    struct arena_block *b = calloc(1, sizeof(*b) + nbytes);
    if (!b)
        return NULL;
    b->older = a->blocks;
    a->blocks = b;
    return b->bytes;
}

void *arena_alloc(struct arena *a, size_t count, size_t nbytes)
{
    const size_t align = _Alignof(max_align_t);
    size_t total;
    if (__builtin_mul_overflow(count, nbytes, &total) || total > PTRDIFF_MAX / 2)
        return NULL;
    total = total ? (total + align - 1) / align * align : align;
    if (total > ARENA_BLOCK_NBYTES / 4) /* large ones do not waste what is left */
        return arena_grow(a, total);
    if (total > a->left) {
        unsigned char *block = arena_grow(a, ARENA_BLOCK_NBYTES);
        if (!block)
            return NULL;
        a->next = block;
        a->left = ARENA_BLOCK_NBYTES;
    }
    void *p = a->next;
    a->next += total;
    a->left -= total;
    return p;
}

void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *older = a->blocks->older;
        free(a->blocks);
        a->blocks = older;
    }
    *a = (struct arena){0};
}
