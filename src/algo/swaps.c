#include "algo/swaps.h"

/* A run of positions. */
struct run {
    int32_t first, n;
};

/* What is ours after so many steps of halving, and what our partner in the last of them
 * got. */
static struct run kept(const struct swaps *s, int32_t steps)
{
    int32_t n = 1 << (s->nsteps - steps);
    return (struct run){s->position & ~(n - 1), n};
}

static struct run given(const struct swaps *s, int32_t steps)
{
    struct run run = kept(s, steps);
    run.first ^= run.n;
    return run;
}

/* Opens the step that adds what `peer` sends to n chunks of ours; lower ranks come first.
 */
static void combine(struct build *b, const struct swaps *s, int32_t peer,
                    enum sched_space mine, struct run chunks)
{
    build_step(b, s->channel);
    if (peer < s->rank)
        build_from(b, peer);
    build_local_in(b, mine, chunks.first);
    if (peer > s->rank)
        build_from(b, peer);
    build_span(b, mine, chunks.first, chunks.n);
}

/* ---- all-reduce: the runs of a part are runs of chunks -------------------------------
 */

static struct run chunks_of(const struct swaps *s, struct run positions)
{
    return (struct run){s->first + positions.first * s->weight, positions.n * s->weight};
}

void swaps_all_reduce(struct build *b, const struct swaps *s)
{
    int32_t last = s->nsteps - 1;
    for (int32_t t = 0; t <= last; t++) {
        struct run away = chunks_of(s, given(s, t + 1)),
                   keep = chunks_of(s, kept(s, t + 1));
        enum sched_space mine = t == 0 ? SCHED_IN : SCHED_TMP;
        build_send(b, s->channel, mine, away.first, away.n, s->partner[t]);
        combine(b, s, s->partner[t], mine, keep);
        build_local_out(b, t == last ? SCHED_OUT : SCHED_TMP, keep.first);
        if (t < last)
            continue;
        build_to(b, s->partner[t]);
        build_final(b);
    }
    for (int32_t t = last; t >= 0; t--) {
        struct run mine = chunks_of(s, kept(s, t + 1)),
                   theirs = chunks_of(s, given(s, t + 1));
        if (t < last)
            build_send(b, s->channel, SCHED_OUT, mine.first, mine.n, s->partner[t]);
        build_recv(b, s->channel, s->partner[t], SCHED_OUT, theirs.first, theirs.n);
    }
}

/* ---- blocks: a run of positions is blocks in any order -------------------------------
 */

static struct run block_of(const struct swaps *s, int32_t position)
{
    return (struct run){s->rank_at[position] * s->nsub + s->first, s->weight};
}

/* Blocks are sent one ahead of those that are received, so that two are on their way. */
static void send_ahead(struct build *b, const struct swaps *s, enum sched_space from,
                       struct run away, int32_t step, int32_t i)
{
    for (int32_t k = i == 0 ? 0 : i + 1; k <= i + 1 && k < away.n; k++) {
        struct run out = block_of(s, away.first + k);
        build_send(b, s->channel, from, out.first, out.n, s->partner[step]);
    }
}

void swaps_reduce_scatter(struct build *b, const struct swaps *s)
{
    int32_t last = s->nsteps - 1;
    for (int32_t t = 0; t <= last; t++) {
        struct run away = given(s, t + 1), keep = kept(s, t + 1);
        enum sched_space mine = t == 0 ? SCHED_IN : SCHED_TMP;
        for (int32_t i = 0; i < keep.n; i++) {
            struct run in = block_of(s, keep.first + i);
            send_ahead(b, s, mine, away, t, i);
            combine(b, s, s->partner[t], mine, in);
            if (t < last) {
                build_local_out(b, SCHED_TMP, in.first);
            } else {
                build_local_out(b, SCHED_OUT, s->first);
                build_final(b);
            }
        }
    }
}

void swaps_all_gather(struct build *b, const struct swaps *s)
{
    int32_t last = s->nsteps - 1;
    struct run own = block_of(s, s->position);
    build_copy(b, s->channel, SCHED_IN, s->first, SCHED_OUT, own.first, own.n);
    build_to(b, s->partner[last]);
    for (int32_t t = last; t >= 0; t--) {
        struct run mine = kept(s, t + 1), theirs = given(s, t + 1);
        for (int32_t i = 0; i < mine.n; i++) {
            struct run in = block_of(s, theirs.first + i);
            if (t < last)
                send_ahead(b, s, SCHED_OUT, mine, t, i);
            build_recv(b, s->channel, s->partner[t], SCHED_OUT, in.first, in.n);
        }
    }
}
