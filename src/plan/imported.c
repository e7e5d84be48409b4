#include "plan/imported.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/msccl_link.h"
#include "format/msccl_lower.h"
#include "format/msccl_xml_in.h"

/* ---- The file -----------------------------------------------------------------------
 */

static trncclResult_t read_all(const char *path, FILE *file, char **text, size_t *nbytes)
{
    size_t capacity = 1 << 16, used = 0;
    char *buffer = malloc(capacity);
    while (buffer) {
        used += fread(buffer + used, 1, capacity - used, file);
        if (used < capacity || used > MSCCL_MAX_NBYTES)
            break;
        char *bigger = realloc(buffer, capacity *= 2);
        if (!bigger)
            free(buffer);
        buffer = bigger;
    }
    if (!buffer)
        return error_set(trncclSystemError, "%s: no memory to read it", path);
    if (ferror(file)) {
        free(buffer);
        return error_set_errno(trncclSystemError, errno, "%s: cannot read it", path);
    }
    *text = buffer;
    *nbytes = used;
    return trncclSuccess;
}

static uint32_t digest_of(const char *text, size_t nbytes) /* FNV-1a */
{
    uint32_t digest = 2166136261u;
    for (size_t i = 0; i < nbytes; i++)
        digest = (digest ^ (uint8_t)text[i]) * 16777619u;
    return digest;
}

static int32_t count_links(const struct msccl_links *links, const struct msccl *m)
{
    int32_t n = 0;
    for (int32_t i = 0; i < m->ntbs; i++)
        if (links->out_link[i] >= n)
            n = links->out_link[i] + 1;
    return n;
}

static trncclResult_t parse(struct imported *f, const char *text, size_t nbytes)
{
    struct msccl_links links;
    TRY(msccl_xml_parse(text, nbytes, &f->file));
    TRY(msccl_links_init(&links, f->file));
    f->nlinks = count_links(&links, f->file);
    f->digest = digest_of(text, nbytes);
    msccl_links_fini(&links);
    return trncclSuccess;
}

/* Puts the path before what went wrong. */
static trncclResult_t at_path(const char *path, trncclResult_t result)
{
    char why[ERROR_TEXT_BYTES];
    snprintf(why, sizeof why, "%s", error_text());
    return error_set(result, "%s: %s", path, why);
}

trncclResult_t imported_open(const char *path, struct imported **out)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set_errno(trncclSystemError, errno, "%s: cannot open it", path);
    char *text = NULL;
    size_t nbytes = 0;
    trncclResult_t result = read_all(path, file, &text, &nbytes);
    fclose(file);
    TRY(result);
    struct imported *f = calloc(1, sizeof *f);
    if (f)
        f->path = strdup(path);
    result =
        f && f->path ? parse(f, text, nbytes) : error_set(trncclSystemError, "no memory");
    free(text);
    if (result != trncclSuccess) {
        imported_close(f);
        return at_path(path, result);
    }
    *out = f;
    return trncclSuccess;
}

void imported_close(struct imported *f)
{
    if (!f)
        return;
    msccl_destroy(f->file);
    free(f->path);
    free(f);
}

/* ---- Proof --------------------------------------------------------------------------
 */

static trncclResult_t attempt(const struct imported *f, bool inplace,
                              struct imported_mode mode, struct sched **ranks,
                              struct verify_report *report)
{
    struct msccl_lower_args args = {
        .inplace = inplace, .staged = mode.staged, .credits = mode.credits};
    *report = (struct verify_report){0};
    TRY(msccl_lower(f->file, &args, ranks));
    trncclResult_t result = verify_schedules(ranks, f->file->nranks, NULL, 0, report);
    for (int32_t r = 0; r < f->file->nranks; r++)
        sched_destroy(ranks[r]);
    return result;
}

/* Tries one way of sending, with as much credit as it takes. */
static trncclResult_t attempt_credits(const struct imported *f, bool inplace,
                                      int max_credits, struct imported_mode *mode,
                                      struct sched **ranks, struct verify_report *report)
{
    mode->credits = 1;
    trncclResult_t result = attempt(f, inplace, *mode, ranks, report);
    int needed = report->credits;
    if (result != trncclInvalidUsage || needed <= 1)
        return result;
    if (needed > max_credits)
        return error_set(trncclInvalidUsage,
                         "%s needs %d messages in flight between two ranks; %d are "
                         "possible",
                         f->file->name, needed, max_credits);
    mode->credits = (uint8_t)needed;
    return attempt(f, inplace, *mode, ranks, report);
}

trncclResult_t imported_prove(struct imported *f, bool inplace, int max_credits,
                              struct verify_report *report)
{
    struct verify_report local;
    struct sched **ranks = calloc((size_t)f->file->nranks, sizeof *ranks);
    if (!ranks)
        return error_set(trncclSystemError, "no memory for %d ranks", f->file->nranks);
    if (max_credits > UINT8_MAX)
        max_credits = UINT8_MAX;
    struct imported_mode mode = {0};
    report = report ? report : &local;
    trncclResult_t result =
        attempt_credits(f, inplace, max_credits, &mode, ranks, report);
    if (result == trncclInvalidUsage) {
        mode.staged = true;
        result = attempt_credits(f, inplace, max_credits, &mode, ranks, report);
    }
    free(ranks);
    if (result != trncclSuccess)
        return at_path(f->path, result);
    f->mode[inplace] = mode;
    return trncclSuccess;
}

trncclResult_t imported_build(const struct imported *f, bool inplace,
                              struct sched **ranks)
{
    struct imported_mode mode = f->mode[inplace];
    struct msccl_lower_args args = {.inplace = inplace,
                                    .staged = mode.staged,
                                    .credits = mode.credits ? mode.credits : 1};
    return msccl_lower(f->file, &args, ranks);
}
