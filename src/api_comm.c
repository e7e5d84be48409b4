/* Communicators: creation, end, split. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_check.h"
#include "record.h"
#include "util/settings.h"

/* ---- creation ---- */

trncclResult_t trncclGetUniqueId(trncclUniqueId *id)
{
    if (!id)
        return error_set(trncclInvalidArgument, "trncclGetUniqueId: id is NULL");
    TRY(settings_load());
    return boot_unique_id(id);
}

#define CONFIG_OLDEST 100 /* version 0.1.0 was the first */

static trncclResult_t check_config(const char *name, const trncclConfig_t *config)
{
    if (config->magic != TRNCCL_CONFIG_MAGIC || config->size < sizeof(size_t) + 8 ||
        config->version < CONFIG_OLDEST)
        return error_set(trncclInvalidArgument,
                         "%s: config was not initialised with TRNCCL_CONFIG_INITIALIZER: "
                         "size %zu, magic 0x%x, version %u",
                         name, config->size, config->magic, config->version);
    if (config->size > sizeof *config)
        return error_set(
            trncclInvalidArgument,
            "%s: config has %zu bytes (version %u), this library knows %zu: it "
            "is older than the header the program was compiled with",
            name, config->size, config->version, sizeof *config);
    return trncclSuccess;
}

static trncclResult_t pick_int(const char *name, const char *field, int value,
                               enum settings_id id, int *out)
{
    if (value == TRNCCL_CONFIG_UNDEF_INT) {
        *out = (int)settings_int(id);
        return trncclSuccess;
    }
    if (value < 0)
        return error_set(trncclInvalidArgument,
                         "%s: config.%s is %d ms, expected 0 (none) or more", name, field,
                         value);
    *out = value;
    return trncclSuccess;
}

static trncclResult_t check_flag(const char *name, const char *field, int value)
{
    if (value != TRNCCL_CONFIG_UNDEF_INT && value != 0 && value != 1)
        return error_set(trncclInvalidArgument, "%s: config.%s is %d, expected 0 or 1",
                         name, field, value);
    return trncclSuccess;
}

/* Checks a config, which may be NULL or of an older, shorter header, and copies it over
 * the initialised *out. */
static trncclResult_t take_config(const char *name, const trncclConfig_t *given,
                                  trncclConfig_t *out)
{
    if (!given)
        return trncclSuccess;
    TRY(check_config(name, given));
    memcpy(out, given, given->size);
    TRY(check_flag(name, "blocking", out->blocking));
    return check_flag(name, "splitShare", out->splitShare);
}

struct init {
    struct comm_args args;
    bool blocking;
};

static trncclResult_t check_ids(const char *name, int nranks, int nids,
                                const trncclUniqueId *ids)
{
    if (nids < 1 || nids > nranks)
        return error_set(trncclInvalidArgument,
                         "%s: nids is %d, expected 1 to %d (nranks)", name, nids, nranks);
    if (!ids)
        return error_set(trncclInvalidArgument, "%s: ids is NULL, expected %d unique ids",
                         name, nids);
    return trncclSuccess;
}

/* Checks the arguments of creation and merges config and environment. */
static trncclResult_t init_check(const char *name, trncclComm_t *comm, int nranks,
                                 int rank, int nids, const trncclUniqueId *ids,
                                 const trncclConfig_t *given, struct init *out)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    TRY(settings_load());
    if (!comm)
        return error_set(trncclInvalidArgument, "%s: comm is NULL", name);
    TRY(take_config(name, given, &config));
    if (nranks < 1 || nranks > SCHED_MAX_RANKS)
        return error_set(trncclInvalidArgument, "%s: nranks is %d, expected 1 to %d",
                         name, nranks, SCHED_MAX_RANKS);
    if (rank < 0 || rank >= nranks)
        return error_set(trncclInvalidArgument, "%s: rank is %d, expected 0 to %d", name,
                         rank, nranks - 1);
    if (!config.oobAllgather)
        TRY(check_ids(name, nranks, nids, ids));
    out->blocking = config.blocking != 0;
    out->args = (struct comm_args){
        .nranks = nranks,
        .rank = rank,
        .device = rank,
        .nids = config.oobAllgather ? 0 : nids,
        .ids = config.oobAllgather ? NULL : ids,
        .name = config.commName,
        .algo = config.algo ? config.algo : settings_string(SETTINGS_ALGO),
        .transport =
            config.transport ? config.transport : settings_string(SETTINGS_TRANSPORT),
        .oob = config.oobAllgather,
        .oob_context = config.oobContext};
    TRY(pick_int(name, "timeoutMs", config.timeoutMs, SETTINGS_TIMEOUT_MS,
                 &out->args.timeout_ms));
    return pick_int(name, "initTimeoutMs", config.initTimeoutMs, SETTINGS_INIT_TIMEOUT_MS,
                    &out->args.init_timeout_ms);
}

