/* XML from somebody else, without what could do harm. */
#ifndef TRNCCL_TOPO_XML_DOC_H
#define TRNCCL_TOPO_XML_DOC_H

#include <stddef.h>

#include "util/error.h"

struct _xmlDoc; /* xmlDoc of <libxml/tree.h> */

/* Parses text of at most INT_MAX bytes of UTF-8; nothing else is opened. Document types,
 * entities and inclusions are refused, so that attributes are plain texts.
 * trncclInvalidArgument with "WHERE:LINE: " and the first reason; xmlFreeDoc(*out). */
trncclResult_t xml_doc_parse(const char *where, const char *text, size_t nbytes,
                             struct _xmlDoc **out);

#endif
