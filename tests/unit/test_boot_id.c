/* The 128 bytes of a unique id, and the frames that its secret protects. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "boot/wire.h"

static struct boot_id sample(int family)
{
    struct boot_id id = {0};
    if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&id.address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(4711);
        inet_pton(AF_INET6, "2001:db8::17", &in6->sin6_addr);
        id.address_len = sizeof(*in6);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&id.address;
        in->sin_family = AF_INET;
        in->sin_port = htons(4711);
        inet_pton(AF_INET, "192.0.2.17", &in->sin_addr);
        id.address_len = sizeof(*in);
    }
    randombytes_buf(id.secret, sizeof(id.secret));
    return id;
}

static void decode_encodedId_givesItBack(void **state)
{
    (void)state;
    const int family[2] = {AF_INET, AF_INET6};
    const char *text[2] = {"192.0.2.17:4711", "[2001:db8::17]:4711"};
    for (int i = 0; i < 2; i++) {
        struct boot_id in = sample(family[i]), out;
        trncclUniqueId bytes;
        char address[BOOT_ADDRESS_TEXT];
        boot_id_encode(&in, &bytes);
        assert_int_equal(boot_id_decode(&bytes, &out), trncclSuccess);
        assert_int_equal(out.address_len, in.address_len);
        assert_memory_equal(&out.address, &in.address, in.address_len);
        assert_memory_equal(out.secret, in.secret, sizeof(in.secret));
        boot_address_text((struct sockaddr *)&out.address, address);
        assert_string_equal(address, text[i]);
    }
}

static void decode_anyBitFlipped_isRefused(void **state)
{
    (void)state;
    struct boot_id in = sample(AF_INET), out;
    trncclUniqueId bytes;
    boot_id_encode(&in, &bytes);
    for (int bit = 0; bit < TRNCCL_UNIQUE_ID_BYTES * 8; bit++) {
        bytes.internal[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(boot_id_decode(&bytes, &out), trncclInvalidArgument);
        assert_non_null(strstr(error_text(), "unique id"));
        bytes.internal[bit / 8] ^= (char)(1 << bit % 8);
    }
    memset(&bytes, 0, sizeof(bytes));
    assert_int_equal(boot_id_decode(&bytes, &out), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "not made by trncclGetUniqueId"));
}

static void decode_otherVersion_namesBoth(void **state)
{
    (void)state;
    struct boot_id in = sample(AF_INET), out;
    trncclUniqueId bytes;
    boot_id_encode(&in, &bytes);
    bytes.internal[9] = 9;
    crypto_generichash((uint8_t *)bytes.internal + 112, 16, (uint8_t *)bytes.internal,
                       112, NULL, 0);
    assert_int_equal(boot_id_decode(&bytes, &out), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "version 9, this library speaks version 1"));
}

/* ---- Frames */

struct pair {
    struct wire_session client, server;
};

static struct pair sessions(void)
{
    struct pair p;
    uint8_t secret[BOOT_SECRET_BYTES], nc[WIRE_NONCE], ns[WIRE_NONCE];
    randombytes_buf(secret, sizeof(secret));
    randombytes_buf(nc, sizeof(nc));
    randombytes_buf(ns, sizeof(ns));
    wire_session_init(&p.client, secret, nc, ns, true);
    wire_session_init(&p.server, secret, nc, ns, false);
    return p;
}

static void seal(struct wire_session *s, const char *payload, uint8_t out[WIRE_HEADER])
{
    uint8_t hash[WIRE_HASH];
    wire_hash(payload, strlen(payload), hash);
    wire_seal(s, WIRE_GATHER, (uint32_t)strlen(payload), hash, out);
}

static void check_sealedFrame_passesOnceInOrder(void **state)
{
    (void)state;
    struct pair p = sessions();
    uint8_t a[WIRE_HEADER], b[WIRE_HEADER];
    struct wire_header parsed;
    seal(&p.client, "first", a);
    seal(&p.client, "second", b);
    assert_null(wire_parse(a, &parsed));
    assert_int_equal(parsed.type, WIRE_GATHER);
    assert_int_equal(parsed.length, 5);
    assert_true(wire_check(&p.server, a, "first", 5));
    assert_true(wire_check(&p.server, b, "second", 6));
    /* a replay, and a reflection to the side that sent it */
    assert_false(wire_check(&p.server, b, "second", 6));
    struct pair q = p;
    q.client.rx_seq = 0;
    assert_false(wire_check(&q.client, a, "first", 5));
}

