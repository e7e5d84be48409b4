#include "topo/xml_doc.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

/* Nothing that libxml2 would expand or fetch reaches it. */
static const char *forbidden(const char *text, size_t nbytes)
{
    static const char *const words[] = {"<!DOCTYPE", "<!ENTITY", "xi:include"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (memmem(text, nbytes, words[i], strlen(words[i])) != NULL)
            return words[i];
    return NULL;
}

/* The first thing that libxml2 complains of; what follows is a consequence. */
struct complaint {
    int line;
    char reason[200];
};

#if LIBXML_VERSION >= 21200
typedef const xmlError *complaint_t;
#else
typedef xmlError *complaint_t;
#endif

static void on_error(void *context, complaint_t error)
{
    struct complaint *first = ((xmlParserCtxt *)context)->_private;
    if (first->line > 0 || error->level < XML_ERR_ERROR)
        return;
    const char *reason = error->message != NULL ? error->message : "";
    first->line = error->line > 0 ? error->line : 1;
    snprintf(first->reason, sizeof first->reason, "%.*s", (int)strcspn(reason, "\n"),
             reason);
}

trncclResult_t xml_doc_parse(const char *where, const char *text, size_t nbytes,
                             xmlDoc **out)
{
    const char *word = forbidden(text, nbytes);
    if (word != NULL)
        return error_set(trncclInvalidArgument, "%.200s: has %s, expected none", where,
                         word);
    struct complaint first = {0, "it is empty"};
    xmlParserCtxt *context = xmlNewParserCtxt();
    if (context == NULL)
        return error_set(trncclSystemError, "%.200s: no memory", where);
    context->_private = &first;
    context->sax->serror = on_error;
    xmlDoc *doc =
        xmlCtxtReadMemory(context, text, (int)nbytes, NULL, "UTF-8",
                          XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                              XML_PARSE_NOCDATA | XML_PARSE_BIG_LINES);
    xmlFreeParserCtxt(context);
    if (doc == NULL)
        return error_set(trncclInvalidArgument, "%.200s:%d: no XML: %s", where,
                         first.line > 0 ? first.line : 1, first.reason);
    if (doc->intSubset != NULL || doc->extSubset != NULL) {
        xmlFreeDoc(doc);
        return error_set(trncclInvalidArgument,
                         "%.200s: has a document type, expected none", where);
    }
    *out = doc;
    return trncclSuccess;
}
