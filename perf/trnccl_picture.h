/* Pictures of schedules through Graphviz, if it is installed. */
#ifndef TRNCCL_PERF_TRNCCL_PICTURE_H
#define TRNCCL_PERF_TRNCCL_PICTURE_H

#include "sched/sched.h"

/* The format that Graphviz has to make by the path's ending, or NULL: none, or .dot. */
const char *picture_format(const char *path);
/* Draws all ranks' schedules. trncclSystemError if there is no Graphviz or it fails; else
 * as text_dot. */
trncclResult_t picture_draw(const char *path, const char *format,
                            struct sched *const *ranks, int32_t nranks);

#endif
