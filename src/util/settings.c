#include "util/settings.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util/error.h"
#include "util/log.h"
#include "util/nearest.h"

#define SETTINGS_PREFIX "TRNCCL_"

/* Defaults without a source are first choices, to be replaced by measured ones. */
const struct settings_entry settings_table[SETTINGS_COUNT] = {
    [SETTINGS_DEBUG] = {"TRNCCL_DEBUG", SETTINGS_STRING, 0, 0, "WARN",
                        "Highest level of messages that are written: ERROR, WARN, INFO, "
                        "DEBUG or TRACE."},
    [SETTINGS_DEBUG_FILE] = {"TRNCCL_DEBUG_FILE", SETTINGS_STRING, 0, 0, NULL,
                             "File that messages are appended to instead of stderr; %h "
                             "is replaced by the host, %p by the process id."},
    [SETTINGS_TIMEOUT_MS] =
        {"TRNCCL_TIMEOUT_MS", SETTINGS_INT, 0, INT32_MAX, "600000",
         "How long a call may go without any progress before it fails, in "
         "milliseconds; 0 is for ever."},
    [SETTINGS_INIT_TIMEOUT_MS] = {"TRNCCL_INIT_TIMEOUT_MS", SETTINGS_INT, 0, INT32_MAX,
                                  "120000",
                                  "Deadline of the creation of a communicator in "
                                  "milliseconds; 0 is none."},
    [SETTINGS_ALGO] = {"TRNCCL_ALGO", SETTINGS_STRING, 0, 0, NULL,
                       "Forces an algorithm, for all collectives (\"ring\") or for some "
                       "(\"all_reduce=ring,broadcast=chain\")."},
    [SETTINGS_SCHEDULE] = {"TRNCCL_SCHEDULE", SETTINGS_STRING, 0, 0, NULL,
                           "File with a schedule in MSCCL's XML that serves its "
                           "collective; it must be for as many ranks as the "
                           "communicator has, and is proved when that is created."},
    [SETTINGS_TRANSPORT] = {"TRNCCL_TRANSPORT", SETTINGS_STRING, 0, 0, NULL,
                            "Transports to use, separated by commas; with a leading ^ "
                            "the transports not to use."},
    [SETTINGS_SLICE_BYTES] = {"TRNCCL_SLICE_BYTES", SETTINGS_SIZE, 4096, 65536, "64K",
                              "Bytes of a chunk that travel per round."},
    [SETTINGS_SLOTS] = {"TRNCCL_SLOTS", SETTINGS_INT, 2, 16, "4",
                        "Staged slots of each connection; rounded down to a power "
                        "of two."},
    [SETTINGS_LEND_BYTES] = {"TRNCCL_LEND_BYTES", SETTINGS_SIZE, 256, INT64_MAX, "4K",
                             "Size of the smallest message that is sent without a copy."},
    [SETTINGS_SPIN_US] = {"TRNCCL_SPIN_US", SETTINGS_INT, 0, 60000000, "2000",
                          "How long a wait polls before it sleeps, in microseconds."},
    [SETTINGS_CMA] = {"TRNCCL_CMA", SETTINGS_BOOL, 0, 1, "1",
                      "Whether peer processes may read this one's plain memory with "
                      "process_vm_readv, where the system permits it."},
    [SETTINGS_CHECK_PLANS] = {"TRNCCL_CHECK_PLANS", SETTINGS_BOOL, 0, 1, "1",
                              "Whether every schedule is proved before its first use."},
    [SETTINGS_SOCKET_IFNAME] = {"TRNCCL_SOCKET_IFNAME", SETTINGS_STRING, 0, 0, NULL,
                                "Network interface of the rendezvous."},
    [SETTINGS_SOCKET_FAMILY] = {"TRNCCL_SOCKET_FAMILY", SETTINGS_STRING, 0, 0, NULL,
                                "Address family of the rendezvous: AF_INET or AF_INET6."},
    [SETTINGS_SIMD] = {"TRNCCL_SIMD", SETTINGS_STRING, 0, 0, NULL,
                       "Widest combine kernels to use: portable, avx2 or avx512; the "
                       "processor's widest by default."},
};

/* Set once, by settings_load_once. */
static struct settings_values settings_values;
static trncclResult_t settings_result;
static char settings_reason[ERROR_TEXT_BYTES];
static pthread_once_t settings_once = PTHREAD_ONCE_INIT;

/* A whole string as a decimal number, with a binary suffix if that is allowed. */
static bool number_parse(const char *text, bool suffix, int64_t *out)
{
    if (!isdigit((unsigned char)text[text[0] == '-']))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0)
        return false;
    int shift = 0;
    if (suffix && *end != '\0') {
        static const char letters[] = "KMGT";
        const char *letter = strchr(letters, toupper((unsigned char)*end));
        if (letter == NULL)
            return false;
        shift = 10 * (int)(letter - letters + 1);
        end++;
    }
    if (*end != '\0' || value > INT64_MAX >> shift || (value < 0 && shift > 0))
        return false;
    *out = shift == 0 ? value : (int64_t)value << shift; /* never shifts a negative */
    return true;
}

