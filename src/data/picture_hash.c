#include "data/picture_hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "data/picture_luma.h"

enum { SIDE = 32, LOW = 8, BANDS = 4, KEYS = 65536, FEW = 4096, NEAR_RADIUS = 15 };

/* Coefficients 1..8 of the DCT-II of each axis: cos(pi * k * (2 n + 1) / (2 * SIDE)). */
static void low_dct(double out[LOW * LOW], const float luma[SIDE * SIDE])
{
    double turn[LOW][SIDE], half[SIDE][LOW];
    for (int k = 0; k < LOW; k++)
        for (int n = 0; n < SIDE; n++)
            turn[k][n] = cos(M_PI * (k + 1) * (2 * n + 1) / (2 * SIDE));
    for (int y = 0; y < SIDE; y++)
        for (int k = 0; k < LOW; k++) {
            half[y][k] = 0;
            for (int n = 0; n < SIDE; n++)
                half[y][k] += turn[k][n] * luma[y * SIDE + n];
        }
    for (int u = 0; u < LOW; u++)
        for (int v = 0; v < LOW; v++) {
            double sum = 0;
            for (int n = 0; n < SIDE; n++)
                sum += turn[u][n] * half[n][v];
            out[u * LOW + v] = sum;
        }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool is_plain(const float luma[SIDE * SIDE])
{
    double sum = 0, squares = 0, n = SIDE * SIDE;
    for (int i = 0; i < SIDE * SIDE; i++) {
        sum += luma[i];
        squares += (double)luma[i] * luma[i];
    }
    return squares / n - sum / n * (sum / n) < 1;
}

int ml_picture_hash(uint64_t *out, const uint8_t *rgb, int width, int height, struct ml_error *err)
{
    struct ml_picture_span in = {rgb, width, height};
    float luma[SIDE * SIDE];
    double low[LOW * LOW], sorted[LOW * LOW];
    int status = ml_picture_luma(luma, SIDE, SIDE, &in, NULL, err);
    if (status)
        return status;
    if (is_plain(luma))
        return ML_PICTURE_HASH_NONE;
    low_dct(low, luma);
    memcpy(sorted, low, sizeof low);
    qsort(sorted, LOW * LOW, sizeof *sorted, by_value);
    double median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2;
    uint64_t hash = 0;
    for (int i = 0; i < LOW * LOW; i++)
        hash |= (uint64_t)(low[i] > median) << i;
    *out = hash;
    return 0;
}

/* In plain arithmetic: not every processor that we build for counts bits. */
static inline int count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (int)(x * 0x0101010101010101u >> 56);
}

int ml_picture_hash_distance(uint64_t a, uint64_t b)
{
    return count_bits(a ^ b);
}

/* ---- the index ---- */

struct member {
    uint64_t hash;
    size_t number; /* in order of insertion */
};

/* The hashes with one value of one band, in order of insertion. */
struct ml_hash_bucket {
    struct member *members;
    uint32_t count, capacity;
};

static int out_of_memory(const struct ml_hash_index *index, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for near duplicates among %zu pictures",
                   index->count);
}

static struct ml_hash_bucket *bucket_of(const struct ml_hash_index *index, int band, uint64_t hash)
{
    return &index->buckets[(size_t)band * KEYS + (hash >> 16 * band & 0xFFFF)];
}

/* Room for one more in all bands first, so that a failure leaves nothing half done. */
static int reserve_member(const struct ml_hash_index *index, uint64_t hash)
{
    for (int band = 0; band < BANDS; band++) {
        struct ml_hash_bucket *b = bucket_of(index, band, hash);
        if (b->count < b->capacity)
            continue;
        uint32_t capacity = b->capacity ? 2 * b->capacity : 4;
        struct member *grown = ml_mem_realloc(b->members, capacity * sizeof *grown);
        if (!grown)
            return -1;
        b->members = grown;
        b->capacity = capacity;
    }
    return 0;
}

static void put_member(const struct ml_hash_index *index, uint64_t hash, size_t number)
{
    for (int band = 0; band < BANDS; band++) {
        struct ml_hash_bucket *b = bucket_of(index, band, hash);
        b->members[b->count++] = (struct member){hash, number};
    }
}

