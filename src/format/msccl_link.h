/* Who sends to whom in a collective of MSCCL: pairs thread blocks by (source, target,
 * channel) and numbers the links of each pair of ranks from 0. */
#ifndef TRNCCL_FORMAT_MSCCL_LINK_H
#define TRNCCL_FORMAT_MSCCL_LINK_H

#include "format/msccl.h"

struct msccl_links {
    int32_t *sender;   /* [ntbs] the tb whose messages this one receives, or -1; owned */
    int32_t *in_link;  /* [ntbs] link it receives over, -1: it receives nothing; owned */
    int32_t *out_link; /* [ntbs] link it sends over, -1: it sends nothing; owned */
};

/* trncclInvalidArgument if two tbs of a rank share an end of a link, if the ends of a
 * link differ in the number of messages, or if a pair has too many links. */
trncclResult_t msccl_links_init(struct msccl_links *l, const struct msccl *m);
void msccl_links_fini(struct msccl_links *l);

#endif
