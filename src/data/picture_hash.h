/* Perceptual hashes of pictures: near duplicates (resized, recompressed, brighter) differ in few of
 * 64 bits, different pictures in some 32.
 *
 * Luma is scaled to 32 x 32 by area means; of its DCT-II the low 8 x 8 coefficients (u, v = 1..8,
 * without those of u = 0 or v = 0) are compared with their median. This is the well-known "pHash"
 * (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010). */
#ifndef ML_DATA_PICTURE_HASH_H
#define ML_DATA_PICTURE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

enum { ML_PICTURE_HASH_NONE = 1 }; /* a plain picture: no error, but no hash either */

/* rgb is [height, width, 3]. 0: *out is the hash. ML_PICTURE_HASH_NONE: the picture is plain (the
 * standard deviation of the 32 x 32 luma is under 1 of 255), *out untouched: all plain pictures
 * would be "equal" to each other, by rounding errors. Negative: an error. */
int ml_picture_hash(uint64_t *out, const uint8_t *rgb, int width, int height, struct ml_error *err);

/* Bits in which they differ: 0..64. */
int ml_picture_hash_distance(uint64_t a, uint64_t b);

/* Hashes that were kept; a search looks at all, which is exact and takes a millisecond or two for a
 * million: less than a picture takes to be decoded. Zero-initialise. */
struct ml_hash_index {
    struct ml_hash_entry *entries;
    size_t count, capacity;
};
int ml_hash_index_add(struct ml_hash_index *index, uint64_t hash, int64_t id, struct ml_error *err);
/* The id of the one that was added first among those within radius; false: none. distance may be
 * NULL. */
bool ml_hash_index_find(const struct ml_hash_index *index, uint64_t hash, int radius, int64_t *id,
                        int *distance);
void ml_hash_index_clear(struct ml_hash_index *index); /* accepts NULL */

#endif
