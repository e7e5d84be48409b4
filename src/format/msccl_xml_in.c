#include "format/msccl_xml_in.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <libxml/xmlreader.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parser {
    xmlTextReaderPtr reader;
    const char *text; /* borrowed */
    size_t nbytes;
    struct msccl *m;
    int32_t tbs_capacity, steps_capacity;
    int32_t gpu;       /* the one that is open, -1: none */
    int32_t nchannels; /* 0: not stated */
    int error_line;    /* of what the XML parser itself refused */
    char error[256];
};

/* The line of the current element. The parser itself is ahead of it; libxml2 keeps 16
 * bits of a node's line, and behind those the parser's has to do. */
static int32_t line_of(const struct parser *p)
{
    long line = xmlGetLineNo(xmlTextReaderCurrentNode(p->reader));
    return line > 0 && line < UINT16_MAX ? (int32_t)line
                                         : xmlTextReaderGetParserLineNumber(p->reader);
}

static __attribute__((format(printf, 2, 3), cold)) trncclResult_t
bad(const struct parser *p, const char *format, ...)
{
    char why[400];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return error_set(trncclInvalidArgument, "line %d: %s", line_of(p), why);
}

static void keep_error(void *context, const char *text, xmlParserSeverities severity,
                       xmlTextReaderLocatorPtr locator)
{
    struct parser *p = context;
    if (p->error[0] || severity == XML_PARSER_SEVERITY_WARNING ||
        severity == XML_PARSER_SEVERITY_VALIDITY_WARNING)
        return;
    p->error_line = xmlTextReaderLocatorLineNumber(locator);
    snprintf(p->error, sizeof p->error, "%s", text);
    p->error[strcspn(p->error, "\n")] = '\0';
}

static trncclResult_t grow(void **array, int32_t *capacity, int32_t used, size_t nbytes)
{
    if (used < *capacity)
        return trncclSuccess;
    int32_t more = used < 64 ? 64 : used * 2;
    void *bigger = realloc(*array, (size_t)more * nbytes);
    if (!bigger)
        return error_set(trncclSystemError, "no memory for a schedule of %d steps", used);
    *array = bigger;
    *capacity = more;
    return trncclSuccess;
}

/* ---- Attributes ---------------------------------------------------------------------
 */

/* An attribute that an element may have: a number, or a word if `word` is set. */
struct attribute {
    const char *name;
    int64_t min, max;
    bool needed;
    char *word; /* [MSCCL_NAME_BYTES] */
    int64_t value;
    bool given;
};

static trncclResult_t attribute_number(const struct parser *p, const char *element,
                                       struct attribute *a, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || isspace((unsigned char)text[0]) ||
        value < a->min || value > a->max)
        return bad(p, "<%s %s=\"%.40s\">; expected a whole number from %lld to %lld",
                   element, a->name, text, (long long)a->min, (long long)a->max);
    a->value = value;
    return trncclSuccess;
}

static trncclResult_t attribute_set(const struct parser *p, const char *element,
                                    struct attribute *a, const char *text)
{
    a->given = true;
    if (!a->word)
        return attribute_number(p, element, a, text);
    snprintf(a->word, MSCCL_NAME_BYTES, "%s", text);
    return trncclSuccess;
}

/* Reads the attributes of the current element into a list that ends without a name. */
static trncclResult_t attributes_read(const struct parser *p, const char *element,
                                      struct attribute *list)
{
    int more;
    while ((more = xmlTextReaderMoveToNextAttribute(p->reader)) == 1) {
        const char *name = (const char *)xmlTextReaderConstName(p->reader);
        const char *text = (const char *)xmlTextReaderConstValue(p->reader);
        for (struct attribute *a = list; name && a->name; a++)
            if (strcmp(a->name, name) == 0)
                TRY(attribute_set(p, element, a, text ? text : ""));
    }
    if (more < 0)
        return bad(p, "the attributes of <%s> cannot be read", element);
    xmlTextReaderMoveToElement(p->reader);
    for (const struct attribute *a = list; a->name; a++)
        if (a->needed && !a->given)
            return bad(p, "<%s> without the attribute %s", element, a->name);
    return trncclSuccess;
}

