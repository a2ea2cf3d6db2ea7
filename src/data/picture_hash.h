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

/* Hashes that were kept. Zero-initialise. 12 bytes each while few, some 150 beyond 4,096. Up to
 * radius 15 the search is exact and does not look at all: of four bands of 16 bits one differs in
 * at most radius / 4 bits (Norouzi, Punjani & Fleet, "Fast search in Hamming space with multi-index
 * hashing", CVPR 2012). Beyond that, and while few, all are looked at. */
struct ml_hash_index {
    uint64_t *hashes;
    int64_t *ids;
    size_t count, capacity;
    struct ml_hash_bucket *buckets; /* [4, 65536], or NULL */
};
int ml_hash_index_add(struct ml_hash_index *index, uint64_t hash, int64_t id, struct ml_error *err);
/* The id of the one that was added first among those within radius; false: none. distance may be
 * NULL. */
bool ml_hash_index_find(const struct ml_hash_index *index, uint64_t hash, int radius, int64_t *id,
                        int *distance);
void ml_hash_index_clear(struct ml_hash_index *index); /* accepts NULL */

#endif
