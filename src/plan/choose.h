/* The algorithm for a call on one host, from measurements there. */
#ifndef TRNCCL_PLAN_CHOOSE_H
#define TRNCCL_PLAN_CHOOSE_H

#include <stddef.h>

#include "sched/sched.h"

/* nbytes: one block (all-reduce: the whole vector). v: blocks of different sizes. Returns
 * the name of an algorithm of that collective; the same on every rank for the same
 * arguments. */
const char *choose_algo(enum sched_coll coll, bool v, int nranks, int ncores,
                        size_t nbytes);

#endif
