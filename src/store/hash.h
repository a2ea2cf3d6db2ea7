/* SHA-256 (FIPS 180-4) through libsodium, and its spelling in lower-case hexadecimal. */
#ifndef ML_STORE_HASH_H
#define ML_STORE_HASH_H

#include <sodium/crypto_hash_sha256.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ML_HASH_BYTES 32
#define ML_HASH_HEX   65 /* characters with the NUL */

void ml_hash(const void *bytes, size_t n, uint8_t out[ML_HASH_BYTES]);
/* The same, spelt out. */
void ml_hash_text(const void *bytes, size_t n, char out[ML_HASH_HEX]);

/* For what does not lie in memory in one piece. */
struct ml_hasher {
    crypto_hash_sha256_state state;
};
void ml_hasher_init(struct ml_hasher *hasher);
void ml_hasher_put(struct ml_hasher *hasher, const void *bytes, size_t n);
void ml_hasher_finish(struct ml_hasher *hasher, uint8_t out[ML_HASH_BYTES]);

void ml_hash_hex(const uint8_t hash[ML_HASH_BYTES], char out[ML_HASH_HEX]);
/* False unless text is exactly 64 lower-case hexadecimal digits; out is untouched then. */
bool ml_hash_parse(uint8_t out[ML_HASH_BYTES], const char *text);

#endif
