/* Happens-before by brute force: the whole relation over all steps, and every pair of
 * accesses against it. For small schedules that are right in structure. */
#ifndef TESTS_CLOSURE_H
#define TESTS_CLOSURE_H

#include "sched/sched.h"

/* Whether every two accesses to a chunk of rank `rank`, one of them a write, are ordered,
 * where a lent message is an access until its receiver's step is done or a drain mark has
 * waited for it. */
bool closure_orders_all(struct sched *const *ranks, int nranks, int rank);

#endif
