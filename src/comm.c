#include "comm.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "format/msccl_lower.h"
#include "group.h"
#include "transports/cma.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/settings.h"

trncclResult_t comm_allocate(const struct comm_args *args, struct trncclComm **out)
{
    struct trncclComm *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(trncclSystemError, "out of memory for a communicator");
    c->magic = COMM_MAGIC;
    c->pid = getpid();
    c->rank = args->rank;
    c->nranks = args->nranks;
    c->device = args->device;
    c->timeout_ms = args->timeout_ms;
    snprintf(c->name, sizeof c->name, "%s", args->name ? args->name : "comm");
    c->last_algo = "";
    turn_init(&c->turns);
    pthread_mutex_init(&c->error_lock, NULL);
    *out = c;
    return trncclSuccess;
}

void comm_free(struct trncclComm *c)
{
    if (!c)
        return;
    /* After a failure the others have been told of that, which is the better reason. */
    if (c->mine && !atomic_load(&c->host->fault)) {
        atomic_store(&c->mine->left, 1);
        for (int i = 0; i < c->host->segment->nranks; i++)
            segment_ring_slow(segment_rank(c->host->segment, i));
    }
    call_cache_destroy(c->cache);
    plan_destroy(c->plan);
    imported_close(c->imported);
    for (int i = 0; c->transports && transport_list[i]; i++)
        if (c->transports[i])
            transport_list[i]->close(c->transports[i]);
    host_put(c->host);
    exec_run_fini(&c->run);
    free(c->transports);
    free(c->reach);
    for (int i = 0; c->conns && i < 2 * c->nranks; i++)
        free(c->conns[i]);
    free(c->conns);
    free(c->places);
    free(c->scratch);
    free(c->redops);
    while (c->registrations) {
        struct comm_registration *r = c->registrations;
        c->registrations = r->next;
        free(r);
    }
    turn_fini(&c->turns);
    pthread_mutex_destroy(&c->error_lock);
    c->magic = 0;
    free(c);
}

bool comm_owned(const struct trncclComm *c)
{
    return c->pid == getpid();
}

trncclResult_t comm_note(struct trncclComm *c, trncclResult_t result)
{
    if (result == trncclSuccess || result == trncclInProgress || !comm_owned(c))
        return result;
    pthread_mutex_lock(&c->error_lock);
    snprintf(c->error_text, sizeof c->error_text, "%s", error_text());
    pthread_mutex_unlock(&c->error_lock);
    return result;
}

/* Creation in the background goes on, or has failed. */
static trncclResult_t comm_unready(struct trncclComm *c)
{
    int state = atomic_load(&c->async_result);
    if (state == trncclSuccess || state == trncclInProgress)
        return error_set(trncclInvalidUsage,
                         "rank %d: the communicator is still being created "
                         "(trncclCommGetAsyncError tells when it is ready)",
                         c->rank);
    char text[ERROR_TEXT_BYTES];
    pthread_mutex_lock(&c->error_lock);
    snprintf(text, sizeof text, "%s", c->error_text);
    pthread_mutex_unlock(&c->error_lock);
    return error_set((trncclResult_t)state, "%s", text);
}

trncclResult_t comm_unusable(struct trncclComm *c)
{
    if (!comm_owned(c))
        return error_set(trncclInvalidUsage,
                         "rank %d: process %d was forked from %d, which owns the "
                         "communicator, and cannot use it",
                         c->rank, (int)getpid(), c->pid);
    if (atomic_load(&c->aborted))
        return error_set(trncclAborted, "rank %d: the communicator was aborted", c->rank);
    if (!atomic_load(&c->ready))
        return comm_unready(c);
    if (c->finalized)
        return error_set(trncclInvalidUsage,
                         "rank %d: the communicator is finalized: only "
                         "trncclCommDestroy may follow",
                         c->rank);
    return host_fault_error(c->host);
}

void comm_tell_abort(struct trncclComm *c)
{
    char text[160];
    snprintf(text, sizeof text, "rank %d (host %s, pid %d) called trncclCommAbort",
             c->rank, c->host->hostname, c->pid);
    host_fault(c->host, trncclRemoteError, true, text);
}

/* ---- creation ---- */

