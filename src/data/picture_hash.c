#include "data/picture_hash.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fail.h"
#include "data/picture_luma.h"

#define SIDE 32
#define LOW  8

static bool is_plain(const float *luma)
{
    double sum = 0, squares = 0, n = SIDE * SIDE;
    for (int i = 0; i < SIDE * SIDE; i++) {
        sum += luma[i];
        squares += (double)luma[i] * luma[i];
    }
    return squares / n - sum / n * (sum / n) < 1;
}

/* out[v][u], u and v from 1: first along the rows, then along the columns. */
static void low_frequencies(double out[LOW * LOW], const float *luma)
{
    double waves[LOW][SIDE], rows[SIDE][LOW];
    for (int u = 0; u < LOW; u++)
        for (int x = 0; x < SIDE; x++)
            waves[u][x] = cos((2 * x + 1) * (u + 1) * 3.14159265358979323846 / (2 * SIDE));
    for (int y = 0; y < SIDE; y++)
        for (int u = 0; u < LOW; u++) {
            rows[y][u] = 0;
            for (int x = 0; x < SIDE; x++)
                rows[y][u] += waves[u][x] * luma[y * SIDE + x];
        }
    for (int v = 0; v < LOW; v++)
        for (int u = 0; u < LOW; u++) {
            double sum = 0;
            for (int y = 0; y < SIDE; y++)
                sum += waves[v][y] * rows[y][u];
            out[v * LOW + u] = sum;
        }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int ml_picture_hash(uint64_t *out, const uint8_t *rgb, int width, int height, struct ml_error *err)
{
    float luma[SIDE * SIDE];
    double values[LOW * LOW], sorted[LOW * LOW];
    uint64_t hash = 0;
    int status = ml_luma_scale(luma, SIDE, SIDE, rgb, width, height, err);
    if (status)
        return status;
    if (is_plain(luma))
        return ML_PICTURE_HASH_NONE;
    low_frequencies(values, luma);
    for (int i = 0; i < LOW * LOW; i++)
        sorted[i] = values[i];
    qsort(sorted, LOW * LOW, sizeof sorted[0], by_value);
    double median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2;
    for (int i = 0; i < LOW * LOW; i++)
        hash |= (uint64_t)(values[i] > median) << i;
    *out = hash;
    return 0;
}

int ml_picture_hash_distance(uint64_t a, uint64_t b)
{
    return __builtin_popcountll(a ^ b);
}

/* ---- those that were kept ---- */

struct ml_hash_entry {
    uint64_t hash;
    int64_t id;
};

int ml_hash_index_add(struct ml_hash_index *index, uint64_t hash, int64_t id, struct ml_error *err)
{
    if (index->count == index->capacity) {
        size_t capacity = index->capacity ? 2 * index->capacity : 256;
        void *grown = ml_mem_realloc(index->entries, capacity * sizeof *index->entries);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for hashes of pictures");
        index->entries = grown;
        index->capacity = capacity;
    }
    index->entries[index->count++] = (struct ml_hash_entry){hash, id};
    return 0;
}

bool ml_hash_index_find(const struct ml_hash_index *index, uint64_t hash, int radius, int64_t *id,
                        int *distance)
{
    for (size_t i = 0; i < index->count; i++) {
        int d = ml_picture_hash_distance(index->entries[i].hash, hash);
        if (d > radius)
            continue;
        *id = index->entries[i].id;
        if (distance)
            *distance = d;
        return true;
    }
    return false;
}

void ml_hash_index_clear(struct ml_hash_index *index)
{
    if (!index)
        return;
    ml_mem_free(index->entries);
    *index = (struct ml_hash_index){0};
}
