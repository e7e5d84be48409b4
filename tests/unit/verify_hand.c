#include "tests/unit/verify_hand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "verify/verify.h"

void hand_init(struct hand *h, enum sched_coll coll, int nranks, int root)
{
    memset(h, 0, sizeof(*h));
    h->args = (struct sched_args){.coll = coll, .nranks = nranks, .root = root};
    h->nsub = h->credits = 1;
    h->tmp_like = SCHED_OUT;
}

static int space_of(char c)
{
    return c == 'i'   ? SCHED_IN
           : c == 'o' ? SCHED_OUT
           : c == 't' ? SCHED_TMP
           : c == 'p' ? SCHED_PEER
                      : -1;
}

static void parse_word(struct hand_step *s, const char *w, bool *outputs, bool *span)
{
    struct sched_step *p = &s->step;
    int space = space_of(w[0] == '@' ? w[1] : w[0]);
    if (w[0] == '>') {
        *outputs = true;
    } else if (w[0] == '@') {
        p->span_space = (uint8_t)space;
        p->span_chunk = atoi(w + 2);
        *span = true;
    } else if (space >= 0) {
        int i = p->nin + p->nout;
        assert_true(i < HAND_MAX_OPERANDS);
        s->ref[i] = (struct sched_ref){(uint8_t)space, atoi(w + 1)};
        *(*outputs ? &p->nout : &p->nin) += 1;
        if (!*span && space != SCHED_PEER) {
            p->span_space = (uint8_t)space;
            p->span_chunk = atoi(w + 1);
            *span = true;
        }
    } else if (w[0] == '*') {
        p->span_n = atoi(w + 1);
    } else if (w[0] == 'F') {
        p->flags |= SCHED_FINAL;
    } else if (w[0] == 'E') {
        p->flags |= SCHED_POST_EARLY;
    } else if (w[0] == 'a') {
        int channel, step;
        assert_int_equal(sscanf(w + 1, "%d.%d", &channel, &step), 2);
        p->after_channel = (int16_t)channel;
        p->after_step = step;
    } else if (w[0] == 'd') {
        p->drain = atoi(w + 1);
    } else if (w[0] == 'L') {
        p->in_link = (uint8_t)(atoi(w + 1) + 1);
    } else if (w[0] == 'K') {
        p->out_link = (uint8_t)(atoi(w + 1) + 1);
    } else if (w[0] == 'S') {
        p->flags |= SCHED_STAGED;
    } else if (w[0] == 'D') {
        p->after_drain = true;
    } else {
        fail_msg("hand: word \"%s\" means nothing", w);
    }
}

void hand_step(struct hand *h, int rank, int channel, const char *text)
{
    assert_true(h->nsteps[rank] < HAND_MAX_STEPS);
    struct hand_step *s = &h->steps[rank][h->nsteps[rank]++];
    *s = (struct hand_step){.channel = channel};
    s->step.span_n = 1;
    s->step.span_space = SCHED_OUT;
    s->step.after_step = -1;
    char copy[256], *rest = copy;
    bool outputs = false, span = false;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        parse_word(s, w, &outputs, &span);
}

void hand_step_all(struct hand *h, int channel, const char *text)
{
    int n = h->args.nranks;
    for (int r = 0; r < n; r++) {
        char mine[256];
        size_t used = 0;
        for (const char *c = text; *c && used + 16 < sizeof(mine); c++) {
            if (*c == '^' || *c == '+' || *c == '-')
                used += (size_t)sprintf(mine + used, "%d",
                                        (r + (*c == '+') - (*c == '-') + n) % n);
            else
                mine[used++] = *c;
        }
        mine[used] = '\0';
        hand_step(h, r, channel, mine);
    }
}

static void add_step(struct sched *s, const struct hand_step *h)
{
    struct sched_step *p = &s->steps[s->nsteps++];
    *p = h->step;
    p->first = s->nrefs;
    for (int i = 0; i < p->nin + p->nout; i++) {
        s->refs[s->nrefs++] = h->ref[i];
        if (h->ref[i].space == SCHED_PEER && p->span_n > s->max_run)
            s->max_run = p->span_n;
    }
    s->channels[h->channel].nsteps++;
}

static struct sched *make_rank(const struct hand *h, int rank)
{
    struct sched *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    struct sched_args args = h->args;
    args.rank = rank;
    *s = (struct sched){.coll = args.coll,
                        .algo = "hand",
                        .nranks = args.nranks,
                        .rank = rank,
                        .root = args.root,
                        .inplace = h->inplace[rank],
                        .max_run = 1,
                        .credits = h->credits};
    sched_coll_blocks(&args, &s->shape.in_blocks, &s->shape.out_blocks);
    s->shape.nsub = h->nsub;
    s->shape.tmp_chunks = h->tmp_chunks;
    s->shape.tmp_like = (uint8_t)h->tmp_like;
    s->steps = calloc(HAND_MAX_STEPS, sizeof(*s->steps));
    s->refs = calloc((size_t)HAND_MAX_STEPS * HAND_MAX_OPERANDS, sizeof(*s->refs));
    assert_non_null(s->steps);
    assert_non_null(s->refs);
    for (int c = 0; c < SCHED_MAX_CHANNELS; c++) {
        s->channels[c].first = s->nsteps;
        for (int i = 0; i < h->nsteps[rank]; i++)
            if (h->steps[rank][i].channel == c)
                add_step(s, &h->steps[rank][i]);
        if (s->channels[c].nsteps > 0)
            s->nchannels = c + 1;
    }
    return s;
}

void hand_make(const struct hand *h, struct sched **ranks)
{
    for (int r = 0; r < h->args.nranks; r++)
        ranks[r] = make_rank(h, r);
}

void hand_free(const struct hand *h, struct sched **ranks)
{
    for (int r = 0; r < h->args.nranks; r++)
        sched_destroy(ranks[r]);
}

static trncclResult_t prove(const struct hand *h, void (*edit)(struct sched **ranks),
                            struct verify_report *report)
{
    struct sched *ranks[HAND_MAX_RANKS];
    hand_make(h, ranks);
    if (edit)
        edit(ranks);
    trncclResult_t result =
        verify_schedules(ranks, h->args.nranks, h->args.pairs, h->args.npairs, report);
    hand_free(h, ranks);
    return result;
}

void hand_accept(const struct hand *h)
{
    struct verify_report report;
    trncclResult_t result = prove(h, NULL, &report);
    if (result != trncclSuccess)
        fail_msg("refused: %s", report.reason);
    assert_string_equal(report.reason, "");
}

void hand_refuse_edited(const struct hand *h, void (*edit)(struct sched **ranks),
                        const char *reason)
{
    struct verify_report report;
    trncclResult_t result = prove(h, edit, &report);
    if (result == trncclSuccess)
        fail_msg("accepted, expected a reason with \"%s\"", reason);
    assert_int_equal(result, trncclInvalidUsage);
    if (!strstr(report.reason, reason))
        fail_msg("refused with \"%s\", expected \"%s\"", report.reason, reason);
    assert_string_equal(error_text(), report.reason);
}

void hand_refuse(const struct hand *h, const char *reason)
{
    hand_refuse_edited(h, NULL, reason);
}