/* Creation's arguments with copies of what they point to, for creation that goes on after
 * the call has returned. oob_context stays the caller's. */
struct kept_args {
    struct comm_args args;
    trncclUniqueId *ids;
    char *name, *algo, *transport;
};

static void kept_fini(struct kept_args *k)
{
    free(k->ids);
    free(k->name);
    free(k->algo);
    free(k->transport);
}

static bool copy_text(const char **text, char **copy)
{
    *copy = *text ? strdup(*text) : NULL;
    bool good = *copy || !*text;
    *text = *copy;
    return good;
}

/* On error there is nothing to free. */
static trncclResult_t kept_init(struct kept_args *k, const struct comm_args *args)
{
    *k = (struct kept_args){.args = *args};
    bool good = copy_text(&k->args.name, &k->name) &&
                copy_text(&k->args.algo, &k->algo) &&
                copy_text(&k->args.transport, &k->transport);
    if (good && args->ids) {
        size_t nbytes = (size_t)args->nids * sizeof *k->ids;
        k->args.ids = k->ids = malloc(nbytes);
        good = k->ids;
        if (good)
            memcpy(k->ids, args->ids, nbytes);
    }
    if (good)
        return trncclSuccess;
    kept_fini(k);
    return error_set(trncclSystemError,
                     "out of memory for the creation of a communicator");
}

/* What creation in the background works on. */
struct background {
    struct trncclComm *comm;
    struct kept_args kept;
};

static void *background_main(void *argument)
{
    struct background *b = argument;
    trncclResult_t result = comm_note(b->comm, comm_connect(b->comm, &b->kept.args));
    atomic_store(&b->comm->async_result, (int)result);
    /* Pairs with trncclCommAbort: one of the two sees the other's store. */
    if (result == trncclSuccess && atomic_load(&b->comm->aborted))
        comm_tell_abort(b->comm);
    kept_fini(&b->kept);
    free(b);
    return NULL;
}

static trncclResult_t init_background(struct trncclComm *c, const struct comm_args *args)
{
    struct background *b = malloc(sizeof *b);
    if (!b)
        return error_set(trncclSystemError,
                         "out of memory for creation in the background");
    b->comm = c;
    trncclResult_t kept = kept_init(&b->kept, args);
    if (kept != trncclSuccess) {
        free(b);
        return kept;
    }
    atomic_store(&c->async_result, trncclInProgress);
    int err = pthread_create(&c->creator, NULL, background_main, b);
    if (err) {
        atomic_store(&c->async_result, trncclSuccess);
        kept_fini(&b->kept);
        free(b);
        return error_set_errno(trncclSystemError, err, "cannot start a thread");
    }
    c->has_creator = true;
    return trncclSuccess;
}

static trncclResult_t init_rank(const struct comm_args *args, bool blocking,
                                trncclComm_t *comm)
{
    struct trncclComm *c = NULL;
    TRY(comm_allocate(args, &c));
    trncclResult_t result = blocking ? comm_connect(c, args) : init_background(c, args);
    if (result != trncclSuccess) {
        comm_free(c);
        return result;
    }
    *comm = c;
    return blocking ? trncclSuccess : trncclInProgress;
}

/* ---- creation inside a group: one thread per rank, started at its end ---- */