static int cores_of_process(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* A setting that all ranks must share: as one number (FNV-1a), and to show. */
static uint32_t note_setting(const char *value, char *text, size_t nbytes)
{
    uint32_t digest = 2166136261u;
    error_cut(text, nbytes, value ? value : "");
    for (const char *s = text[0] ? value : "-"; *s; s++)
        digest = (digest ^ (uint8_t)*s) * 16777619u;
    return digest;
}

static trncclResult_t say_hello(const struct trncclComm *c, const struct comm_args *args,
                                struct links **links, struct host_hello *hello)
{
    memset(hello, 0, sizeof *hello);
    TRY(host_identify(hello));
    hello->nranks = args->nranks;
    hello->rank = args->rank;
    hello->ncores = cores_of_process();
    hello->nchannels = c->nlinks + 1;
    hello->nslots = 1 << (31 - __builtin_clz((unsigned)settings_int(SETTINGS_SLOTS)));
    hello->slice_nbytes = (uint64_t)settings_int(SETTINGS_SLICE_BYTES);
    hello->lend_nbytes = (uint64_t)settings_int(SETTINGS_LEND_BYTES);
    hello->algo_digest = note_setting(args->algo, hello->algo, sizeof hello->algo);
    hello->transport_digest =
        note_setting(args->transport, hello->transport, sizeof hello->transport);
    hello->schedule_digest = c->imported ? c->imported->digest : 0;
    return links_listen(links, &hello->address);
}

/* "TRNCCL_SLOTS is 4 and 8", behind those before it. */
static void apart(char *text, size_t nbytes, const char *what, const char *a,
                  const char *b)
{
    size_t n = strlen(text);
    snprintf(text + n, nbytes - n, "%s%s is %s and %s", n ? ", " : "", what,
             *a ? a : "unset", *b ? b : "unset");
}

static void numbers_apart(char *text, size_t nbytes, const char *what, uint64_t a,
                          uint64_t b)
{
    char as[24], bs[24];
    snprintf(as, sizeof as, "%llu", (unsigned long long)a);
    snprintf(bs, sizeof bs, "%llu", (unsigned long long)b);
    if (a != b)
        apart(text, nbytes, what, as, bs);
}

static trncclResult_t compare_settings(const struct host_hello *a,
                                       const struct host_hello *b, int rank)
{
    char what[512] = "";
    if (a->algo_digest != b->algo_digest)
        apart(what, sizeof what, "TRNCCL_ALGO or the config's algo", a->algo, b->algo);
    if (a->transport_digest != b->transport_digest)
        apart(what, sizeof what, "TRNCCL_TRANSPORT or the config's transport",
              a->transport, b->transport);
    if (a->schedule_digest != b->schedule_digest) {
        char as[24], bs[24];
        snprintf(as, sizeof as, "digest %08x", (unsigned)a->schedule_digest);
        snprintf(bs, sizeof bs, "digest %08x", (unsigned)b->schedule_digest);
        apart(what, sizeof what, "TRNCCL_SCHEDULE and what its file holds", as, bs);
    }
    numbers_apart(what, sizeof what, "TRNCCL_SLICE_BYTES", a->slice_nbytes,
                  b->slice_nbytes);
    numbers_apart(what, sizeof what, "TRNCCL_SLOTS", (uint64_t)a->nslots,
                  (uint64_t)b->nslots);
    numbers_apart(what, sizeof what, "TRNCCL_LEND_BYTES", a->lend_nbytes, b->lend_nbytes);
    if (!what[0])
        return trncclSuccess;
    return error_set(trncclInvalidUsage,
                     "rank 0 (host %s, pid %d) and rank %d (host %s, pid %d) have "
                     "different settings, which must be the same on all ranks: %s",
                     a->hostname, a->pid, rank, b->hostname, b->pid, what);
}

/* What must be the same everywhere, compared with rank 0's. */
static trncclResult_t compare_hellos(const struct host_hello *all, int nranks)
{
    for (int r = 1; r < nranks; r++) {
        const struct host_hello *a = &all[0], *b = &all[r];
        if (a->magic != b->magic || a->version != b->version)
            return error_set(
                trncclInvalidUsage,
                "rank 0 (host %s, pid %d) runs trnccl %u, rank %d (host %s, pid "
                "%d) runs %u: all ranks must run the same version",
                a->hostname, a->pid, a->version, r, b->hostname, b->pid, b->version);
        TRY(compare_settings(a, b, r));
    }
    return trncclSuccess;
}

/* Numbers each host's ranks and processes in order of rank. */
static trncclResult_t find_places(struct trncclComm *c, const struct host_hello *all)
{
    c->places = calloc((size_t)c->nranks, sizeof *c->places);
    if (!c->places)
        return error_set(trncclSystemError, "out of memory for a table of %d ranks",
                         c->nranks);
    for (int r = 0; r < c->nranks; r++) {
        struct transport_place *p = &c->places[r];
        memcpy(p->host, all[r].host, sizeof p->host);
        memcpy(p->process, all[r].process, sizeof p->process);
        p->pid = all[r].pid;
        int known = -1; /* the process, if an earlier rank is in it */
        for (const struct transport_place *o = c->places; o < p; o++) {
            if (memcmp(o->host, p->host, sizeof p->host) != 0)
                continue;
            p->local_index = o->local_index + 1;
            if (memcmp(o->process, p->process, sizeof p->process) == 0)
                known = o->process_index;
            else if (o->process_index >= p->process_index)
                p->process_index = o->process_index + 1;
        }
        if (known >= 0)
            p->process_index = known;
    }
    return trncclSuccess;
}

static trncclResult_t open_transport(struct trncclComm *c, int index)
{
    if (c->transports[index])
        return trncclSuccess;
    struct transport_env env = {.rank = c->rank,
                                .nranks = c->nranks,
                                .places = c->places,
                                .segment = c->host->segment,
                                .lend_nbytes = c->lend_nbytes,
                                .plain_readable = &c->plain_readable,
                                .context = c->host,
                                .publish = host_publish,
                                .resolve = host_resolve};
    return transport_list[index]->open(&env, &c->transports[index]);
}

/* Decides how each rank is reached and opens the transports that are needed. */
static trncclResult_t open_transports(struct trncclComm *c, const struct host_hello *all,
                                      const char *allowed)
{
    int n = 0;
    while (transport_list[n])
        n++;
    c->transports = calloc((size_t)n, sizeof *c->transports);
    c->reach = calloc((size_t)c->nranks, sizeof *c->reach);
    c->conns = calloc((size_t)2 * c->nranks, sizeof *c->conns);
    if (!c->transports || !c->reach || !c->conns)
        return error_set(trncclSystemError, "out of memory for %d connections",
                         c->nranks);
    for (int r = 0; r < c->nranks; r++) {
        c->reach[r] = transport_choose(&c->places[c->rank], &c->places[r], allowed);
        if (!c->reach[r])
            return error_set(
                trncclInvalidUsage,
                "rank %d (host %s) cannot reach rank %d (host %s, pid %d) by %s%s",
                c->rank, all[c->rank].hostname, r, all[r].hostname, all[r].pid,
                allowed ? "the transports allowed: "
                        : "any transport: they are "
                          "on different hosts",
                allowed ? allowed : "");
        for (int i = 0; i < n; i++)
            if (transport_list[i] == c->reach[r])
                TRY(open_transport(c, i));
    }
    return trncclSuccess;
}

static trncclResult_t comm_assemble(struct trncclComm *c, const struct comm_args *args,
                                    const struct host_hello *all, struct links *links,
                                    uint64_t deadline_ns)
{
    struct host_args h = {.hellos = all,
                          .places = c->places,
                          .nranks = c->nranks,
                          .rank = c->rank,
                          .deadline_ns = deadline_ns,
                          .abort = &c->aborted};
    TRY(host_get(&h, links, &c->host));
    TRY(combine_simd_load());
    c->mine = segment_rank(c->host->segment, c->places[c->rank].local_index);
    c->patience =
        exec_patience_for(c->host->segment->nranks, settings_int(SETTINGS_SPIN_US));
    int ncores = all[0].ncores;
    for (int r = 0; r < c->nranks; r++)
        ncores = all[r].ncores < ncores ? all[r].ncores : ncores;
    struct plan_args p = {.nranks = c->nranks,
                          .rank = c->rank,
                          .ncores = ncores,
                          .algo = args->algo,
                          .imported = c->imported,
                          .prove = settings_int(SETTINGS_CHECK_PLANS)};
    TRY(plan_create(&p, &c->plan));
    if (c->rank == 0)
        TRY(plan_prove_imported(c->plan, all[0].nslots));
    TRY(call_cache_create(&c->cache));
    return open_transports(c, all, args->transport);
}

/* Whether this rank can read the plain memory of every other. */
static bool reads_all(const struct trncclComm *c, const struct host_hello *all)
{
    for (int r = 0; r < c->nranks; r++)
        if (memcmp(all[r].host, all[c->rank].host, sizeof all[r].host) != 0 ||
            !all[r].identity ||
            !cma_probe(all[r].pid, all[r].identity, all[r].process,
                       sizeof all[r].process))
            return false;
    return true;
}

/* What follows from who can read whom; the same on all ranks. */
static void settle_copies(struct trncclComm *c)
{
    bool any = true; /* whether all transports can lend any memory */
    for (int r = 0; r < c->nranks; r++)
        any &= (c->reach[r]->caps & TRANSPORT_ANY_MEMORY) != 0;
    any |= c->plain_readable;
    /* Else a message might have to be staged, and slots have a size. */
    any &= c->lend_nbytes <= TRANSPORT_MAX_MESSAGE;
    c->copy_nbytes = any ? TRANSPORT_MAX_COPY : c->slice_nbytes;
}

/* How creation went on one rank. */
struct verdict {
    int32_t result;
    int32_t reads_all;
    struct imported_mode modes[2]; /* of the imported schedule, rank 0's */
    char text[300];
};

/* The verdict to believe: one that knows a cause before one that only saw another rank
 * go. -1: all is well. */
static int worst_verdict(const struct verdict *all, int nranks)
{
    int found = -1;
    for (int r = nranks; r-- > 0;)
        if (all[r].result != trncclSuccess &&
            (found < 0 || all[r].result != trncclRemoteError ||
             all[found].result == trncclRemoteError))
            found = r;
    return found;
}

/* Tells every rank how creation went on every other; a failure is everyone's. */
static trncclResult_t agree(struct trncclComm *c, const struct host_hello *hellos,
                            struct boot *boot, trncclResult_t result)
{
    char text[ERROR_TEXT_BYTES];
    snprintf(text, sizeof text, "%s", error_text());
    struct verdict mine = {.result = (int32_t)result};
    if (result != trncclSuccess)
        error_cut(mine.text, sizeof mine.text, text);
    else
        mine.reads_all = reads_all(c, hellos);
    if (c->imported)
        memcpy(mine.modes, c->imported->mode, sizeof mine.modes);
    struct verdict *all = calloc((size_t)c->nranks, sizeof *all);
    if (!all)
        return error_set(trncclSystemError, "out of memory for %d ranks' answers",
                         c->nranks);
    trncclResult_t sent = boot_allgather(boot, &mine, all, sizeof mine);
    int worst = sent == trncclSuccess ? worst_verdict(all, c->nranks) : -1;
    if (result != trncclSuccess && result != trncclRemoteError)
        result = error_set(result, "%s", text); /* this rank knows best itself */
    else if (sent != trncclSuccess)
        result = sent;
    else if (worst >= 0)
        result = error_set(trncclRemoteError,
                           "rank %d could not create the communicator: %.299s", worst,
                           all[worst].text);
    if (c->imported && result == trncclSuccess)
        memcpy(c->imported->mode, all[0].modes, sizeof all[0].modes);
    c->plain_readable = result == trncclSuccess;
    for (int r = 0; r < c->nranks; r++)
        c->plain_readable &= all[r].reads_all != 0;
    free(all);
    return result;
}

static trncclResult_t check_names(const struct comm_args *args)
{
    TRY(transport_check_names(args->transport));
    return plan_check_names(args->algo);
}

static trncclResult_t comm_join(struct trncclComm *c, const struct comm_args *args,
                                struct boot *boot, uint64_t deadline_ns)
{
    struct host_hello mine, *all = calloc((size_t)c->nranks, sizeof *all);
    struct links *links = NULL;
    if (!all)
        return error_set(trncclSystemError, "out of memory for %d ranks", c->nranks);
    trncclResult_t result = say_hello(c, args, &links, &mine);
    if (result == trncclSuccess)
        result = boot_allgather(boot, &mine, all, sizeof mine);
    /* Every rank gives its names to the others before it finds that one is wrong, so
     * none waits for it. */
    if (result == trncclSuccess)
        result = check_names(args);
    if (result == trncclSuccess)
        result = compare_hellos(all, c->nranks);
    if (result == trncclSuccess)
        result = find_places(c, all);
    if (result != trncclSuccess) {
        links_close(links);
    } else {
        c->slice_nbytes = mine.slice_nbytes;
        c->lend_nbytes = mine.lend_nbytes;
        result = comm_assemble(c, args, all, links, deadline_ns);
        result = agree(c, all, boot, result);
        if (result == trncclSuccess)
            settle_copies(c);
    }
    free(all);
    return result;
}

/* The schedule of TRNCCL_SCHEDULE, and the links it needs. */
static trncclResult_t open_imported(struct trncclComm *c)
{
    const char *path = settings_string(SETTINGS_SCHEDULE);
    c->nlinks = COMM_LINKS;
    if (!path)
        return trncclSuccess;
    TRY(imported_open(path, &c->imported));
    if (c->imported->nlinks > c->nlinks)
        c->nlinks = c->imported->nlinks;
    return trncclSuccess;
}

trncclResult_t comm_connect(struct trncclComm *c, const struct comm_args *args)
{
    log_rank_set(c->rank);
    TRY(open_imported(c));
    uint64_t start = clock_now_ns(), deadline = clock_deadline_ns(args->init_timeout_ms);
    struct boot_args b = {.nranks = args->nranks,
                          .rank = args->rank,
                          .nids = args->nids,
                          .ids = args->ids,
                          .oob = args->oob,
                          .oob_context = args->oob_context,
                          .deadline_ns = deadline,
                          .abort = &c->aborted};
    struct boot *boot = NULL;
    TRY(boot_open(&b, &boot));
    trncclResult_t result = comm_join(c, args, boot, deadline);
    boot_close(boot);
    if (result == trncclSuccess) {
        /* Pairs with the load in comm_usable. */
        atomic_store_explicit(&c->ready, true, memory_order_release);
        log_info("comm", "%s: rank %d of %d ready in %.1f ms", c->name, c->rank,
                 c->nranks, (double)(clock_now_ns() - start) / 1e6);
    }
    return result;
}

/* ---- connections ---- */

trncclResult_t comm_conn(struct trncclComm *c, int peer, int link, bool outgoing,
                         struct transport_conn **out)
{
    struct transport_conn ***links = &c->conns[(size_t)outgoing * c->nranks + peer];
    if (link > c->nlinks)
        return error_set(trncclInvalidUsage,
                         "a schedule names link %d between ranks %d and %d; there are %d",
                         link, c->rank, peer, c->nlinks);
    if (!*links)
        *links = calloc((size_t)c->nlinks + 1, sizeof **links);
    if (!*links)
        return error_set(trncclSystemError, "out of memory for connections to rank %d",
                         peer);
    struct transport_conn **at = &(*links)[link];
    if (!*at) {
        int i = 0;
        while (transport_list[i] != c->reach[peer])
            i++;
        TRY(transport_list[i]->connect(c->transports[i], peer, link, outgoing, at));
    }
    *out = *at;
    return trncclSuccess;
}

/* ---- exchanges ---- */

const char *comm_exchange_name(enum comm_exchange exchange)
{
    switch (exchange) {
    case COMM_SPLIT_CHOICES:
    case COMM_SPLIT_IDS:
        return "trncclCommSplit";
    case COMM_WINDOW_SIZES:
        return "trncclCommWindowRegister";
    case COMM_NO_EXCHANGE:
        break;
    }
    return "unknown";
}

trncclResult_t comm_allgather(struct trncclComm *c, enum comm_exchange exchange,
                              const void *mine, void *all, size_t nbytes)
{
    struct call call = {.comm = c,
                        .kind = CALL_COLLECTIVE,
                        .coll = SCHED_ALL_GATHER,
                        .exchange = exchange,
                        .name = comm_exchange_name(exchange),
                        .send = mine,
                        .recv = all,
                        .count = nbytes,
                        .type = trncclUint8,
                        .op = COMBINE_COPY};
    /* An imported schedule may serve calls in place only. */
    if (c->imported && !msccl_serves(c->imported->file, false)) {
        memcpy((char *)all + (size_t)c->rank * nbytes, mine, nbytes);
        call.send = (char *)all + (size_t)c->rank * nbytes;
    }
    return group_submit(&call, NULL);
}
