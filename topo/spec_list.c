#include "topo/spec_list.h"

#include <string.h>

#include "topo/number.h"

const char *const spec_list_keys[5] = {"dead_chip", "dead_link", "slow_link", "no_nic",
                                       "ranks"};

bool spec_list_is_damage(const char *key)
{
    for (int i = 0; i < 5; i++)
        if (strcmp(spec_list_keys[i], key) == 0)
            return true;
    return false;
}

/* N or N-M. */
static trncclResult_t parse_range(const char **at, struct topo_range *out)
{
    if (!topo_count_parse(*at, at, &out->first))
        return error_set(trncclInvalidArgument, "expected a number, as in 5 or 0-3");
    out->last = out->first;
    if (**at == '-' && (++*at, !topo_count_parse(*at, at, &out->last)))
        return error_set(trncclInvalidArgument, "expected the end of a range, as in 0-3");
    if (out->last < out->first)
        return error_set(trncclInvalidArgument, "a range from %d down to %d",
                         (int)out->first, (int)out->last);
    return trncclSuccess;
}

/* N: a chip; sN: a switch. */
static trncclResult_t parse_end(const char **at, struct topo_end *out)
{
    out->kind = **at == 's' ? TOPO_SWITCH : TOPO_CHIP;
    *at += **at == 's';
    if (!topo_count_parse(*at, at, &out->index))
        return error_set(trncclInvalidArgument,
                         "expected a link as two chips, 0-1, or chip and switch, 0-s1");
    return trncclSuccess;
}

/* END-END, and :FACTOR if it is a slow link. */
static trncclResult_t parse_link(const char **at, bool slow, struct topo_damage_link *out)
{
    TRY(parse_end(at, &out->a));
    if (**at != '-')
        return error_set(trncclInvalidArgument,
                         "expected '-' and the other end of the link");
    ++*at;
    TRY(parse_end(at, &out->b));
    out->factor = 0;
    if (!slow)
        return trncclSuccess;
    const char *number = *at + 1;
    double factor;
    if (**at != ':' || !topo_number_parse(number, &number, &factor))
        return error_set(
            trncclInvalidArgument,
            "expected ':' and the share of the rate that is left, as in 4-5:0.5");
    if (!(factor > 0 && factor <= 1))
        return error_set(trncclInvalidArgument,
                         "a link with %g of its rate, expected above 0 to 1", factor);
    *at = number;
    out->factor = factor;
    return trncclSuccess;
}

static trncclResult_t parse_item(const char *key, const char **at, struct topo_damage *d)
{
    if (strcmp(key, "dead_link") == 0 || strcmp(key, "slow_link") == 0) {
        struct topo_damage_link link;
        TRY(parse_link(at, key[0] == 's', &link));
        return topo_damage_link(d, link.a, link.b, link.factor);
    }
    struct topo_range range;
    TRY(parse_range(at, &range));
    if (strcmp(key, "dead_chip") == 0)
        return topo_damage_chips(d, range.first, range.last);
    if (strcmp(key, "no_nic") == 0)
        return topo_damage_nics(d, range.first, range.last);
    return topo_damage_keep(d, range.first, range.last);
}

trncclResult_t spec_list_parse(const char *key, const char *value, struct topo_damage *d,
                               const char **at)
{
    *at = value;
    for (;;) {
        TRY(parse_item(key, at, d));
        if (**at == '\0')
            return trncclSuccess;
        if (**at != ',')
            return error_set(trncclInvalidArgument,
                             "expected ',' or the end of the list");
        ++*at;
    }
}
