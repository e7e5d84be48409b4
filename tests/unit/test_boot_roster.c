/* Who is missing, who is refused and why; and which interface is taken. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "boot/ifname.h"
#include "boot/roster.h"

static void first_anySplit_servesEveryRankOnce(void **state)
{
    (void)state;
    for (int nranks = 1; nranks <= 40; nranks++)
        for (int nids = 1; nids <= nranks; nids++)
            for (int i = 0; i < nids; i++)
                for (int r = 0; r < nranks; r++) {
                    int in = r >= roster_first(nranks, nids, i) &&
                             r < roster_first(nranks, nids, i + 1);
                    assert_int_equal(in, r * nids / nranks == i);
                }
}

static void missing_someRanks_areListedCompactly(void **state)
{
    (void)state;
    struct roster r;
    char text[640];
    assert_true(roster_init(&r, 16, 1, 0));
    for (int i = 0; i < 16; i++)
        if (i != 3 && (i < 5 || i > 7))
            roster_arrive(&r, i, 100, "h");
    roster_missing(&r, ROSTER_ARRIVED, text, sizeof(text));
    assert_string_equal(text, "ranks 3, 5-7 of 16 have");
    for (int i = 5; i <= 7; i++)
        roster_arrive(&r, i, 100, "h");
    roster_missing(&r, ROSTER_ARRIVED, text, sizeof(text));
    assert_string_equal(text, "rank 3 of 16 has");
    roster_missing(&r, ROSTER_GIVEN, text, sizeof(text));
    assert_string_equal(text, "ranks 0-15 of 16 have");
    roster_fini(&r);
    /* more ranges than are worth listing, with the longest numbers */
    assert_true(roster_init(&r, WIRE_RANKS_MAX, 1, 0));
    for (int i = 0; i < WIRE_RANKS_MAX; i += 3)
        roster_arrive(&r, i, 100, "h");
    roster_missing(&r, ROSTER_ARRIVED, text, sizeof(text));
    assert_non_null(strstr(text, "ranks 1-2, 4-5, "));
    assert_non_null(strstr(text, "70-71 and 699002 more of 1048576 have"));
    roster_fini(&r);
}

static void expect_refusal(struct roster *r, struct wire_join join, const char *part)
{
    char why[512] = "";
    assert_false(roster_admissible(r, &join, why, sizeof(why)));
    if (!strstr(why, part))
        fail_msg("\"%s\" lacks \"%s\"", why, part);
}

static void admissible_disagreement_namesBothSides(void **state)
{
    (void)state;
    struct roster r;
    char why[512];
    struct wire_join good = {WIRE_RANK, 8, 5, 2, 1, 77, "b", {{0}}}, j;
    assert_true(roster_init(&r, 8, 2, 1)); /* serves ranks 4-7 */
    roster_arrive(&r, 4, 66, "a");
    assert_true(roster_admissible(&r, &good, why, sizeof(why)));
    j = good;
    j.nranks = 9;
    expect_refusal(&r, j,
                   "rank 5 (host b, pid 77) says nranks 9, rank 4 (host a, pid 66) says "
                   "nranks 8");
    j = good;
    j.index = 0;
    expect_refusal(&r, j,
                   "rank 5 (host b, pid 77) was given 2 and finds this one at "
                   "index 0, rank 4 (host a, pid 66)");
    j = good;
    j.rank = 3;
    expect_refusal(&r, j, "came to id 1 of 2, which serves ranks 4-7 of 8");
    j.rank = UINT32_MAX;
    expect_refusal(&r, j, "serves ranks 4-7 of 8");
    j.rank = 4;
    expect_refusal(&r, j,
                   "rank 4 was given twice: by host a, pid 66 and by host b, "
                   "pid 77");
    for (int i = 5; i < 8; i++)
        roster_arrive(&r, i, 66, "a");
    expect_refusal(&r, j, "in use or used up");
    j = good;
    j.role = WIRE_HUB; /* only the first id is joined by hubs */
    expect_refusal(&r, j, "the rendezvous of id 5");
    roster_fini(&r);
}

static void match_spec_worksAsNcclDocuments(void **state)
{
    (void)state;
    const struct {
        const char *spec, *name;
        int match;
    } row[] = {
        {"eth", "eth0", 1},     {"eth", "ens5", 0},       {"=eth", "eth0", 0},
        {"=eth0", "eth0", 1},   {"eth,ens", "ens5", 1},   {"^docker", "docker0", 0},
        {"^docker", "eth0", 1}, {"^docker,lo", "lo", 0},  {"^=eth0", "eth01", 1},
        {"^=eth0", "eth0", 0},  {"=ib0,eth1", "eth1", 1}, {"=ib0,eth1", "eth10", 0},
        {",,eth", "eth0", 1},   {",", "eth0", 0},         {"^", "eth0", 1},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++)
        if (ifname_match(row[i].spec, row[i].name) != row[i].match)
            fail_msg("%s against %s", row[i].spec, row[i].name);
}

static void choose_loopbackAskedFor_isTaken(void **state)
{
    (void)state;
    struct sockaddr_storage a;
    socklen_t len;
    assert_int_equal(ifname_choose("=lo", NULL, &a, &len), trncclSuccess);
    assert_int_equal(a.ss_family, AF_INET);
    assert_int_equal(len, sizeof(struct sockaddr_in));
    assert_int_equal(((struct sockaddr_in *)&a)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(ifname_choose(NULL, NULL, &a, &len), trncclSuccess);
    assert_int_equal(((struct sockaddr_in *)&a)->sin_port, 0);
}

static void choose_nothingFits_listsWhatThereIs(void **state)
{
    (void)state;
    struct sockaddr_storage a;
    socklen_t len;
    assert_int_equal(ifname_choose("nosuchcard", NULL, &a, &len), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "nosuchcard"));
    assert_non_null(strstr(error_text(), "lo (AF_INET)"));
    assert_int_equal(ifname_choose(NULL, "AF_IPX", &a, &len), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "AF_IPX"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_anySplit_servesEveryRankOnce),
        cmocka_unit_test(missing_someRanks_areListedCompactly),
        cmocka_unit_test(admissible_disagreement_namesBothSides),
        cmocka_unit_test(match_spec_worksAsNcclDocuments),
        cmocka_unit_test(choose_loopbackAskedFor_isTaken),
        cmocka_unit_test(choose_nothingFits_listsWhatThereIs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
