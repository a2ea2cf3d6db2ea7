#include "store/s3_sign.h"

#include <sodium/crypto_auth_hmacsha256.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <string.h>

#include "store/hash.h"

#define MAC crypto_auth_hmacsha256_BYTES

void ml_s3_date(char out[ML_S3_DATE], time_t now)
{
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(out, ML_S3_DATE, "%Y%m%dT%H%M%SZ", &parts);
}

static void hmac(const void *key, size_t key_bytes, const char *text, uint8_t out[MAC])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_bytes);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof state);
}

/* "host;x-amz-date" */
static int put_names(struct ml_buffer *out, const struct ml_s3_request *r)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < r->header_count; i++)
        status = ml_buffer_printf(out, NULL, "%s%s", i ? ";" : "", r->headers[i].name);
    return status;
}

/* The request in the one way of writing it that both sides agree on. */
static int put_canonical(struct ml_buffer *out, const struct ml_s3_request *r)
{
    int status = ml_buffer_printf(out, NULL, "%s\n%s\n%s\n", r->method, r->path, r->query);
    for (size_t i = 0; status == 0 && i < r->header_count; i++)
        status = ml_buffer_printf(out, NULL, "%s:%s\n", r->headers[i].name, r->headers[i].value);
    if (status == 0)
        status = ml_buffer_put(out, "\n", 1, NULL);
    if (status == 0)
        status = put_names(out, r);
    return status ? status : ml_buffer_printf(out, NULL, "\n%s", r->payload_hash);
}

/* A key for one day, region and service, so that the secret itself never leaves. */
static bool day_key(struct ml_arena *arena, const struct ml_s3_request *r, const char *secret,
                    uint8_t key[MAC])
{
    char *first = ml_arena_printf(arena, "AWS4%s", secret), day[9];
    if (!first)
        return false;
    snprintf(day, sizeof day, "%.8s", r->date);
    hmac(first, strlen(first), day, key);
    sodium_memzero(first, strlen(first));
    hmac(key, MAC, r->region, key);
    hmac(key, MAC, "s3", key);
    hmac(key, MAC, "aws4_request", key);
    return true;
}

char *ml_s3_sign(struct ml_arena *arena, const struct ml_s3_request *r,
                 const struct ml_s3_keys *keys)
{
    struct ml_buffer canonical = {0}, names = {0};
    char hash[ML_HASH_HEX], signature[ML_HASH_HEX], *header = NULL;
    uint8_t key[MAC], mac[MAC];
    if (put_canonical(&canonical, r) == 0 && put_names(&names, r) == 0 &&
        day_key(arena, r, keys->secret, key)) {
        ml_hash_text(canonical.data, canonical.size, hash);
        char *text = ml_arena_printf(arena, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/s3/aws4_request\n%s",
                                     r->date, r->date, r->region, hash);
        if (text) {
            hmac(key, MAC, text, mac);
            ml_hash_hex(mac, signature);
            header = ml_arena_printf(arena,
                                     "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request,"
                                     "SignedHeaders=%s,Signature=%s",
                                     keys->id, r->date, r->region, names.data, signature);
        }
        sodium_memzero(key, sizeof key);
    }
    ml_buffer_clear(&canonical);
    ml_buffer_clear(&names);
    return header;
}

int ml_s3_escape(struct ml_buffer *out, const char *text, bool slashes, struct ml_error *err)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/";
    int status = ml_buffer_reserve(out, out->size + 1, err);
    for (; status == 0 && *text; text++)
        status = strchr(plain, *text) && !(slashes && *text == '/')
                     ? ml_buffer_put(out, text, 1, err)
                     : ml_buffer_printf(out, err, "%%%02X", (unsigned)(unsigned char)*text);
    return status;
}
