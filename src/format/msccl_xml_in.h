/* Reads MSCCL's XML.
 *
 * Attributes in any order, unknown ones ignored, comments anywhere. Missing: nchannels,
 * minBytes, maxBytes mean no limit; of inplace and outofplace one follows from the other
 * (the older form of the format has only inplace), and without both it is out of place.
 * `root` is an extension; 0 without it. No document type, so no entities; nothing is
 * loaded from anywhere. Work and memory are bounded by the size of the text. */
#ifndef TRNCCL_FORMAT_MSCCL_XML_IN_H
#define TRNCCL_FORMAT_MSCCL_XML_IN_H

#include <stddef.h>
#include "format/msccl.h"

/* Parses text of nbytes. trncclInvalidArgument with "line N: ..." for what is malformed
 * or beyond a limit; whether it is a correct collective is verify's to say. *out is owned
 * by the caller. Thread: any. */
trncclResult_t msccl_xml_parse(const char *text, size_t nbytes, struct msccl **out);

#endif
