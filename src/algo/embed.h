/* Describes a finished schedule again as part of a larger one: its ranks become ranks of
 * the whole, its chunks runs of chunks of the whole, its channels others. So a phase of a
 * composition, a ring along some cycle or a line of a torus is not written anew. */
#ifndef TRNCCL_ALGO_EMBED_H
#define TRNCCL_ALGO_EMBED_H

#include "sched/build.h"

/* Where blocks of one space of the part lie in the whole: block i at chunk
 * origin + first + (order ? order[i] : i) * stride of `space`. */
struct embed_space {
    enum sched_space space;
    int32_t origin; /* a multiple of the whole's chunks per block */
    int32_t first, stride;
    const int32_t *order; /* borrowed, or NULL */
};

struct embed {
    const int32_t *ranks; /* [nranks of the part] in the whole; borrowed, or NULL: */
    int32_t first_rank, rank_stride;
    struct embed_space in, out;
    int32_t width; /* chunks of the whole that one chunk of the part becomes, >= 1 */
    /* TMP of the part lies from chunk tmp_origin of TMP on as the space does that its
     * chunks are like, but begins where that does modulo tmp_repeat. Both are multiples
     * of the whole's chunks per block; of all chunks of that space, if blocks differ. */
    int32_t tmp_origin, tmp_repeat;
    int32_t channel;         /* of its channel 0 */
    bool final;              /* its results are those of the whole */
    struct build_mark after; /* every channel starts after it; step -1: at once */
    bool join; /* let the mark that is returned stand for all of its channels */
    struct build_mark *wrote; /* [blocks of OUT] the last step that wrote each, if it has
                                 one channel; or NULL */
};

/* The steps are described in an order that respects their own `after`. Returns the mark
 * of its last step; with `join`, whoever starts after it starts after all of them: the
 * last step of each channel then waits for that of the channel before. */
struct build_mark embed_emit(struct build *b, const struct sched *part,
                             const struct embed *e);
/* The longest run of chunks in one message of the whole. A run of chunks of the part is
 * cut at the ends of blocks, on all ranks alike, unless all blocks of the part follow
 * each other in the whole, too. Sends that are cut come one behind the other, so a part
 * whose runs are cut may need more credit than it says. */
int32_t embed_max_run(const struct sched *part, const struct embed *e);
/* Chunks of TMP that the part needs from tmp_origin on. */
int32_t embed_tmp_chunks(const struct sched *part, const struct embed *e);

#endif
