#include "store/hash.h"

#include <string.h>

void ml_hash(const void *bytes, size_t n, uint8_t out[ML_HASH_BYTES])
{
    struct ml_hasher hasher;
    ml_hasher_init(&hasher);
    ml_hasher_put(&hasher, bytes, n);
    ml_hasher_finish(&hasher, out);
}

void ml_hash_text(const void *bytes, size_t n, char out[ML_HASH_HEX])
{
    uint8_t hash[ML_HASH_BYTES];
    ml_hash(bytes, n, hash);
    ml_hash_hex(hash, out);
}

void ml_hasher_init(struct ml_hasher *hasher)
{
    crypto_hash_sha256_init(&hasher->state);
}

void ml_hasher_put(struct ml_hasher *hasher, const void *bytes, size_t n)
{
    if (n) /* an empty piece may be NULL, which memcpy inside must not see */
        crypto_hash_sha256_update(&hasher->state, bytes, n);
}

void ml_hasher_finish(struct ml_hasher *hasher, uint8_t out[ML_HASH_BYTES])
{
    crypto_hash_sha256_final(&hasher->state, out);
}

static const char digits[] = "0123456789abcdef";

void ml_hash_hex(const uint8_t hash[ML_HASH_BYTES], char out[ML_HASH_HEX])
{
    for (int i = 0; i < ML_HASH_BYTES; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[2 * ML_HASH_BYTES] = '\0';
}

bool ml_hash_parse(uint8_t out[ML_HASH_BYTES], const char *text)
{
    uint8_t hash[ML_HASH_BYTES] = {0};
    if (strlen(text) != ML_HASH_HEX - 1)
        return false;
    for (int i = 0; i < ML_HASH_HEX - 1; i++) {
        const char *digit = strchr(digits, text[i]);
        if (!digit)
            return false;
        hash[i / 2] = (uint8_t)(hash[i / 2] << 4 | (digit - digits));
    }
    memcpy(out, hash, sizeof hash);
    return true;
}
