/* The text form of schedules: prints, parses back, draws. A whole collective is an array
 * of nranks schedules (entry r is rank r's). The form is line based and documented in
 * docs/schedule-format.md; print and parse are inverse. */
#ifndef TRNCCL_SCHED_TEXT_H
#define TRNCCL_SCHED_TEXT_H

#include <stdio.h>
#include "sched/sched.h"

/* Writes all nranks schedules. Returns trncclSystemError if writing fails. */
trncclResult_t text_print(FILE *file, struct sched *const *ranks, int32_t nranks);
/* Parses text of nbytes; *ranks is an array of *nranks owned schedules (free each and the
 * array, which holds their name and so goes last). trncclInvalidArgument with line number
 * and reason; the work is bounded by the size of the text. Derived marks are derived
 * anew, and an error if the text states them differently. */
trncclResult_t text_parse(const char *text, size_t nbytes, struct sched ***ranks,
                          int32_t *nranks);
/* Draws who sends what to whom, round by round, as a table for a terminal. Returns
 * trncclInvalidUsage if the schedules do not fit together (the text says where),
 * trncclSystemError if writing fails. */
trncclResult_t text_draw(FILE *file, struct sched *const *ranks, int32_t nranks);
/* The same as a graph in Graphviz's language: a node per rank and round, an edge per
 * message. Errors as text_draw. */
trncclResult_t text_dot(FILE *file, struct sched *const *ranks, int32_t nranks);

#endif
