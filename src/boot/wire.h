/* The frames of the rendezvous and what authenticates them. No I/O.
 *
 * A frame is a 32-byte header and `length` bytes of payload. Header, big-endian:
 *     0 magic u32 "trnb"   4 version u16   6 type u16   8 seq u32   12 length u32
 *    16 tag[16] = BLAKE2b-128(key, header[0..16) | BLAKE2b-256(payload))
 * The key is of the session and the direction; seq counts the tagged frames of a
 * direction from 0, so a frame cannot be replayed, reordered or reflected. Only HELLO,
 * which carries the client's nonce, is sent before there is a key (tag zero).
 * docs/bootstrap.md tells who sends what when. */
#ifndef TRNCCL_BOOT_WIRE_H
#define TRNCCL_BOOT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "boot/id.h"

#define WIRE_VERSION 1
#define WIRE_HEADER 32
#define WIRE_NONCE 32
#define WIRE_HASH 32
#define WIRE_HOST 64
#define WIRE_TEXT 900            /* longest reason in a FAIL */
#define WIRE_BLOB_MAX (1u << 20) /* longest contribution of a rank */
#define WIRE_RANKS_MAX (1 << 20) /* most ranks of a communicator */
#define WIRE_HANDSHAKE_MS 5000   /* from connect to an accepted JOIN */
#define WIRE_SEALED (128 + 16)   /* an id, encrypted */
#define WIRE_JOIN_BYTES (24 + WIRE_HOST + WIRE_SEALED)
#define WIRE_WELCOME_BYTES (4 + WIRE_HOST)
#define WIRE_ARRIVED_BYTES (8 + WIRE_HOST)
#define WIRE_DATA_HEAD 8 /* round, nbytes: before the data of GATHER, RESULT */

enum wire_type {
    WIRE_HELLO = 1, /* client: nonce[32] */
    WIRE_CHALLENGE, /* server: nonce[32] */
    WIRE_JOIN,      /* client: struct wire_join */
    WIRE_WELCOME,   /* server: pid u32, host[64] */
    WIRE_READY,     /* server: u32 rank that lives in its process, or ~0 */
    WIRE_GATHER,    /* client: round u32, nbytes u32, data */
    WIRE_RESULT,    /* server: round u32, nbytes u32, data of all ranks */
    WIRE_FAIL,      /* both: result code u32, text */
    WIRE_LATE,      /* client: u32 ms it has waited; asks who is missing */
    WIRE_BYE,       /* client: result code u32; server: the same, after flushing */
    WIRE_ARRIVED,   /* hub to top: rank u32, pid u32, host[64] */
    WIRE_TYPES
};

struct wire_header {
    uint16_t type;
    uint32_t seq, length;
};

/* Keys and counters of one connection, from one end's view. */
struct wire_session {
    uint8_t tx_key[32], rx_key[32], seal_key[32];
    uint32_t tx_seq, rx_seq;
};

enum wire_role { WIRE_RANK, WIRE_HUB };

struct wire_join {
    uint32_t role, nranks;
    uint32_t rank; /* of a hub: the index of its id */
    uint32_t nids, index, pid;
    char host[WIRE_HOST];
    trncclUniqueId top; /* ids[0]; encrypted on the wire, it holds a secret */
};

void wire_put32(uint8_t *p, uint32_t v);
uint32_t wire_get32(const uint8_t *p);

void wire_session_init(struct wire_session *s, const uint8_t secret[BOOT_SECRET_BYTES],
                       const uint8_t client_nonce[WIRE_NONCE],
                       const uint8_t server_nonce[WIRE_NONCE], bool client);
void wire_hash(const void *payload, size_t nbytes, uint8_t hash[WIRE_HASH]);
/* Writes a header. s NULL: untagged. Advances the counter. */
void wire_seal(struct wire_session *s, enum wire_type type, uint32_t length,
               const uint8_t hash[WIRE_HASH], uint8_t out[WIRE_HEADER]);
/* Takes a header apart; NULL, or what is wrong with magic, version or type. */
const char *wire_parse(const uint8_t bytes[WIRE_HEADER], struct wire_header *out);
/* Whether the frame is the next one of this session; constant-time compare. */
bool wire_check(struct wire_session *s, const uint8_t header[WIRE_HEADER],
                const void *payload, size_t nbytes);

void wire_join_pack(const struct wire_session *s, const struct wire_join *join,
                    uint8_t out[WIRE_JOIN_BYTES]);
bool wire_join_unpack(const struct wire_session *s, const uint8_t in[WIRE_JOIN_BYTES],
                      struct wire_join *join);
/* Copies a name or reason from the wire: ends at the first NUL, bytes that are not
 * printable become '?'. */
void wire_text(char *out, size_t size, const uint8_t *bytes, size_t nbytes);
void wire_host(char host[WIRE_HOST]);

#endif
