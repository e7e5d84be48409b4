#include "stream.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"

#define STREAM_MAGIC 0x73747265 /* "stre" */
#define EVENT_MAGIC 0x65766e74  /* "evnt" */

/* A moment in a stream: what one record asked for. Whoever waits for it holds it, so that
 * recording the event again, on any stream, neither moves nor releases it. */
struct point {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    int refs;
    bool reached;
    uint64_t reached_ns;
};

struct trncclEvent {
    uint32_t magic;
    pid_t pid;            /* of the process that made it */
    pthread_mutex_t lock; /* guards point; taken before a stream's */
    struct point *point;  /* of the last record, counted; NULL: never recorded */
};

enum item_kind { ITEM_CALLS, ITEM_RECORD, ITEM_WAIT };

struct stream_item {
    enum item_kind kind;
    struct call *calls;  /* owned */
    struct point *point; /* counted */
    struct stream_item *next;
};

struct trncclStream {
    uint32_t magic;
    pid_t pid;       /* of the process that made it, where its thread is */
    atomic_int kept; /* calls of open groups, not queued yet */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct stream_item *first, **last;
    bool busy, stop;
    trncclResult_t error; /* of the first call that failed since the last synchronize */
    char error_text[ERROR_TEXT_BYTES];
};

/* A forked child has neither the stream's thread nor whoever holds a lock here. */
static trncclResult_t owner_check(const char *name, const char *what, pid_t owner)
{
    if (owner == getpid())
        return trncclSuccess;
    return error_set(trncclInvalidUsage,
                     "%s: process %d was forked from %d, which owns this %s", name,
                     (int)getpid(), (int)owner, what);
}

/* ---- points ---- */

static struct point *point_create(void)
{
    struct point *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->refs = 1;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    return p;
}

static struct point *point_get(struct point *p)
{
    pthread_mutex_lock(&p->lock);
    p->refs++;
    pthread_mutex_unlock(&p->lock);
    return p;
}

