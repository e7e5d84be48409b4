/* Writes schedules as MSCCL's XML.
 *
 * A step of a schedule may have any number of peers, a thread block has one on either
 * side. So a channel becomes a thread block for each peer, or one for a peer it receives
 * from and a peer it forwards to where the steps allow; a step becomes as many of MSCCL's
 * as it takes, in the order of the channel, which dependencies keep across thread blocks.
 * What has to be kept meanwhile goes to scratch behind TMP.
 *
 * Lost: the order in which inputs are combined, the marks (final, drain, early), and
 * whatever the other runtime does about counts that its chunks do not divide. */
#ifndef TRNCCL_FORMAT_MSCCL_XML_OUT_H
#define TRNCCL_FORMAT_MSCCL_XML_OUT_H

#include <stdio.h>
#include "sched/sched.h"

/* Writes all nranks schedules of one collective. trncclInvalidArgument if MSCCL cannot
 * express it (barrier, permute); trncclSystemError if writing fails. */
trncclResult_t msccl_xml_write(FILE *file, struct sched *const *ranks, int32_t nranks);

#endif