/* ---- <algo> -------------------------------------------------------------------------
 */

/* "allreduce", "all_reduce", "AllReduce" are all the same. */
static bool coll_parse(const char *text, enum sched_coll *coll)
{
    char letters[MSCCL_NAME_BYTES];
    size_t n = 0;
    for (; *text; text++)
        if (*text != '_' && *text != '-')
            letters[n++] = *text;
    letters[n] = '\0';
    static const struct {
        const char *name;
        enum sched_coll coll;
    } names[] = {
        {"allreduce", SCHED_ALL_REDUCE},
        {"allgather", SCHED_ALL_GATHER},
        {"reducescatter", SCHED_REDUCE_SCATTER},
        {"alltoall", SCHED_ALL_TO_ALL},
        {"broadcast", SCHED_BROADCAST},
        {"reduce", SCHED_REDUCE},
        {"gather", SCHED_GATHER},
        {"scatter", SCHED_SCATTER},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(letters, names[i].name) == 0) {
            *coll = names[i].coll;
            return true;
        }
    return false;
}

static void set_name(struct msccl *m, const char *name)
{
    static const char prefix[] = "msccl-";
    bool has = strncmp(name, prefix, sizeof prefix - 1) == 0;
    snprintf(m->name, sizeof m->name, "%s%.*s", has ? "" : prefix,
             (int)(MSCCL_NAME_BYTES - sizeof prefix), name[0] ? name : "unnamed");
    for (char *c = m->name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            *c = '_';
}

static trncclResult_t set_places(const struct parser *p, const struct attribute *in,
                                 const struct attribute *out)
{
    struct msccl *m = p->m;
    m->inplace = in->given ? in->value : out->given && !out->value;
    m->outofplace = out->given ? out->value : !m->inplace;
    if (!m->inplace && !m->outofplace)
        return bad(p, "<algo inplace=\"0\" outofplace=\"0\">; expected one of them 1");
    return trncclSuccess;
}

static trncclResult_t set_shape(const struct parser *p)
{
    struct msccl *m = p->m;
    int32_t n = m->nranks;
    m->nsub = m->nchunks;
    if (msccl_coll_has_blocks(m->coll)) {
        if (m->nchunks % n != 0)
            return bad(p,
                       "%d chunks of an %s over %d ranks; expected a multiple of the "
                       "ranks",
                       m->nchunks, sched_coll_name(m->coll), n);
        m->nsub = m->nchunks / n;
    }
    if ((int64_t)m->nchunks * 2 * n > MSCCL_MAX_CELLS)
        return bad(p, "%d chunks on %d ranks; expected at most %d in all", m->nchunks, n,
                   MSCCL_MAX_CELLS / 2);
    m->gpus = calloc((size_t)n, sizeof *m->gpus);
    return m->gpus ? trncclSuccess
                   : error_set(trncclSystemError, "no memory for %d ranks", n);
}

static trncclResult_t read_algo(struct parser *p)
{
    char coll[MSCCL_NAME_BYTES] = "", name[MSCCL_NAME_BYTES] = "";
    struct msccl *m = p->m;
    enum { NAME, COLL, NGPUS, NCHUNKS, NCHANNELS, ROOT, INPLACE, OUTOFPLACE, MIN, MAX };
    struct attribute a[] = {
        [NAME] = {.name = "name", .word = name},
        [COLL] = {.name = "coll", .word = coll, .needed = true},
        [NGPUS] = {.name = "ngpus", .min = 1, .max = MSCCL_MAX_RANKS, .needed = true},
        [NCHUNKS] = {.name = "nchunksperloop",
                     .min = 1,
                     .max = MSCCL_MAX_CHUNKS,
                     .needed = true},
        [NCHANNELS] = {.name = "nchannels", .min = 1, .max = INT32_MAX},
        [ROOT] = {.name = "root", .min = 0, .max = MSCCL_MAX_RANKS - 1},
        [INPLACE] = {.name = "inplace", .min = 0, .max = 1},
        [OUTOFPLACE] = {.name = "outofplace", .min = 0, .max = 1},
        [MIN] = {.name = "minBytes", .min = 0, .max = INT64_MAX},
        [MAX] = {.name = "maxBytes", .min = 0, .max = INT64_MAX},
        {0},
    };
    TRY(attributes_read(p, "algo", a));
    set_name(m, name);
    if (!coll_parse(coll, &m->coll))
        return bad(p,
                   "<algo coll=\"%s\">; expected allreduce, allgather, reduce_scatter, "
                   "alltoall, broadcast, reduce, gather or scatter",
                   coll);
    m->nranks = (int32_t)a[NGPUS].value;
    m->nchunks = (int32_t)a[NCHUNKS].value;
    m->root = (int32_t)a[ROOT].value;
    m->min_nbytes = a[MIN].value;
    m->max_nbytes = a[MAX].value;
    p->nchannels = (int32_t)a[NCHANNELS].value;
    if (m->root >= (sched_coll_rooted(m->coll) ? m->nranks : 1))
        return bad(p, "root %d of %d ranks in %s", m->root, m->nranks,
                   sched_coll_name(m->coll));
    TRY(set_places(p, &a[INPLACE], &a[OUTOFPLACE]));
    return set_shape(p);
}

/* ---- <gpu>, <tb>, <step> ------------------------------------------------------------
 */

static trncclResult_t read_gpu(struct parser *p)
{
    struct msccl *m = p->m;
    enum { ID, SCRATCH };
    struct attribute a[] = {
        [ID] = {.name = "id", .min = 0, .max = m->nranks - 1, .needed = true},
        [SCRATCH] = {.name = "s_chunks", .min = 0, .max = MSCCL_MAX_CHUNKS},
        {0},
    };
    TRY(attributes_read(p, "gpu", a));
    p->gpu = (int32_t)a[ID].value;
    struct msccl_gpu *g = &m->gpus[p->gpu];
    if (g->line)
        return bad(p, "gpu %d again; the first is on line %d", p->gpu, g->line);
    *g = (struct msccl_gpu){
        .line = line_of(p),
        .nscratch = (int32_t)a[SCRATCH].value,
        .first = m->ntbs,
    };
    return trncclSuccess;
}

static trncclResult_t check_peer(const struct parser *p, const char *name, int64_t peer)
{
    if (peer == p->gpu)
        return bad(p, "<tb %s=\"%d\"> on gpu %d; expected another", name, p->gpu, p->gpu);
    return trncclSuccess;
}

static trncclResult_t read_tb(struct parser *p)
{
    struct msccl *m = p->m;
    struct msccl_gpu *g = &m->gpus[p->gpu];
    enum { ID, SEND, RECV, CHAN };
    int32_t last = p->nchannels > 0 ? p->nchannels - 1 : INT32_MAX;
    struct attribute a[] = {
        [ID] = {.name = "id", .min = 0, .max = INT32_MAX, .needed = true},
        [SEND] = {.name = "send", .min = -1, .max = m->nranks - 1, .needed = true},
        [RECV] = {.name = "recv", .min = -1, .max = m->nranks - 1, .needed = true},
        [CHAN] = {.name = "chan", .min = 0, .max = last},
        {0},
    };
    TRY(attributes_read(p, "tb", a));
    TRY(check_peer(p, "send", a[SEND].value));
    TRY(check_peer(p, "recv", a[RECV].value));
    if (g->ntbs == MSCCL_MAX_TBS)
        return bad(p, "gpu %d has more than %d thread blocks", p->gpu, MSCCL_MAX_TBS);
    for (int32_t i = g->first; i < m->ntbs; i++)
        if (m->tbs[i].id == a[ID].value)
            return bad(p, "tb %d again; the first is on line %d", m->tbs[i].id,
                       m->tbs[i].line);
    void *array = m->tbs;
    trncclResult_t grown = grow(&array, &p->tbs_capacity, m->ntbs, sizeof *m->tbs);
    m->tbs = array;
    TRY(grown);
    m->tbs[m->ntbs++] = (struct msccl_tb){
        .line = line_of(p),
        .id = (int32_t)a[ID].value,
        .send = (int32_t)a[SEND].value,
        .recv = (int32_t)a[RECV].value,
        .chan = (int32_t)a[CHAN].value,
        .first = m->nsteps,
    };
    g->ntbs++;
    return trncclSuccess;
}

static trncclResult_t buffer_parse(const struct parser *p, const char *name,
                                   const char *text, uint8_t *buffer)
{
    static const char letters[] = "ios";
    const char *at = text[0] && !text[1] ? strchr(letters, text[0]) : NULL;
    if (!at)
        return bad(p, "<step %s=\"%s\">; expected i, o or s", name, text);
    *buffer = (uint8_t)(at - letters);
    return trncclSuccess;
}

static trncclResult_t type_parse(const struct parser *p, const char *text, uint8_t *type)
{
    for (int i = 0; i < MSCCL_NTYPES; i++)
        if (strcmp(text, msccl_traits[i].name) == 0) {
            *type = (uint8_t)i;
            return trncclSuccess;
        }
    return bad(p,
               "<step type=\"%s\">; expected s, r, rcs, rrs, rrc, rrcs, cpy, re or nop",
               text);
}

static trncclResult_t check_run(const struct parser *p, const char *name, int buffer,
                                int64_t off, int32_t cnt)
{
    int32_t have = msccl_nchunks(p->m, p->gpu, buffer);
    if (off < 0 || off > have - cnt)
        return bad(p, "<step %s=\"%lld\" cnt=\"%d\">, but buffer %c has %d chunks", name,
                   (long long)off, cnt, "ios"[buffer], have);
    return trncclSuccess;
}

static trncclResult_t check_step(const struct parser *p, const struct msccl_step *step,
                                 const struct msccl_tb *tb)
{
    const struct msccl_traits *t = &msccl_traits[step->type];
    if (t->sends && tb->send < 0)
        return bad(p, "%s in tb %d, which has no peer to send to", t->name, tb->id);
    if (t->receives && tb->recv < 0)
        return bad(p, "%s in tb %d, which has no peer to receive from", t->name, tb->id);
    if (t->reads)
        TRY(check_run(p, "srcoff", step->src_buf, step->src_off, step->cnt));
    if (t->writes)
        TRY(check_run(p, "dstoff", step->dst_buf, step->dst_off, step->cnt));
    if (tb->nsteps > 0 && step->s <= p->m->steps[tb->first + tb->nsteps - 1].s)
        return bad(p, "step %d after step %d of tb %d; expected a higher number", step->s,
                   p->m->steps[tb->first + tb->nsteps - 1].s, tb->id);
    if ((step->dep_tb < 0) != (step->dep_step < 0))
        return bad(p, "depid %d with deps %d; expected both or -1 for both", step->dep_tb,
                   step->dep_step);
    return trncclSuccess;
}

static trncclResult_t read_step(struct parser *p)
{
    struct msccl *m = p->m;
    struct msccl_tb *tb = &m->tbs[m->ntbs - 1];
    char type[MSCCL_NAME_BYTES] = "", src[MSCCL_NAME_BYTES] = "i",
         dst[MSCCL_NAME_BYTES] = "o";
    enum { S, TYPE, SRCBUF, SRCOFF, DSTBUF, DSTOFF, CNT, DEPID, DEPS, HASDEP };
    struct attribute a[] = {
        [S] = {.name = "s", .min = 0, .max = INT32_MAX, .needed = true},
        [TYPE] = {.name = "type", .word = type, .needed = true},
        [SRCBUF] = {.name = "srcbuf", .word = src},
        [SRCOFF] = {.name = "srcoff", .min = -1, .max = INT32_MAX, .value = -1},
        [DSTBUF] = {.name = "dstbuf", .word = dst},
        [DSTOFF] = {.name = "dstoff", .min = -1, .max = INT32_MAX, .value = -1},
        [CNT] = {.name = "cnt", .min = 0, .max = MSCCL_MAX_CHUNKS, .value = 1},
        [DEPID] = {.name = "depid", .min = -1, .max = INT32_MAX, .value = -1},
        [DEPS] = {.name = "deps", .min = -1, .max = INT32_MAX, .value = -1},
        [HASDEP] = {.name = "hasdep", .min = 0, .max = 1, .value = -1},
        {0},
    };
    TRY(attributes_read(p, "step", a));
    struct msccl_step step = {
        .line = line_of(p),
        .s = (int32_t)a[S].value,
        .src_off = (int32_t)a[SRCOFF].value,
        .dst_off = (int32_t)a[DSTOFF].value,
        .cnt = (int32_t)a[CNT].value,
        .dep_tb = (int32_t)a[DEPID].value,
        .dep_step = (int32_t)a[DEPS].value,
        .hasdep = (int8_t)a[HASDEP].value,
    };
    TRY(type_parse(p, type, &step.type));
    const struct msccl_traits *t = &msccl_traits[step.type];
    if (t->reads)
        TRY(buffer_parse(p, "srcbuf", src, &step.src_buf));
    if (t->writes)
        TRY(buffer_parse(p, "dstbuf", dst, &step.dst_buf));
    if (step.type == MSCCL_NOP)
        step.cnt = 1;
    if (step.cnt < 1)
        return bad(p, "<step cnt=\"0\">; expected 1 or more");
    TRY(check_step(p, &step, tb));
    if (m->nsteps == MSCCL_MAX_STEPS)
        return bad(p, "more than %d steps", MSCCL_MAX_STEPS);
    void *array = m->steps;
    trncclResult_t grown = grow(&array, &p->steps_capacity, m->nsteps, sizeof *m->steps);
    m->steps = array;
    TRY(grown);
    m->steps[m->nsteps++] = step;
    tb->nsteps++;
    return trncclSuccess;
}

/* ---- The tree -----------------------------------------------------------------------
 */

static trncclResult_t read_element(struct parser *p)
{
    static const struct {
        const char *name;
        trncclResult_t (*read)(struct parser *p);
    } levels[] = {
        {"algo", read_algo}, {"gpu", read_gpu}, {"tb", read_tb}, {"step", read_step}};
    int depth = xmlTextReaderDepth(p->reader);
    const char *name = (const char *)xmlTextReaderConstName(p->reader);
    if (depth < 0 || depth > 3)
        return bad(p, "<%.40s> inside <step>; expected nothing", name ? name : "?");
    if (!name || strcmp(name, levels[depth].name) != 0)
        return bad(p, "<%.40s>; expected <%s>", name ? name : "?", levels[depth].name);
    return levels[depth].read(p);
}

/* The reader is ahead of it, so its line has to be looked for. */
static trncclResult_t bad_doctype(const struct parser *p)
{
    const char *at = memmem(p->text, p->nbytes, "<!DOCTYPE", 9);
    int line = 1;
    for (const char *c = p->text; at && c < at; c++)
        line += *c == '\n';
    return error_set(trncclInvalidArgument,
                     "line %d: a document type; expected none, as it could name "
                     "entities and other files",
                     line);
}

static trncclResult_t read_node(struct parser *p)
{
    switch (xmlTextReaderNodeType(p->reader)) {
    case XML_READER_TYPE_ELEMENT:
        return read_element(p);
    case XML_READER_TYPE_END_ELEMENT:
    case XML_READER_TYPE_COMMENT:
    case XML_READER_TYPE_WHITESPACE:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
    case XML_READER_TYPE_PROCESSING_INSTRUCTION:
    case XML_READER_TYPE_XML_DECLARATION:
        return trncclSuccess;
    case XML_READER_TYPE_DOCUMENT_TYPE:
        return bad_doctype(p);
    default:
        return bad(p, "text or references between elements; expected none");
    }
}

static trncclResult_t read_all(struct parser *p)
{
    int more;
    while ((more = xmlTextReaderRead(p->reader)) == 1)
        TRY(read_node(p));
    if (more < 0 || p->error[0])
        return error_set(trncclInvalidArgument, "line %d: not well-formed XML: %s",
                         p->error_line > 0 ? p->error_line : 1,
                         p->error[0] ? p->error : "it cannot be read");
    return trncclSuccess;
}

/* ---- Dependencies -------------------------------------------------------------------
 */

static int32_t tb_find(const struct msccl *m, const struct msccl_gpu *g, int32_t id)
{
    for (int32_t i = 0; i < g->ntbs; i++)
        if (m->tbs[g->first + i].id == id)
            return i;
    return -1;
}

/* The index of the step with number s, which increase. */
static int32_t step_find(const struct msccl *m, const struct msccl_tb *tb, int32_t s)
{
    int32_t low = 0, high = tb->nsteps;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (m->steps[tb->first + middle].s < s)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tb->nsteps && m->steps[tb->first + low].s == s ? low : -1;
}

/* Turns the names of what a step waits for into indices. */
static trncclResult_t resolve_step(const struct msccl *m, int32_t gpu,
                                   struct msccl_step *step)
{
    const struct msccl_gpu *g = &m->gpus[gpu];
    if (step->dep_tb < 0)
        return trncclSuccess;
    int32_t tb = tb_find(m, g, step->dep_tb);
    int32_t at = tb >= 0 ? step_find(m, &m->tbs[g->first + tb], step->dep_step) : -1;
    if (at < 0)
        return error_set(trncclInvalidArgument,
                         "line %d: the step waits for step %d of tb %d of gpu %d, which "
                         "does not exist",
                         step->line, step->dep_step, step->dep_tb, gpu);
    const struct msccl_step *other = &m->steps[m->tbs[g->first + tb].first + at];
    if (other->hasdep == 0)
        return error_set(trncclInvalidArgument,
                         "line %d: the step waits for step %d of tb %d of gpu %d (line "
                         "%d), which has hasdep=\"0\" and so tells nobody that it is "
                         "done",
                         step->line, step->dep_step, step->dep_tb, gpu, other->line);
    step->dep_tb = tb;
    step->dep_step = at;
    return trncclSuccess;
}

static trncclResult_t resolve_all(struct msccl *m)
{
    int64_t ncells = (int64_t)m->nchunks * 2 * m->nranks;
    for (int32_t gpu = 0; gpu < m->nranks; gpu++) {
        const struct msccl_gpu *g = &m->gpus[gpu];
        if (g->line == 0)
            return error_set(trncclInvalidArgument,
                             "the file ends without gpu %d of %d (ngpus)", gpu,
                             m->nranks);
        ncells += g->nscratch;
        if (ncells > MSCCL_MAX_CELLS)
            return error_set(trncclInvalidArgument,
                             "line %d: %lld chunks of buffers up to gpu %d; expected at "
                             "most %d",
                             g->line, (long long)ncells, gpu, MSCCL_MAX_CELLS);
        for (int32_t t = g->first; t < g->first + g->ntbs; t++)
            for (int32_t i = 0; i < m->tbs[t].nsteps; i++)
                TRY(resolve_step(m, gpu, &m->steps[m->tbs[t].first + i]));
    }
    return trncclSuccess;
}

trncclResult_t msccl_xml_parse(const char *text, size_t nbytes, struct msccl **out)
{
    if (nbytes > MSCCL_MAX_NBYTES)
        return error_set(trncclInvalidArgument, "%zu bytes of XML; expected at most %d",
                         nbytes, MSCCL_MAX_NBYTES);
    struct parser p = {
        .text = text, .nbytes = nbytes, .gpu = -1, .m = calloc(1, sizeof *p.m)};
    p.reader = xmlReaderForMemory(text, (int)nbytes, NULL, NULL,
                                  XML_PARSE_NONET | XML_PARSE_NOCDATA);
    trncclResult_t result;
    if (!p.m || !p.reader) {
        result = error_set(trncclSystemError, "no memory to read XML");
    } else {
        xmlTextReaderSetErrorHandler(p.reader, keep_error, &p);
        result = read_all(&p);
        if (result == trncclSuccess && !p.m->gpus)
            result = error_set(trncclInvalidArgument, "line 1: no <algo>");
        if (result == trncclSuccess)
            result = resolve_all(p.m);
    }
    xmlFreeTextReader(p.reader);
    if (result == trncclSuccess)
        *out = p.m;
    else
        msccl_destroy(p.m);
    return result;
}