/* NULL is allowed. */
static void point_put(struct point *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    bool last = --p->refs == 0;
    pthread_mutex_unlock(&p->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
    free(p);
}

static void point_reach(struct point *p)
{
    pthread_mutex_lock(&p->lock);
    p->reached = true;
    p->reached_ns = clock_now_ns();
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void point_wait(struct point *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->reached)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

/* Whether it has been reached, and when. */
static bool point_reached(struct point *p, uint64_t *ns)
{
    pthread_mutex_lock(&p->lock);
    bool reached = p->reached;
    *ns = p->reached_ns;
    pthread_mutex_unlock(&p->lock);
    return reached;
}

/* ---- events ---- */

static trncclResult_t event_check(const char *name, trncclEvent_t e)
{
    if (!e || e->magic != EVENT_MAGIC)
        return error_set(trncclInvalidArgument, "%s: event is %p, not a live event", name,
                         (void *)e);
    return owner_check(name, "event", e->pid);
}

/* The point last recorded, for the caller to put; NULL if there is none. */
static struct point *event_point(struct trncclEvent *e)
{
    pthread_mutex_lock(&e->lock);
    struct point *p = e->point ? point_get(e->point) : NULL;
    pthread_mutex_unlock(&e->lock);
    return p;
}

trncclResult_t trncclEventCreate(trncclEvent_t *event)
{
    if (!event)
        return error_set(trncclInvalidArgument, "trncclEventCreate: event is NULL");
    struct trncclEvent *e = calloc(1, sizeof *e);
    if (!e)
        return error_set(trncclSystemError, "out of memory for an event");
    e->magic = EVENT_MAGIC;
    e->pid = getpid();
    pthread_mutex_init(&e->lock, NULL);
    *event = e;
    return trncclSuccess;
}

trncclResult_t trncclEventDestroy(trncclEvent_t event)
{
    TRY(event_check("trncclEventDestroy", event));
    point_put(event->point);
    pthread_mutex_destroy(&event->lock);
    event->magic = 0;
    free(event);
    return trncclSuccess;
}

trncclResult_t trncclEventSynchronize(trncclEvent_t event)
{
    TRY(event_check("trncclEventSynchronize", event));
    struct point *p = event_point(event);
    if (p)
        point_wait(p);
    point_put(p);
    return trncclSuccess;
}

trncclResult_t trncclEventQuery(trncclEvent_t event)
{
    TRY(event_check("trncclEventQuery", event));
    struct point *p = event_point(event);
    uint64_t ns;
    bool reached = !p || point_reached(p, &ns);
    point_put(p);
    return reached ? trncclSuccess : trncclInProgress;
}

/* When a complete event was reached. */
static trncclResult_t event_time(trncclEvent_t e, const char *which, uint64_t *ns)
{
    struct point *p = event_point(e);
    if (!p)
        return error_set(trncclInvalidUsage,
                         "trncclEventElapsedTime: the %s event has never been recorded",
                         which);
    bool reached = point_reached(p, ns);
    point_put(p);
    return reached
               ? trncclSuccess
               : error_set(trncclInProgress,
                           "trncclEventElapsedTime: the %s event has not been reached",
                           which);
}

trncclResult_t trncclEventElapsedTime(float *ms, trncclEvent_t start, trncclEvent_t end)
{
    uint64_t a, b;
    if (!ms)
        return error_set(trncclInvalidArgument, "trncclEventElapsedTime: ms is NULL");
    TRY(event_check("trncclEventElapsedTime", start));
    TRY(event_check("trncclEventElapsedTime", end));
    TRY(event_time(start, "start", &a));
    TRY(event_time(end, "end", &b));
    *ms = (float)((double)(int64_t)(b - a) / 1e6);
    return trncclSuccess;
}

/* ---- the stream's thread ---- */

void stream_free_calls(struct call *list)
{
    while (list) {
        struct call *next = list->next;
        call_fini(list);
        free(list);
        list = next;
    }
}

static void item_free(struct stream_item *i)
{
    stream_free_calls(i->calls);
    point_put(i->point);
    free(i);
}

static void run_calls(struct trncclStream *s, struct call *list)
{
    trncclResult_t result = call_run_all(list);
    if (result == trncclSuccess)
        return;
    pthread_mutex_lock(&s->lock);
    if (s->error == trncclSuccess) {
        s->error = result;
        snprintf(s->error_text, sizeof s->error_text, "%s", error_text());
    }
    pthread_mutex_unlock(&s->lock);
}

static void item_run(struct trncclStream *s, struct stream_item *i)
{
    if (i->kind == ITEM_CALLS)
        run_calls(s, i->calls);
    else if (i->kind == ITEM_RECORD)
        point_reach(i->point);
    else
        point_wait(i->point);
}

static void *stream_main(void *argument)
{
    struct trncclStream *s = argument;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->first && !s->stop)
            pthread_cond_wait(&s->changed, &s->lock);
        struct stream_item *i = s->first;
        if (!i)
            break;
        s->first = i->next;
        if (!s->first)
            s->last = &s->first;
        s->busy = true;
        pthread_mutex_unlock(&s->lock);
        item_run(s, i);
        item_free(i);
        pthread_mutex_lock(&s->lock);
        s->busy = false;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- the queue ---- */

trncclResult_t stream_check(const char *name, trncclStream_t s)
{
    if (!s || s->magic != STREAM_MAGIC)
        return error_set(trncclInvalidArgument, "%s: stream is %p, not a live stream",
                         name, (void *)s);
    return owner_check(name, "stream", s->pid);
}

struct stream_item *stream_item_create(void)
{
    return calloc(1, sizeof(struct stream_item));
}

static void append(struct trncclStream *s, struct stream_item *i)
{
    pthread_mutex_lock(&s->lock);
    *s->last = i;
    s->last = &i->next;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void stream_enqueue(trncclStream_t stream, struct stream_item *item, struct call *list)
{
    *item = (struct stream_item){.kind = ITEM_CALLS, .calls = list};
    append(stream, item);
}

/* Takes over the point on success. */
static trncclResult_t enqueue_point(struct trncclStream *s, enum item_kind kind,
                                    struct point *p)
{
    struct stream_item *i = stream_item_create();
    if (!i)
        return error_set(trncclSystemError, "out of memory for an event in a stream");
    *i = (struct stream_item){.kind = kind, .point = p};
    append(s, i);
    return trncclSuccess;
}

void stream_keep(trncclStream_t stream, int calls)
{
    atomic_fetch_add(&stream->kept, calls);
}

trncclResult_t trncclStreamCreate(trncclStream_t *stream)
{
    if (!stream)
        return error_set(trncclInvalidArgument, "trncclStreamCreate: stream is NULL");
    struct trncclStream *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(trncclSystemError, "out of memory for a stream");
    s->magic = STREAM_MAGIC;
    s->pid = getpid();
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    /* The application's signals are for its own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&s->thread, NULL, stream_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        pthread_mutex_destroy(&s->lock);
        pthread_cond_destroy(&s->changed);
        free(s);
        return error_set_errno(trncclSystemError, err, "cannot start a stream's thread");
    }
    *stream = s;
    return trncclSuccess;
}

trncclResult_t trncclStreamDestroy(trncclStream_t stream)
{
    TRY(stream_check("trncclStreamDestroy", stream));
    int kept = atomic_load(&stream->kept);
    if (kept)
        return error_set(trncclInvalidUsage,
                         "trncclStreamDestroy: an open group holds %d call%s on this "
                         "stream: trncclGroupEnd must come first",
                         kept, kept == 1 ? "" : "s");
    pthread_mutex_lock(&stream->lock);
    stream->stop = true;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    pthread_join(stream->thread, NULL);
    pthread_mutex_destroy(&stream->lock);
    pthread_cond_destroy(&stream->changed);
    stream->magic = 0;
    free(stream);
    return trncclSuccess;
}

trncclResult_t trncclStreamSynchronize(trncclStream_t stream)
{
    TRY(stream_check("trncclStreamSynchronize", stream));
    pthread_mutex_lock(&stream->lock);
    while (stream->first || stream->busy)
        pthread_cond_wait(&stream->changed, &stream->lock);
    trncclResult_t result = stream->error;
    if (result != trncclSuccess)
        result = error_set(result, "%s", stream->error_text);
    stream->error = trncclSuccess;
    pthread_mutex_unlock(&stream->lock);
    return result;
}

trncclResult_t trncclStreamQuery(trncclStream_t stream)
{
    TRY(stream_check("trncclStreamQuery", stream));
    pthread_mutex_lock(&stream->lock);
    bool busy = stream->first || stream->busy;
    pthread_mutex_unlock(&stream->lock);
    return busy ? trncclInProgress : trncclSuccess;
}

trncclResult_t trncclStreamWaitEvent(trncclStream_t stream, trncclEvent_t event)
{
    TRY(stream_check("trncclStreamWaitEvent", stream));
    TRY(event_check("trncclStreamWaitEvent", event));
    struct point *p = event_point(event);
    if (!p)
        return trncclSuccess; /* never recorded: nothing to wait for, as in CUDA */
    trncclResult_t result = enqueue_point(stream, ITEM_WAIT, p);
    if (result != trncclSuccess)
        point_put(p);
    return result;
}

trncclResult_t trncclEventRecord(trncclEvent_t event, trncclStream_t stream)
{
    TRY(event_check("trncclEventRecord", event));
    if (stream)
        TRY(stream_check("trncclEventRecord", stream));
    struct point *p = point_create();
    if (!p)
        return error_set(trncclSystemError, "out of memory for a record of an event");
    trncclResult_t result = trncclSuccess;
    if (!stream)
        point_reach(p); /* everything without a stream has completed already */
    /* Under the lock, so that the last of two records is last on its stream, too. */
    pthread_mutex_lock(&event->lock);
    if (stream)
        result = enqueue_point(stream, ITEM_RECORD, point_get(p));
    struct point *before = event->point;
    if (result == trncclSuccess)
        event->point = p;
    pthread_mutex_unlock(&event->lock);
    if (result == trncclSuccess) {
        point_put(before);
    } else {
        point_put(p); /* the stream's */
        point_put(p); /* and the event's */
    }
    return result;
}