static void check_anyBitFlipped_fails(void **state)
{
    (void)state;
    struct pair p = sessions();
    uint8_t h[WIRE_HEADER];
    char payload[] = "payload";
    seal(&p.client, payload, h);
    for (int bit = 0; bit < WIRE_HEADER * 8; bit++) {
        struct wire_session fresh = p.server;
        h[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(wire_check(&fresh, h, payload, 7));
        h[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int bit = 0; bit < 7 * 8; bit++) {
        struct wire_session fresh = p.server;
        payload[bit / 8] ^= (char)(1 << bit % 8);
        assert_false(wire_check(&fresh, h, payload, 7));
        payload[bit / 8] ^= (char)(1 << bit % 8);
    }
    struct pair other = sessions();
    assert_false(wire_check(&other.server, h, payload, 7));
    assert_true(wire_check(&p.server, h, payload, 7));
}

static void parse_wrongHeader_saysWhat(void **state)
{
    (void)state;
    struct pair p = sessions();
    struct wire_header parsed;
    uint8_t h[WIRE_HEADER], good[WIRE_HEADER];
    seal(&p.client, "x", good);
    memcpy(h, good, sizeof(h));
    h[0] ^= 1;
    assert_string_equal(wire_parse(h, &parsed), "not a frame of this protocol");
    memcpy(h, good, sizeof(h));
    h[5] ^= 2;
    assert_string_equal(wire_parse(h, &parsed), "another version of the protocol");
    memcpy(h, good, sizeof(h));
    h[7] = WIRE_TYPES;
    assert_string_equal(wire_parse(h, &parsed), "a frame type that does not exist");
    h[7] = 0;
    assert_string_equal(wire_parse(h, &parsed), "a frame type that does not exist");
}

static void join_packed_unpacksAndHidesTheTopId(void **state)
{
    (void)state;
    struct pair p = sessions();
    struct wire_join in = {WIRE_RANK, 9, 7, 3, 2, 4242, "a-host", {{0}}}, out;
    struct boot_id id = sample(AF_INET);
    uint8_t bytes[WIRE_JOIN_BYTES];
    boot_id_encode(&id, &in.top);
    wire_join_pack(&p.client, &in, bytes);
    for (size_t i = 0; i + BOOT_SECRET_BYTES <= sizeof(bytes); i++)
        assert_memory_not_equal(bytes + i, id.secret, BOOT_SECRET_BYTES);
    assert_true(wire_join_unpack(&p.server, bytes, &out));
    assert_int_equal(out.nranks, 9);
    assert_int_equal(out.rank, 7);
    assert_int_equal(out.nids, 3);
    assert_int_equal(out.index, 2);
    assert_int_equal(out.pid, 4242);
    assert_string_equal(out.host, "a-host");
    assert_memory_equal(&out.top, &in.top, sizeof(in.top));
    bytes[WIRE_JOIN_BYTES - 1] ^= 1;
    assert_false(wire_join_unpack(&p.server, bytes, &out));
}

static void text_hostileBytes_becomePrintable(void **state)
{
    (void)state;
    char out[8];
    wire_text(out, sizeof(out), (const uint8_t *)"a\x1b[\n\xff%sbcdef", 12);
    assert_string_equal(out, "a?[??%s");
    wire_text(out, sizeof(out), (const uint8_t *)"ab\0cd", 5);
    assert_string_equal(out, "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_encodedId_givesItBack),
        cmocka_unit_test(decode_anyBitFlipped_isRefused),
        cmocka_unit_test(decode_otherVersion_namesBoth),
        cmocka_unit_test(check_sealedFrame_passesOnceInOrder),
        cmocka_unit_test(check_anyBitFlipped_fails),
        cmocka_unit_test(parse_wrongHeader_saysWhat),
        cmocka_unit_test(join_packed_unpacksAndHidesTheTopId),
        cmocka_unit_test(text_hostileBytes_becomePrintable),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
