/* trncclMemAlloc's memory between processes: allocated and freed without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

enum { COUNT = 16 << 10, NBYTES = COUNT * 4 };

static float *allocate(struct rank *r)
{
    void *p = NULL;
    OK(r, trncclMemAlloc(&p, NBYTES));
    return p;
}

/* Every all-reduce with buffers of its own, a different number of them alive at a time.
 */
static void churn(struct rank *r)
{
    enum { ROUNDS = 300, ALIVE = 6 };
    float *alive[ALIVE] = {NULL};
    rank_join(r, 20000);
    for (int i = 0; i < ROUNDS; i++) {
        float **in = &alive[i % ALIVE], **out = &alive[(i + 1 + i % 2) % ALIVE];
        for (int k = 0; k < 2; k++) {
            float **p = k ? out : in;
            if (*p)
                OK(r, trncclMemFree(*p));
            *p = allocate(r);
        }
        for (int k = 0; k < COUNT; k++)
            (*in)[k] = (float)(r->rank + i + k % 7);
        OK(r, trncclAllReduce(*in, *out, COUNT, trncclFloat32, trncclSum, r->comm, NULL));
        for (int k = 0; k < COUNT; k++)
            CHECK(r, (*out)[k] == (float)(r->nranks * (r->nranks - 1) / 2 +
                                          r->nranks * (i + k % 7)));
    }
    /* The segment, in pieces; its own and each peer's, as many as ever lived at a time.
     */
    CHECK(r, leakcheck_memfds(false) <= 8 + r->nranks * ALIVE);
    for (int k = 0; k < ALIVE; k++)
        OK(r, trncclMemFree(alive[k]));
    rank_leave(r);
}

static void freed_memory_does_not_stay_mapped_at_peers(void **state)
{
    (void)state;
    for (int n = 2; n <= 4; n++)
        assert_int_equal(team_run(TEAM_PROCESSES, n, churn, NULL), 0);
}

/* The sender lends its own buffer and never looks where the receiver would like to have
 * it: the receiver's buffers, each a new one, must not fill anything up. */
static void unread_names(struct rank *r)
{
    enum { ROUNDS = 1000 };
    rank_join(r, 5000);
    float *p = r->rank == 0 ? allocate(r) : NULL;
    for (int i = 0; i < ROUNDS; i++) {
        if (r->rank == 0) {
            p[i] = (float)i;
            OK(r, trncclSend(p, COUNT, trncclFloat32, 1, r->comm, NULL));
        } else {
            p = allocate(r);
            OK(r, trncclRecv(p, COUNT, trncclFloat32, 0, r->comm, NULL));
            CHECK(r, p[i] == (float)i && p[0] == 0);
            OK(r, trncclMemFree(p));
        }
    }
    /* And the other way: what was kept back is known by now. */
    float *q = allocate(r);
    q[0] = 7;
    if (r->rank == 0)
        OK(r, trncclRecv(q, COUNT, trncclFloat32, 1, r->comm, NULL));
    else
        OK(r, trncclSend(q, COUNT, trncclFloat32, 0, r->comm, NULL));
    CHECK(r, q[0] == 7 && leakcheck_memfds(false) < 10);
    OK(r, trncclMemFree(q));
    if (r->rank == 0)
        OK(r, trncclMemFree(p));
    rank_leave(r);
}

static void memory_that_the_peer_never_looks_at_blocks_nobody(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, unread_names, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_does_not_stay_mapped_at_peers),
        cmocka_unit_test(memory_that_the_peer_never_looks_at_blocks_nobody),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
