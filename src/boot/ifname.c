#include "boot/ifname.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int ifname_match(const char *spec, const char *name)
{
    int avoid = *spec == '^';
    spec += avoid;
    int exact = *spec == '=';
    spec += exact;
    while (*spec) {
        size_t n = strcspn(spec, ",");
        if (n > 0 && strncmp(spec, name, n) == 0 && (!exact || name[n] == '\0'))
            return !avoid;
        spec += n;
        spec += *spec == ',';
    }
    return avoid;
}

/* Lower is better; -1: not usable. */
static int ifname_class(const struct ifaddrs *a, int any)
{
    static const char *const bridges[] = {"docker", "virbr", "podman", "cni", "veth"};
    if (any)
        return 0;
    if (a->ifa_flags & IFF_LOOPBACK)
        return 2;
    for (size_t i = 0; i < sizeof(bridges) / sizeof(*bridges); i++)
        if (strncmp(a->ifa_name, bridges[i], strlen(bridges[i])) == 0)
            return 1;
    return 0;
}

/* 0 for the preferred family, 1 for the other, -1 for none. */
static int ifname_family(const struct ifaddrs *a, int wanted)
{
    int family = a->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6)
        return -1;
    if (family == AF_INET6 &&
        IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr))
        return -1;
    if (wanted != AF_UNSPEC)
        return family == wanted ? 0 : -1;
    return family == AF_INET ? 0 : 1;
}

static int ifname_parse_family(const char *family)
{
    if (!family || !*family)
        return AF_UNSPEC;
    if (strcasecmp(family, "AF_INET") == 0)
        return AF_INET;
    if (strcasecmp(family, "AF_INET6") == 0)
        return AF_INET6;
    return -1;
}

static void ifname_list(const struct ifaddrs *all, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        if (!a->ifa_addr || !(a->ifa_flags & IFF_UP) || ifname_family(a, AF_UNSPEC) < 0)
            continue;
        n += (size_t)snprintf(text + n, size - n, "%s%s (%s)", n ? ", " : "", a->ifa_name,
                              a->ifa_addr->sa_family == AF_INET ? "AF_INET" : "AF_INET6");
        if (n >= size)
            return;
    }
}

trncclResult_t ifname_choose(const char *spec, const char *family,
                             struct sockaddr_storage *address, socklen_t *len)
{
    int wanted = ifname_parse_family(family);
    if (wanted < 0)
        return error_set(trncclInvalidArgument,
                         "TRNCCL_SOCKET_FAMILY is \"%s\", expected AF_INET or AF_INET6",
                         family);
    int any = spec && *spec;
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return error_set_errno(trncclSystemError, errno,
                               "cannot list the network interfaces");
    const struct ifaddrs *best = NULL;
    int best_score = 1 << 20;
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        if (!a->ifa_addr || !(a->ifa_flags & IFF_UP) || !(a->ifa_flags & IFF_RUNNING))
            continue;
        if (any && !ifname_match(spec, a->ifa_name))
            continue;
        int f = ifname_family(a, wanted);
        if (f < 0)
            continue;
        int score = ifname_class(a, any && *spec != '^') * 2 + f;
        if (score < best_score) {
            best = a;
            best_score = score;
        }
    }
    if (!best) {
        char list[512];
        ifname_list(all, list, sizeof(list));
        freeifaddrs(all);
        return error_set(trncclInvalidArgument,
                         "no interface that is up fits TRNCCL_SOCKET_IFNAME=\"%s\" and "
                         "TRNCCL_SOCKET_FAMILY=\"%s\"; there are: %s",
                         spec ? spec : "", family ? family : "", list);
    }
    struct sockaddr_storage chosen = {0};
    socklen_t n = best->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                       : sizeof(struct sockaddr_in6);
    memcpy(&chosen, best->ifa_addr, n);
    if (chosen.ss_family == AF_INET)
        ((struct sockaddr_in *)&chosen)->sin_port = 0;
    else
        ((struct sockaddr_in6 *)&chosen)->sin6_port = 0;
    freeifaddrs(all);
    *address = chosen;
    *len = n;
    return trncclSuccess;
}
