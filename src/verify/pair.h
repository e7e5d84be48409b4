/* Pairs the k-th send on every link with the k-th receive. */
#ifndef TRNCCL_VERIFY_PAIR_H
#define TRNCCL_VERIFY_PAIR_H

#include "verify/model.h"

/* Fills m->link, m->message and m->ref_message. Refuses links whose ends disagree in the
 * number of messages or in the size of one. */
trncclResult_t pair_messages(struct model *m);

#endif
