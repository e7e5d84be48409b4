/* What the 128 bytes of a unique id say: where the rendezvous listens, and the secret. */
#ifndef TRNCCL_BOOT_ID_H
#define TRNCCL_BOOT_ID_H

#include <stdint.h>
#include <sys/socket.h>
#include "util/error.h"

#define BOOT_SECRET_BYTES 16
/* "[ipv6]:port" with room to spare */
#define BOOT_ADDRESS_TEXT 64

struct boot_id {
    struct sockaddr_storage address; /* AF_INET or AF_INET6, with port */
    socklen_t address_len;
    uint8_t secret[BOOT_SECRET_BYTES];
};

/* Layout (big-endian): 0 magic[8] "trncclid"; 8 version u16; 10 family u8 (4 or 6);
 * 11 zero; 12 port u16; 14 zero u16; 16 secret[16]; 32 address[16]; 48 zero[64];
 * 112 checksum[16] = BLAKE2b-128 of bytes 0..111. */
void boot_id_encode(const struct boot_id *id, trncclUniqueId *out);
/* trncclInvalidArgument, with the reason, for anything boot_id_encode did not write. */
trncclResult_t boot_id_decode(const trncclUniqueId *bytes, struct boot_id *out);
/* "192.0.2.1:4711" or "[fd00::2]:4711" */
void boot_address_text(const struct sockaddr *address, char text[BOOT_ADDRESS_TEXT]);

#endif
