/* The TRNCCL_* environment, parsed once against a table of every setting there is.
 *
 * An unknown TRNCCL_* variable is warned about with the nearest known name; a value that
 * does not parse or is out of range is an error that states the range. The table is the
 * source of the manual page trnccl-environment(7). */
#ifndef TRNCCL_UTIL_SETTINGS_H
#define TRNCCL_UTIL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "trnccl.h"

enum settings_kind {
    SETTINGS_INT,    /* decimal, within [min, max] */
    SETTINGS_SIZE,   /* bytes, with optional suffix K, M, G (powers of 1024) */
    SETTINGS_BOOL,   /* 0/1, yes/no, true/false, on/off */
    SETTINGS_STRING, /* anything */
};

enum settings_id {
    SETTINGS_DEBUG,           /* string: log level */
    SETTINGS_DEBUG_FILE,      /* string: path, %h host, %p pid */
    SETTINGS_TIMEOUT_MS,      /* int: deadline of a call */
    SETTINGS_INIT_TIMEOUT_MS, /* int: deadline of creation */
    SETTINGS_ALGO,            /* string: "ring" or "all_reduce=ring,broadcast=chain" */
    SETTINGS_SCHEDULE,        /* string: path of an imported schedule, MSCCL's XML */
    SETTINGS_TRANSPORT,       /* string: transport names, comma separated, ^ to exclude */
    SETTINGS_SLICE_BYTES,     /* size: bytes of a chunk that travel per round */
    SETTINGS_SLOTS,           /* int: staged slots per connection */
    SETTINGS_LEND_BYTES,      /* size: smallest message sent without a copy */
    SETTINGS_SPIN_US,         /* int: how long a wait polls before it sleeps */
    SETTINGS_CMA,             /* bool: let peers read plain memory, process_vm_readv */
    SETTINGS_CHECK_PLANS,     /* bool: prove every schedule before its first use */
    SETTINGS_SOCKET_IFNAME,   /* string: interface of the rendezvous */
    SETTINGS_SOCKET_FAMILY,   /* string: AF_INET or AF_INET6 */
    SETTINGS_SIMD,            /* string: portable, avx2, avx512: widest kernels to use */
    SETTINGS_COUNT
};

struct settings_entry {
    const char *name; /* "TRNCCL_TIMEOUT_MS" */
    enum settings_kind kind;
    int64_t min, max;        /* for INT and SIZE */
    const char *preset;      /* the default, as it would be written */
    const char *description; /* one sentence */
};

/* The table, SETTINGS_COUNT entries, indexed by settings_id. */
extern const struct settings_entry settings_table[SETTINGS_COUNT];

/* Parses the environment once per process (thread-safe, later calls return the first
 * result), opens the log as TRNCCL_DEBUG and TRNCCL_DEBUG_FILE say, and warns about
 * unknown TRNCCL_* names. trncclInvalidArgument if a value is bad; the text names
 * variable, value, range. */
trncclResult_t settings_load(void);
/* Values of the environment, or the defaults; all defaults if settings_load failed. They
 * call settings_load if nobody has. settings_int: INT, SIZE and BOOL (0 or 1). */
int64_t settings_int(enum settings_id id);
const char *settings_string(enum settings_id id); /* NULL if unset and without default */
/* Whether the environment (not the default) supplied it. */
int settings_is_set(enum settings_id id);

/* The pure part, for tests: values of a given environment. */
struct settings_values {
    int64_t number[SETTINGS_COUNT];
    char *text[SETTINGS_COUNT]; /* owned; NULL for kinds other than STRING */
    bool set[SETTINGS_COUNT];
};
/* Reads `environment` ("NAME=value" entries, NULL-terminated); an empty value counts as
 * unset. On error *out holds the defaults. Either way settings_fini(out) afterwards. */
trncclResult_t settings_parse(char *const *environment, struct settings_values *out);
void settings_fini(struct settings_values *values);
/* Whether `name` is a setting of the library; else *nearest is the name that was probably
 * meant, or NULL. */
bool settings_known(const char *name, const char **nearest);

#endif
