#include <string.h>

#include "transports/transport.h"

extern const struct transport_ops transport_self, transport_shm;

const struct transport_ops *const transport_list[] = {&transport_self, &transport_shm,
                                                      NULL};

const struct transport_ops *transport_find(const char *name)
{
    for (int i = 0; transport_list[i]; i++)
        if (strcmp(transport_list[i]->name, name) == 0)
            return transport_list[i];
    return NULL;
}

/* The next comma-separated name of *list as (start, length); false at the end. */
static bool next_name(const char **list, const char **start, size_t *length)
{
    while (**list == ',' || **list == ' ')
        ++*list;
    if (!**list)
        return false;
    *start = *list;
    *length = strcspn(*list, ", ");
    *list += *length;
    return true;
}

static bool transport_allowed(const char *name, const char *allowed)
{
    if (!allowed || !*allowed)
        return true;
    bool exclude = *allowed == '^';
    const char *list = allowed + exclude, *start;
    size_t length;
    while (next_name(&list, &start, &length))
        if (strlen(name) == length && memcmp(name, start, length) == 0)
            return !exclude;
    return exclude;
}

const struct transport_ops *transport_choose(const struct transport_place *mine,
                                             const struct transport_place *peer,
                                             const char *allowed)
{
    const struct transport_ops *best = NULL;
    int best_cost = 0;
    for (int i = 0; transport_list[i]; i++) {
        const struct transport_ops *ops = transport_list[i];
        int cost = ops->reach(mine, peer);
        if (cost < 0 || !transport_allowed(ops->name, allowed))
            continue;
        if (!best || cost < best_cost) {
            best = ops;
            best_cost = cost;
        }
    }
    return best;
}

trncclResult_t transport_check_names(const char *allowed)
{
    if (!allowed)
        return trncclSuccess;
    const char *list = allowed + (*allowed == '^'), *start;
    size_t length;
    while (next_name(&list, &start, &length)) {
        bool found = false;
        char names[256] = "";
        for (int i = 0; transport_list[i]; i++) {
            const char *name = transport_list[i]->name;
            found |= strlen(name) == length && memcmp(name, start, length) == 0;
            strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1);
            strncat(names, name, sizeof names - strlen(names) - 1);
        }
        if (!found)
            return error_set(trncclInvalidArgument,
                             "there is no transport '%.*s'; valid names: %s", (int)length,
                             start, names);
    }
    return trncclSuccess;
}
