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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_does_not_stay_mapped_at_peers),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
