/* What one step does to symbolic values: reads, combines, writes. */
#ifndef TRNCCL_VERIFY_DATA_H
#define TRNCCL_VERIFY_DATA_H

#include "verify/model.h"

/* Runs the step on every chunk of its span. Its messages must be there; those it sends
 * are written to m->carried and marked if they may be lent. */
trncclResult_t data_step(struct model *m, int32_t event);

#endif
