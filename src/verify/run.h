/* One run of all programs over bounded FIFOs.
 *
 * Programs that only wait for named FIFOs form a determinate network: every maximal run
 * executes the same steps on the same data (Kahn, "The semantics of a simple language for
 * parallel programming", 1974). With bounded FIFOs it stays so, because a full FIFO is an
 * empty one in the other direction; and growing the bounds only where a run stalls finds
 * the least that suffices (Parks, "Bounded scheduling of process networks", 1995). The
 * wait for a lent send to be drained is of the same kind: once it is over, it stays over.
 */
#ifndef TRNCCL_VERIFY_RUN_H
#define TRNCCL_VERIFY_RUN_H

#include "verify/model.h"

/* Runs every step, checking its data as it goes. *credits: the least per link that
 * terminates; refused, naming the cycle of waits, if the declared number is less. */
trncclResult_t run_all(struct model *m, int32_t *credits);

#endif
