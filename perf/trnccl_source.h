/* Which schedules a command of `trnccl schedule` is about: its options, and the schedules
 * they name. */
#ifndef TRNCCL_PERF_TRNCCL_SOURCE_H
#define TRNCCL_PERF_TRNCCL_SOURCE_H

#include <stdbool.h>
#include "algo/algo.h"
#include "plan/imported.h"

/* What was asked for. Strings are borrowed from argv. */
struct source {
    bool coll_given;
    enum sched_coll coll;
    const char *algo, *xml, *text;
    int32_t nranks, root;
    bool inplace;
    const char *output; /* -o, or NULL */
    bool as_xml;        /* --xml of export */
};

#define SOURCE_MAX_CREDITS 16 /* messages that a connection in memory holds at most */

/* What a command understands besides --help. */
enum source_accepts {
    SOURCE_ALGO = 1,   /* COLLECTIVE --algo --ranks --root --in-place */
    SOURCE_FILES = 2,  /* --xml FILE, --text FILE */
    SOURCE_FILE = 4,   /* FILE.xml alone, and --in-place */
    SOURCE_OUTPUT = 8, /* -o FILE */
    SOURCE_AS_XML = 16,
};

/* Parses a command's arguments. Wrong usage is explained on stderr and ends the process
 * with TOOL_EXIT_USAGE; --help with 0. */
void source_parse(int argc, char **argv, unsigned accepts, const char *doc,
                  struct source *out);

/* The schedules of one place. */
struct source_schedules {
    struct sched **ranks; /* owned [nranks] */
    int32_t nranks;
    int32_t *pairs; /* of a permute: every rank to the next; owned */
    int32_t npairs;
    struct imported *imported; /* owned; NULL: not of such a file */
    char refused[512];         /* why the proof of such a file failed, or "" */
};

/* Makes the schedules that were asked for. An XML file's are made for calls out of place
 * if it serves those and nothing else is asked for, and in the way that its proof found
 * right; if it found none, they are made all the same, see `refused`. Returns
 * trncclSuccess, trncclInvalidArgument if an algorithm or the file does not serve this,
 * trncclSystemError; the error text is set. */
trncclResult_t source_build(const struct source *s, struct source_schedules *out);
void source_free(struct source_schedules *s);

#endif