struct pending {
    struct kept_args kept;
    bool blocking;
    trncclComm_t *comm;
    trncclResult_t result;
    char text[ERROR_TEXT_BYTES];
    pthread_t thread;
    struct pending *next;
};
static _Thread_local struct pending *pending_first;

static void *pending_main(void *argument)
{
    struct pending *p = argument;
    p->result = init_rank(&p->kept.args, p->blocking, p->comm);
    if (p->result != trncclSuccess && p->result != trncclInProgress)
        snprintf(p->text, sizeof p->text, "%s", error_text());
    return NULL;
}

static trncclResult_t pending_add(const struct init *init, trncclComm_t *comm)
{
    struct pending *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(trncclSystemError,
                         "out of memory for a communicator in a group");
    trncclResult_t kept = kept_init(&p->kept, &init->args);
    if (kept != trncclSuccess) {
        free(p);
        return kept;
    }
    p->blocking = init->blocking;
    p->comm = comm;
    p->next = pending_first;
    pending_first = p;
    return trncclSuccess;
}

static void pending_start_all(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (struct pending *p = pending_first; p; p = p->next) {
        int err = pthread_create(&p->thread, NULL, pending_main, p);
        if (err) { /* too few threads: the others time out and say which rank is missing
                    */
            p->result = error_set_errno(trncclSystemError, err, "cannot start a thread");
            snprintf(p->text, sizeof p->text, "%s", error_text());
            p->thread = pthread_self();
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

trncclResult_t group_create_comms(bool forget)
{
    trncclResult_t result = trncclSuccess;
    if (!forget)
        pending_start_all();
    while (pending_first) {
        struct pending *p = pending_first;
        pending_first = p->next;
        if (!forget && !pthread_equal(p->thread, pthread_self()))
            pthread_join(p->thread, NULL);
        if (p->result == trncclInProgress && result == trncclSuccess)
            result = trncclInProgress;
        else if (p->result != trncclSuccess && p->result != trncclInProgress)
            result = error_set(p->result, "%s", p->text);
        kept_fini(&p->kept);
        free(p);
    }
    return result;
}

static trncclResult_t init_any(const char *name, trncclComm_t *comm, int nranks, int rank,
                               int nids, const trncclUniqueId *ids,
                               const trncclConfig_t *config)
{
    struct init init;
    trncclResult_t result =
        init_check(name, comm, nranks, rank, nids, ids, config, &init);
    if (result == trncclSuccess)
        result = transport_check_names(init.args.transport);
    if (result == trncclSuccess && !group_active())
        return init_rank(&init.args, init.blocking, comm);
    return group_spoil(result == trncclSuccess ? pending_add(&init, comm) : result);
}

trncclResult_t trncclCommInitRank(trncclComm_t *comm, int nranks, trncclUniqueId id,
                                  int rank)
{
    return init_any("trncclCommInitRank", comm, nranks, rank, 1, &id, NULL);
}

trncclResult_t trncclCommInitRankConfig(trncclComm_t *comm, int nranks, trncclUniqueId id,
                                        int rank, trncclConfig_t *config)
{
    return init_any("trncclCommInitRankConfig", comm, nranks, rank, 1, &id, config);
}

trncclResult_t trncclCommInitRankScalable(trncclComm_t *comm, int nranks, int rank,
                                          int nids, trncclUniqueId *ids,
                                          trncclConfig_t *config)
{
    return init_any("trncclCommInitRankScalable", comm, nranks, rank, nids, ids, config);
}

static trncclResult_t init_all(trncclComm_t *comms, int ndev)
{
    trncclUniqueId id;
    TRY(trncclGetUniqueId(&id));
    TRY(trncclGroupStart());
    for (int r = 0; r < ndev; r++)
        /* A refusal is remembered by the group, which then runs nothing. */
        (void)trncclCommInitRank(&comms[r], ndev, id, r);
    return trncclGroupEnd();
}

static trncclResult_t init_all_check(const trncclComm_t *comms, int ndev,
                                     const int *devlist)
{
    if (!comms)
        return error_set(trncclInvalidArgument, "trncclCommInitAll: comms is NULL");
    if (ndev < 1 || ndev > SCHED_MAX_RANKS)
        return error_set(trncclInvalidArgument,
                         "trncclCommInitAll: ndev is %d, expected 1 to "
                         "%d",
                         ndev, SCHED_MAX_RANKS);
    for (int r = 0; devlist && r < ndev; r++)
        if (devlist[r] < 0)
            return error_set(trncclInvalidArgument,
                             "trncclCommInitAll: devlist[%d] is %d, expected 0 or more",
                             r, devlist[r]);
    if (group_active())
        return error_set(trncclInvalidUsage,
                         "trncclCommInitAll inside a group: it is a group of its own");
    return trncclSuccess;
}

trncclResult_t trncclCommInitAll(trncclComm_t *comms, int ndev, const int *devlist)
{
    TRY(group_spoil(init_all_check(comms, ndev, devlist)));
    trncclComm_t *made = calloc((size_t)ndev, sizeof *made);
    if (!made)
        return error_set(trncclSystemError, "out of memory for %d ranks", ndev);
    trncclResult_t result = init_all(made, ndev);
    for (int r = 0; r < ndev; r++) {
        if (result != trncclSuccess)
            comm_free(made[r]);
        else
            made[r]->device = devlist ? devlist[r] : r;
    }
    if (result == trncclSuccess)
        memcpy(comms, made, (size_t)ndev * sizeof *made);
    free(made);
    return result;
}

/* ---- end ---- */

/* Waits for creation in the background and for queued calls. */
static void settle(struct trncclComm *c)
{
    if (c->has_creator) {
        pthread_join(c->creator, NULL);
        c->has_creator = false;
    }
    turn_settle(&c->turns);
}

/* Ending is for the process that began. */
static trncclResult_t check_owner(const char *name, trncclComm_t comm)
{
    TRY(api_check_handle(name, comm));
    if (comm_owned(comm))
        return trncclSuccess;
    return error_set(trncclInvalidUsage,
                     "%s: process %d was forked from %d, which owns this communicator",
                     name, (int)getpid(), comm->pid);
}

/* The last look: ranks can disagree in a collective in which each only sends. Nothing to
 * say if the communicator has ended badly before, or if this has been said. */
static trncclResult_t check_agreement(struct trncclComm *c)
{
    if (!atomic_load(&c->ready) || atomic_load(&c->aborted) ||
        atomic_load(&c->host->fault) || c->disagreed)
        return trncclSuccess;
    trncclResult_t result = record_compare_all(c);
    c->disagreed = result != trncclSuccess;
    return result;
}

/* What an open group keeps would find the communicator gone. */
static trncclResult_t check_end(const char *name, trncclComm_t comm)
{
    TRY(check_owner(name, comm));
    int kept = atomic_load(&comm->kept);
    if (!kept)
        return trncclSuccess;
    return comm_note(comm, error_set(trncclInvalidUsage,
                                     "%s: an open group holds %d call%s on this "
                                     "communicator: trncclGroupEnd must come first",
                                     name, kept, kept == 1 ? "" : "s"));
}

trncclResult_t trncclCommFinalize(trncclComm_t comm)
{
    TRY(check_end("trncclCommFinalize", comm));
    if (comm->finalized)
        return comm_note(comm, error_set(trncclInvalidUsage,
                                         "trncclCommFinalize: rank %d has finalized this "
                                         "communicator already",
                                         comm->rank));
    settle(comm);
    trncclResult_t result = comm_usable(comm);
    if (result == trncclSuccess)
        result = check_agreement(comm);
    comm->finalized = true;
    return comm_note(comm, result);
}

trncclResult_t trncclCommDestroy(trncclComm_t comm)
{
    TRY(check_end("trncclCommDestroy", comm));
    settle(comm);
    trncclResult_t result = check_agreement(comm);
    comm_free(comm);
    return result;
}

trncclResult_t trncclCommAbort(trncclComm_t comm)
{
    TRY(check_owner("trncclCommAbort", comm));
    atomic_store(&comm->aborted, 1);
    /* Creation in the background sees the flag by itself. */
    if (atomic_load(&comm->async_result) != trncclInProgress && atomic_load(&comm->ready))
        comm_tell_abort(comm);
    return trncclSuccess;
}

/* ---- split ---- */

struct split_choice {
    int32_t color, key;
};

/* This rank's place among the ranks of its color, in order of (key, rank). */
static void split_place(const struct split_choice *all, int nranks, int me, int *rank,
                        int *size, int *leader)
{
    *rank = *size = 0;
    *leader = me;
    for (int r = 0; r < nranks; r++) {
        if (all[r].color != all[me].color)
            continue;
        ++*size;
        bool before = all[r].key < all[me].key || (all[r].key == all[me].key && r < me);
        *rank += before;
        bool leads = all[r].key < all[*leader].key ||
                     (all[r].key == all[*leader].key && r < *leader);
        *leader = leads ? r : *leader;
    }
}

/* Exchanges choices, then the ids made by each color's first rank. */
static trncclResult_t split_exchange(trncclComm_t comm, int color, int key,
                                     struct split_choice *choices, trncclUniqueId *ids,
                                     int *leader, int *rank, int *size)
{
    struct split_choice mine = {color, key};
    TRY(comm_allgather(comm, COMM_SPLIT_CHOICES, &mine, choices, sizeof mine));
    split_place(choices, comm->nranks, comm->rank, rank, size, leader);
    trncclUniqueId id;
    memset(&id, 0, sizeof id);
    trncclResult_t made = trncclSuccess;
    if (color != TRNCCL_SPLIT_NOCOLOR && *leader == comm->rank)
        made = trncclGetUniqueId(&id);
    TRY(comm_allgather(comm, COMM_SPLIT_IDS, &id, ids, sizeof id));
    return made;
}

/* A wrong name in the config is not refused here: the others have agreed to the split,
 * and are told of it when they meet. */
static trncclResult_t split_create(trncclComm_t *newcomm, int nranks, int rank,
                                   const trncclUniqueId *id, const trncclConfig_t *config)
{
    struct init init;
    TRY(init_check("trncclCommSplit", newcomm, nranks, rank, 1, id, config, &init));
    return init_rank(&init.args, init.blocking, newcomm);
}

static trncclResult_t split_check(trncclComm_t comm, int color,
                                  const trncclComm_t *newcomm,
                                  const trncclConfig_t *config)
{
    trncclConfig_t checked = TRNCCL_CONFIG_INITIALIZER;
    if (!newcomm)
        return error_set(trncclInvalidArgument, "trncclCommSplit: newcomm is NULL");
    if (color < 0 && color != TRNCCL_SPLIT_NOCOLOR)
        return error_set(trncclInvalidArgument,
                         "trncclCommSplit: color is %d, expected 0 or more, or "
                         "TRNCCL_SPLIT_NOCOLOR (%d)",
                         color, TRNCCL_SPLIT_NOCOLOR);
    if (group_active())
        return error_set(trncclInvalidUsage,
                         "trncclCommSplit cannot be part of a group: it blocks until "
                         "every rank has called it");
    TRY(comm_usable(comm));
    return take_config("trncclCommSplit", config, &checked);
}

trncclResult_t trncclCommSplit(trncclComm_t comm, int color, int key,
                               trncclComm_t *newcomm, trncclConfig_t *config)
{
    TRY(group_spoil(api_check_handle("trncclCommSplit", comm)));
    TRY(group_spoil(comm_note(comm, split_check(comm, color, newcomm, config))));
    size_t n = (size_t)comm->nranks;
    struct split_choice *choices = calloc(n, sizeof *choices);
    trncclUniqueId *ids = calloc(n, sizeof *ids);
    int leader = 0, rank = 0, size = 0;
    trncclResult_t result =
        choices && ids
            ? split_exchange(comm, color, key, choices, ids, &leader, &rank, &size)
            : error_set(trncclSystemError, "out of memory for %zu ranks", n);
    if (result == trncclSuccess && color == TRNCCL_SPLIT_NOCOLOR)
        *newcomm = NULL;
    else if (result == trncclSuccess)
        result = split_create(newcomm, size, rank, &ids[leader], config);
    free(choices);
    free(ids);
    return comm_note(comm, result);
}