static bool bool_parse(const char *text, int64_t *out)
{
    static const char *const words[][2] = {
        {"0", "1"}, {"no", "yes"}, {"false", "true"}, {"off", "on"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (int value = 0; value <= 1; value++) {
            if (strcasecmp(text, words[i][value]) == 0) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

/* Sets one value from text; out is written only on success. */
static trncclResult_t value_set(struct settings_values *out, enum settings_id id,
                                const char *text)
{
    const struct settings_entry *e = &settings_table[id];
    int64_t number = 0;
    enum log_level level;
    switch (e->kind) {
    case SETTINGS_STRING:
        if (id == SETTINGS_DEBUG && !log_level_parse(text, &level))
            return error_set(trncclInvalidArgument,
                             "%s=%s: expected ERROR, WARN, INFO, DEBUG or TRACE", e->name,
                             text);
        char *copy = strdup(text);
        if (copy == NULL)
            return error_set(trncclSystemError, "no memory for the value of %s", e->name);
        free(out->text[id]);
        out->text[id] = copy;
        return trncclSuccess;
    case SETTINGS_BOOL:
        if (!bool_parse(text, &number))
            return error_set(trncclInvalidArgument,
                             "%s=%s: expected 0, 1, no, yes, false, true, off or on",
                             e->name, text);
        break;
    case SETTINGS_INT:
    case SETTINGS_SIZE:
        if (!number_parse(text, e->kind == SETTINGS_SIZE, &number) || number < e->min ||
            number > e->max)
            return error_set(trncclInvalidArgument,
                             "%s=%s: expected %s from %lld to %lld%s", e->name, text,
                             e->kind == SETTINGS_SIZE ? "bytes" : "a whole number",
                             (long long)e->min, (long long)e->max,
                             e->kind == SETTINGS_SIZE ? ", with or without K, M, G" : "");
        break;
    }
    out->number[id] = number;
    return trncclSuccess;
}

void settings_fini(struct settings_values *values)
{
    for (int id = 0; id < SETTINGS_COUNT; id++)
        free(values->text[id]);
    *values = (struct settings_values){0};
}

static trncclResult_t presets_set(struct settings_values *out)
{
    *out = (struct settings_values){0};
    for (int id = 0; id < SETTINGS_COUNT; id++)
        if (settings_table[id].preset != NULL)
            TRY(value_set(out, (enum settings_id)id, settings_table[id].preset));
    return trncclSuccess;
}

static const char *environment_find(char *const *environment, const char *name)
{
    size_t n = strlen(name);
    for (char *const *entry = environment; *entry != NULL; entry++)
        if (strncmp(*entry, name, n) == 0 && (*entry)[n] == '=')
            return *entry + n + 1;
    return NULL;
}

trncclResult_t settings_parse(char *const *environment, struct settings_values *out)
{
    TRY(presets_set(out));
    for (int id = 0; id < SETTINGS_COUNT; id++) {
        const char *text = environment_find(environment, settings_table[id].name);
        if (text == NULL || text[0] == '\0')
            continue;
        trncclResult_t result = value_set(out, (enum settings_id)id, text);
        if (result != trncclSuccess) {
            settings_fini(out);
            TRY(presets_set(out));
            return result;
        }
        out->set[id] = true;
    }
    return trncclSuccess;
}

bool settings_known(const char *name, const char **nearest)
{
    const char *names[SETTINGS_COUNT];
    *nearest = NULL;
    for (int id = 0; id < SETTINGS_COUNT; id++) {
        names[id] = settings_table[id].name;
        if (strcmp(name, names[id]) == 0)
            return true;
    }
    *nearest = nearest_name(name, names, SETTINGS_COUNT);
    return false;
}

static void unknown_warn(char *const *environment)
{
    for (char *const *entry = environment; *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (strncmp(*entry, SETTINGS_PREFIX, strlen(SETTINGS_PREFIX)) != 0 ||
            equals == NULL)
            continue;
        char *name = strndup(*entry, (size_t)(equals - *entry));
        if (name == NULL)
            return;
        const char *nearest;
        if (!settings_known(name, &nearest)) {
            if (nearest != NULL)
                log_warn("util", "unknown setting %s is ignored; did you mean %s?", name,
                         nearest);
            else
                log_warn("util", "unknown setting %s is ignored", name);
        }
        free(name);
    }
}

static trncclResult_t environment_load(void)
{
    TRY(settings_parse(environ, &settings_values));
    enum log_level level = LOG_WARN;
    log_level_parse(settings_values.text[SETTINGS_DEBUG], &level);
    TRY(log_open(level, settings_values.text[SETTINGS_DEBUG_FILE]));
    unknown_warn(environ);
    return trncclSuccess;
}

static void settings_load_once(void)
{
    settings_result = environment_load();
    if (settings_result != trncclSuccess)
        strcpy(settings_reason, error_text());
}

trncclResult_t settings_load(void)
{
    pthread_once(&settings_once, settings_load_once);
    if (settings_result != trncclSuccess)
        return error_set(settings_result, "%s", settings_reason);
    return trncclSuccess;
}

int64_t settings_int(enum settings_id id)
{
    pthread_once(&settings_once, settings_load_once);
    return settings_values.number[id];
}

const char *settings_string(enum settings_id id)
{
    pthread_once(&settings_once, settings_load_once);
    return settings_values.text[id];
}

int settings_is_set(enum settings_id id)
{
    pthread_once(&settings_once, settings_load_once);
    return settings_values.set[id];
}
