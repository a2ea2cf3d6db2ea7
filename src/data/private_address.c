#include "data/private_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* IANA's registries of special-purpose addresses (RFC 6890 and its updates), read 2026, and two
 * that clouds use within their own networks. */
static const struct {
    uint8_t prefix[4];
    int bits;
    const char *kind;
} four[] = {
    {{169, 254, 169, 254}, 32, "the address of a cloud's metadata"},
    {{168, 63, 129, 16}, 32, "the address of a cloud's metadata"},
    {{100, 100, 100, 200}, 32, "the address of a cloud's metadata"},
    {{0, 0, 0, 0}, 8, "an address of this network"},
    {{10, 0, 0, 0}, 8, "a private address"},
    {{100, 64, 0, 0}, 10, "a carrier's private address"},
    {{127, 0, 0, 0}, 8, "a loopback address"},
    {{169, 254, 0, 0}, 16, "a link-local address"},
    {{172, 16, 0, 0}, 12, "a private address"},
    {{192, 0, 0, 0}, 24, "a reserved address"},
    {{192, 0, 2, 0}, 24, "an address for documentation"},
    {{192, 88, 99, 0}, 24, "a reserved address"},
    {{192, 168, 0, 0}, 16, "a private address"},
    {{198, 18, 0, 0}, 15, "a private address"},
    {{198, 51, 100, 0}, 24, "an address for documentation"},
    {{203, 0, 113, 0}, 24, "an address for documentation"},
    {{224, 0, 0, 0}, 4, "a multicast address"},
    {{240, 0, 0, 0}, 4, "a reserved address"},
};

static const struct {
    uint8_t prefix[16];
    int bits;
    const char *kind;
} six[] = {
    {{0}, 128, "an address of this network"},
    {{[15] = 1}, 128, "a loopback address"},
    {{0xfd, 0, 0x0e, 0xc2, [14] = 2, [15] = 0x54}, 128, "the address of a cloud's metadata"},
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, "a private address"}, /* local translation, RFC 8215 */
    {{0x01}, 8, "a reserved address"},                      /* 100::/64 discards */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "an address for documentation"},
    {{0x3f, 0xff}, 20, "an address for documentation"},
    {{0xfc}, 7, "a private address"},
    {{0xfe, 0x80}, 10, "a link-local address"},
    {{0xfe, 0xc0}, 10, "a private address"}, /* site-local, RFC 3879 */
    {{0xff}, 8, "a multicast address"},
};

/* Where an IPv4 address lies in an IPv6 one; `flipped`: every bit of it is turned over (RFC 4380).
 */
static const struct {
    uint8_t prefix[16];
    int bits;
    int at;
    bool flipped;
} carriers[] = {
    {{0}, 96, 12, false},                        /* IPv4-compatible */
    {{[10] = 0xff, [11] = 0xff}, 96, 12, false}, /* mapped */
    {{[8] = 0xff, [9] = 0xff}, 96, 12, false},   /* translated, RFC 2765 */
    {{0, 0x64, 0xff, 0x9b}, 96, 12, false},      /* translated, RFC 6052 */
    {{0x20, 0x02}, 16, 2, false},                /* 6to4 */
    {{0x20, 0x01, 0, 0}, 32, 4, false},          /* Teredo: its server */
    {{0x20, 0x01, 0, 0}, 32, 12, true},          /* Teredo: the client */
};

static bool begins_with(const uint8_t *address, const uint8_t *prefix, int bits)
{
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, (size_t)whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static const char *judge_four(const uint8_t address[4])
{
    for (size_t i = 0; i < sizeof four / sizeof four[0]; i++)
        if (begins_with(address, four[i].prefix, four[i].bits))
            return four[i].kind;
    return NULL;
}

static const char *judge_carried(const uint8_t address[16], int at, bool flipped)
{
    uint8_t inner[4];
    for (int i = 0; i < 4; i++)
        inner[i] = flipped ? (uint8_t)~address[at + i] : address[at + i];
    return judge_four(inner);
}

/* ISATAP (RFC 5214): ...:0:5efe:a.b.c.d or ...:200:5efe:a.b.c.d in any network. */
static bool is_isatap(const uint8_t address[16])
{
    return (address[8] & ~2) == 0 && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe;
}

static const char *judge_six(const uint8_t address[16])
{
    bool carried = false;
    for (size_t i = 0; i < sizeof six / sizeof six[0]; i++)
        if (begins_with(address, six[i].prefix, six[i].bits))
            return six[i].kind;
    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++) {
        if (!begins_with(address, carriers[i].prefix, carriers[i].bits))
            continue;
        carried = true;
        const char *kind = judge_carried(address, carriers[i].at, carriers[i].flipped);
        if (kind)
            return kind;
    }
    if (carried)
        return NULL;
    if (is_isatap(address) && judge_carried(address, 12, false))
        return judge_carried(address, 12, false);
    /* Only 2000::/3 is given out; 2001::/23 of it is kept for protocols. */
    static const uint8_t protocols[16] = {0x20, 0x01};
    bool given_out = address[0] >> 5 == 1 && !begins_with(address, protocols, 23);
    return given_out ? NULL : "a reserved address";
}

const char *ml_private_address(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in); /* the caller's bytes may not be aligned for it */
        return judge_four((const uint8_t *)&in.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return judge_six(in.sin6_addr.s6_addr);
    }
    return "not an internet address";
}

const char *ml_private_address_literal(const char *host)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
        return ml_private_address((const struct sockaddr *)&in6);
    if (inet_aton(host, &in.sin_addr) == 1) /* also 127.1, 0x7f000001 and 2130706433 */
        return ml_private_address((const struct sockaddr *)&in);
    return NULL;
}

void ml_private_address_text(const struct sockaddr *address, char out[ML_ADDRESS_TEXT])
{
    struct sockaddr_in in = {0};
    struct sockaddr_in6 in6 = {0};
    const void *bytes = NULL;
    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof in);
        bytes = &in.sin_addr;
    } else if (address->sa_family == AF_INET6) {
        memcpy(&in6, address, sizeof in6);
        bytes = &in6.sin6_addr;
    }
    if (!bytes || !inet_ntop(address->sa_family, bytes, out, ML_ADDRESS_TEXT))
        snprintf(out, ML_ADDRESS_TEXT, "an unknown address");
}