static void free_buckets(struct ml_hash_index *index)
{
    for (size_t i = 0; index->buckets && i < (size_t)BANDS * KEYS; i++)
        ml_mem_free(index->buckets[i].members);
    ml_mem_free(index->buckets);
    index->buckets = NULL;
}

static int build_buckets(struct ml_hash_index *index, struct ml_error *err)
{
    index->buckets = ml_mem_calloc((size_t)BANDS * KEYS, sizeof *index->buckets);
    for (size_t i = 0; index->buckets && i < index->count; i++) {
        if (reserve_member(index, index->hashes[i]))
            free_buckets(index);
        else
            put_member(index, index->hashes[i], i);
    }
    return index->buckets ? 0 : out_of_memory(index, err);
}

static int grow_hashes(struct ml_hash_index *index, struct ml_error *err)
{
    size_t capacity = index->capacity ? 2 * index->capacity : 256;
    uint64_t *hashes = ml_mem_realloc(index->hashes, capacity * sizeof *hashes);
    if (hashes)
        index->hashes = hashes;
    int64_t *ids = ml_mem_realloc(index->ids, capacity * sizeof *ids);
    if (ids)
        index->ids = ids;
    if (!hashes || !ids)
        return out_of_memory(index, err);
    index->capacity = capacity;
    return 0;
}

int ml_hash_index_add(struct ml_hash_index *index, uint64_t hash, int64_t id, struct ml_error *err)
{
    int status = index->count == index->capacity ? grow_hashes(index, err) : 0;
    if (status == 0 && !index->buckets && index->count >= FEW)
        status = build_buckets(index, err);
    if (status == 0 && index->buckets && reserve_member(index, hash))
        status = out_of_memory(index, err);
    if (status)
        return status;
    if (index->buckets)
        put_member(index, hash, index->count);
    index->hashes[index->count] = hash;
    index->ids[index->count++] = id;
    return 0;
}

/* The first within radius among the members of one bucket, if before `best`. */
static size_t look_in(const struct ml_hash_bucket *b, uint64_t hash, int radius, size_t best)
{
    for (uint32_t i = 0; i < b->count && b->members[i].number < best; i++)
        if (count_bits(b->members[i].hash ^ hash) <= radius)
            return b->members[i].number;
    return best;
}

static size_t look_in_bands(const struct ml_hash_index *index, uint64_t hash, int radius)
{
    size_t best = index->count;
    int flips = radius / BANDS;
    for (int band = 0; band < BANDS; band++)
        for (int a = 0; a < (flips > 0 ? 17 : 1); a++) /* 16: no bit, so that 16, 16, 16 is none */
            for (int b = a; b < (flips > 1 ? 17 : a + 1); b++)
                for (int c = b; c < (flips > 2 ? 17 : b + 1); c++) {
                    uint64_t key = hash, bits = 0;
                    if (flips > 0)
                        bits |= 1u << a;
                    if (flips > 1)
                        bits |= 1u << b;
                    if (flips > 2)
                        bits |= 1u << c;
                    key ^= (bits & 0xFFFF) << 16 * band;
                    best = look_in(bucket_of(index, band, key), hash, radius, best);
                }
    return best;
}

static size_t look_at_all(const struct ml_hash_index *index, uint64_t hash, int radius)
{
    for (size_t i = 0; i < index->count; i++)
        if (count_bits(index->hashes[i] ^ hash) <= radius)
            return i;
    return index->count;
}

bool ml_hash_index_find(const struct ml_hash_index *index, uint64_t hash, int radius, int64_t *id,
                        int *distance)
{
    if (radius < 0)
        return false;
    size_t found = index->buckets && radius <= NEAR_RADIUS ? look_in_bands(index, hash, radius)
                                                           : look_at_all(index, hash, radius);
    if (found == index->count)
        return false;
    *id = index->ids[found];
    if (distance)
        *distance = count_bits(index->hashes[found] ^ hash);
    return true;
}

void ml_hash_index_clear(struct ml_hash_index *index)
{
    if (!index)
        return;
    free_buckets(index);
    ml_mem_free(index->hashes);
    ml_mem_free(index->ids);
    *index = (struct ml_hash_index){0};
}
