#include "boot/id.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define ID_VERSION 1
#define ID_CHECKED 112 /* bytes covered by the checksum */

static const char id_magic[8] = {'t', 'r', 'n', 'c', 'c', 'l', 'i', 'd'};

static void id_checksum(const uint8_t *bytes, uint8_t sum[16])
{
    crypto_generichash(sum, 16, bytes, ID_CHECKED, NULL, 0);
}

void boot_id_encode(const struct boot_id *id, trncclUniqueId *out)
{
    uint8_t bytes[TRNCCL_UNIQUE_ID_BYTES] = {0};
    memcpy(bytes, id_magic, sizeof(id_magic));
    bytes[9] = ID_VERSION;
    if (id->address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&id->address;
        bytes[10] = 6;
        memcpy(bytes + 12, &in6->sin6_port, 2);
        memcpy(bytes + 32, &in6->sin6_addr, 16);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&id->address;
        bytes[10] = 4;
        memcpy(bytes + 12, &in->sin_port, 2);
        memcpy(bytes + 32, &in->sin_addr, 4);
    }
    memcpy(bytes + 16, id->secret, BOOT_SECRET_BYTES);
    id_checksum(bytes, bytes + ID_CHECKED);
    memcpy(out->internal, bytes, sizeof(bytes));
}

trncclResult_t boot_id_decode(const trncclUniqueId *in, struct boot_id *out)
{
    const uint8_t *bytes = (const uint8_t *)in->internal;
    if (memcmp(bytes, id_magic, sizeof(id_magic)) != 0)
        return error_set(trncclInvalidArgument,
                         "the unique id was not made by trncclGetUniqueId: it starts "
                         "with bytes %02x %02x %02x %02x, expected \"trncclid\"",
                         bytes[0], bytes[1], bytes[2], bytes[3]);
    uint8_t sum[16];
    id_checksum(bytes, sum);
    if (sodium_memcmp(sum, bytes + ID_CHECKED, sizeof(sum)) != 0)
        return error_set(trncclInvalidArgument,
                         "the unique id is damaged: its checksum does not fit; all %d "
                         "bytes must be passed on unchanged",
                         TRNCCL_UNIQUE_ID_BYTES);
    int version = bytes[8] << 8 | bytes[9];
    if (version != ID_VERSION)
        return error_set(trncclInvalidArgument,
                         "the unique id has version %d, this library speaks version %d: "
                         "all ranks must use the same release",
                         version, ID_VERSION);
    if (bytes[10] != 4 && bytes[10] != 6)
        return error_set(trncclInvalidArgument,
                         "the unique id has address family %d, expected 4 or 6",
                         bytes[10]);
    struct boot_id id = {0};
    if (bytes[10] == 6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&id.address;
        in6->sin6_family = AF_INET6;
        memcpy(&in6->sin6_port, bytes + 12, 2);
        memcpy(&in6->sin6_addr, bytes + 32, 16);
        id.address_len = sizeof(*in6);
    } else {
        struct sockaddr_in *in4 = (struct sockaddr_in *)&id.address;
        in4->sin_family = AF_INET;
        memcpy(&in4->sin_port, bytes + 12, 2);
        memcpy(&in4->sin_addr, bytes + 32, 4);
        id.address_len = sizeof(*in4);
    }
    memcpy(id.secret, bytes + 16, BOOT_SECRET_BYTES);
    *out = id;
    return trncclSuccess;
}

void boot_address_text(const struct sockaddr *address, char text[BOOT_ADDRESS_TEXT])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(text, BOOT_ADDRESS_TEXT, "[%s]:%d", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(text, BOOT_ADDRESS_TEXT, "%s:%d", host, ntohs(in->sin_port));
    }
}
