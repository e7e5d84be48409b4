/* Happens-before, and the conflicts that it must order.
 *
 * An event happens before another along program order of a channel, `after`, and from the
 * send of a message to its receive. Credit is not an order: the executor may have more.
 *
 * All accesses to a chunk are made by its rank's own steps, except that a lent message is
 * read by its receiver. So a conflict is between two channels of one rank, or between a
 * write and a lent message that has not been consumed; same-channel conflicts are ordered
 * by the program. Most orders are found in the rank's own tables (`done`, `drained`: what
 * `after` and the marks say); only what these do not show is searched for through the
 * messages. */
#ifndef TRNCCL_VERIFY_ORDER_H
#define TRNCCL_VERIFY_ORDER_H

#include "verify/model.h"

/* An event is about to run: fills its rows of done and drained. */
void order_enter(struct model *m, int32_t event);
/* It reads, or writes, a slot of its rank. Reads come before writes; early: the landing
 * place of a receive that may be posted from the start of the round. */
trncclResult_t order_read(struct model *m, int32_t event, int64_t slot);
trncclResult_t order_write(struct model *m, int32_t event, int64_t slot, bool early);
/* Its messages may be read from that slot until they are consumed. */
void order_lend(struct model *m, int32_t event, int64_t slot);
/* Whether a step's messages may be lent from an operand: the source of a pure send, or a
 * place that it has written. TMP is never lent. */
bool order_lends(const struct sched *s, const struct sched_step *p, int32_t operand);

#endif
