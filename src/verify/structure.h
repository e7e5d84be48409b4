/* What can be refused in one rank's schedule without running it. */
#ifndef TRNCCL_VERIFY_STRUCTURE_H
#define TRNCCL_VERIFY_STRUCTURE_H

#include "verify/model.h"

enum { STRUCTURE_MAX_CHUNKS = 1 << 24 }; /* of one rank: what a proof can hold */

/* Collective, ranks, root and shape are those of the whole; channels cover the steps. */
trncclResult_t structure_check_shape(struct model *m, int32_t rank);
/* Every step: operands in range, peers once each, one IN input, equal lengths, outputs
 * that do not overlap, dependencies that exist. Needs the event and rank tables. */
trncclResult_t structure_check_step(struct model *m, int32_t event);
/* Whether two local runs of n chunks, of one rank or two, have equal lengths for blocks
 * of any size. Both are in range and begin at the same chunk of a block. */
bool structure_lengths_agree(const struct model *m, const struct sched_ref *a,
                             int32_t rank_a, const struct sched_ref *b, int32_t rank_b,
                             int32_t n);

#endif
