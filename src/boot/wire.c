#include "boot/wire.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define WIRE_MAGIC 0x74726e62u /* "trnb" */
#define WIRE_TAG 16

void wire_put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

uint32_t wire_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void wire_derive(uint8_t key[32], const char *label,
                        const uint8_t secret[BOOT_SECRET_BYTES],
                        const uint8_t client_nonce[WIRE_NONCE],
                        const uint8_t server_nonce[WIRE_NONCE])
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, secret, BOOT_SECRET_BYTES, 32);
    crypto_generichash_update(&st, (const uint8_t *)label, strlen(label) + 1);
    crypto_generichash_update(&st, client_nonce, WIRE_NONCE);
    crypto_generichash_update(&st, server_nonce, WIRE_NONCE);
    crypto_generichash_final(&st, key, 32);
    sodium_memzero(&st, sizeof(st));
}

void wire_session_init(struct wire_session *s, const uint8_t secret[BOOT_SECRET_BYTES],
                       const uint8_t client_nonce[WIRE_NONCE],
                       const uint8_t server_nonce[WIRE_NONCE], bool client)
{
    uint8_t *to_server = client ? s->tx_key : s->rx_key;
    uint8_t *to_client = client ? s->rx_key : s->tx_key;
    wire_derive(to_server, "trnccl boot 1 to server", secret, client_nonce, server_nonce);
    wire_derive(to_client, "trnccl boot 1 to client", secret, client_nonce, server_nonce);
    wire_derive(s->seal_key, "trnccl boot 1 seal", secret, client_nonce, server_nonce);
    s->tx_seq = s->rx_seq = 0;
}

void wire_hash(const void *payload, size_t nbytes, uint8_t hash[WIRE_HASH])
{
    crypto_generichash(hash, WIRE_HASH, payload, nbytes, NULL, 0);
}

static void wire_tag(const uint8_t key[32], const uint8_t header[16],
                     const uint8_t hash[WIRE_HASH], uint8_t tag[WIRE_TAG])
{
    uint8_t text[16 + WIRE_HASH];
    memcpy(text, header, 16);
    memcpy(text + 16, hash, WIRE_HASH);
    crypto_generichash(tag, WIRE_TAG, text, sizeof(text), key, 32);
}

void wire_seal(struct wire_session *s, enum wire_type type, uint32_t length,
               const uint8_t hash[WIRE_HASH], uint8_t out[WIRE_HEADER])
{
    wire_put32(out, WIRE_MAGIC);
    wire_put32(out + 4, (uint32_t)WIRE_VERSION << 16 | (uint32_t)type);
    wire_put32(out + 8, s ? s->tx_seq++ : 0);
    wire_put32(out + 12, length);
    if (s)
        wire_tag(s->tx_key, out, hash, out + 16);
    else
        memset(out + 16, 0, WIRE_TAG);
}

const char *wire_parse(const uint8_t bytes[WIRE_HEADER], struct wire_header *out)
{
    if (wire_get32(bytes) != WIRE_MAGIC)
        return "not a frame of this protocol";
    uint32_t word = wire_get32(bytes + 4);
    if (word >> 16 != WIRE_VERSION)
        return "another version of the protocol";
    if ((word & 0xffff) == 0 || (word & 0xffff) >= WIRE_TYPES)
        return "a frame type that does not exist";
    out->type = (uint16_t)word;
    out->seq = wire_get32(bytes + 8);
    out->length = wire_get32(bytes + 12);
    return NULL;
}

bool wire_check(struct wire_session *s, const uint8_t header[WIRE_HEADER],
                const void *payload, size_t nbytes)
{
    uint8_t hash[WIRE_HASH], tag[WIRE_TAG];
    wire_hash(payload, nbytes, hash);
    wire_tag(s->rx_key, header, hash, tag);
    if (sodium_memcmp(tag, header + 16, WIRE_TAG) != 0)
        return false;
    return wire_get32(header + 8) == s->rx_seq++;
}

/* The key is of one session and seals one message, so a constant nonce is right. */
static const uint8_t seal_nonce[crypto_secretbox_NONCEBYTES];

void wire_join_pack(const struct wire_session *s, const struct wire_join *join,
                    uint8_t out[WIRE_JOIN_BYTES])
{
    _Static_assert(WIRE_SEALED == sizeof(trncclUniqueId) + crypto_secretbox_MACBYTES,
                   "room for the encrypted id");
    const uint32_t words[6] = {join->role, join->nranks, join->rank,
                               join->nids, join->index,  join->pid};
    for (int i = 0; i < 6; i++)
        wire_put32(out + 4 * i, words[i]);
    memcpy(out + 24, join->host, WIRE_HOST);
    crypto_secretbox_easy(out + 24 + WIRE_HOST, (const uint8_t *)join->top.internal,
                          sizeof(join->top), seal_nonce, s->seal_key);
}

bool wire_join_unpack(const struct wire_session *s, const uint8_t in[WIRE_JOIN_BYTES],
                      struct wire_join *join)
{
    join->role = wire_get32(in);
    join->nranks = wire_get32(in + 4);
    join->rank = wire_get32(in + 8);
    join->nids = wire_get32(in + 12);
    join->index = wire_get32(in + 16);
    join->pid = wire_get32(in + 20);
    wire_text(join->host, sizeof(join->host), in + 24, WIRE_HOST);
    if (join->role > WIRE_HUB)
        return false;
    return crypto_secretbox_open_easy((uint8_t *)join->top.internal, in + 24 + WIRE_HOST,
                                      WIRE_SEALED, seal_nonce, s->seal_key) == 0;
}

void wire_text(char *out, size_t size, const uint8_t *bytes, size_t nbytes)
{
    size_t n = 0;
    for (; n < nbytes && n + 1 < size && bytes[n]; n++)
        out[n] = bytes[n] >= 32 && bytes[n] < 127 ? (char)bytes[n] : '?';
    out[n] = '\0';
}

void wire_host(char host[WIRE_HOST])
{
    char name[256] = "?";
    if (gethostname(name, sizeof(name) - 1) == 0)
        name[sizeof(name) - 1] = '\0';
    memset(host, 0, WIRE_HOST);
    memcpy(host, name, strnlen(name, WIRE_HOST - 1));
}
