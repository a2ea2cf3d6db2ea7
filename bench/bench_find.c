/* Search on vectors and texts, for bench/find.py:
 *
 *     bench_find vectors COUNT WIDTH QUERIES SEED FILE   writes COUNT + QUERIES vectors (f32,
 * little- endian) to FILE, then times both searches bench_find texts FILE lines of LABEL TAB TEXT:
 * fits embeddings and prints how many of the 10 nearest share the label
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/progress.h"
#include "base/rng.h"
#include "find/embed.h"
#include "find/hnsw.h"

enum { K = 10, CLUSTERS = 500 };

/* Points around random centres, so that neighbours mean something. */
static float *draw(size_t count, int width, uint64_t seed)
{
    struct ml_rng rng;
    float *x = ml_mem_alloc(count * (size_t)width * sizeof *x);
    float *centres = ml_mem_alloc((size_t)CLUSTERS * (size_t)width * sizeof *centres);
    ml_rng_init(&rng, seed, 0);
    for (size_t i = 0; i < (size_t)CLUSTERS * (size_t)width; i++)
        centres[i] = ml_rng_normal(&rng);
    for (size_t i = 0; i < count; i++) {
        const float *centre = centres + ml_rng_below(&rng, CLUSTERS) * (size_t)width;
        double square = 0;
        for (int k = 0; k < width; k++) {
            x[i * (size_t)width + (size_t)k] = centre[k] + ml_rng_normal(&rng);
            square += (double)x[i * (size_t)width + (size_t)k] * x[i * (size_t)width + (size_t)k];
        }
        for (int k = 0; k < width; k++)
            x[i * (size_t)width + (size_t)k] /= (float)sqrt(square);
    }
    ml_mem_free(centres);
    return x;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

/* The k best by f32 arithmetic: what both searches are held against. */
static void exact(const float *x, size_t count, int width, const float *q, uint32_t out[K])
{
    struct ml_near items[K];
    struct ml_near_heap heap = {.items = items, .most = K};
    for (size_t i = 0; i < count; i++) {
        float dot = 0;
        for (int k = 0; k < width; k++)
            dot += x[i * (size_t)width + (size_t)k] * q[k];
        ml_near_heap_put(&heap, (struct ml_near){(uint32_t)i, dot});
    }
    for (int k = 0; k < K; k++)
        out[k] = items[k].row;
}

static int overlap(const struct ml_near *found, int n, const uint32_t truth[K])
{
    int same = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < K; k++)
            same += found[i].row == truth[k];
    return same;
}

static int vectors(char **argv, struct ml_error *err)
{
    size_t count = strtoull(argv[2], NULL, 10);
    int width = atoi(argv[3]), queries = atoi(argv[4]), n, scan_hits = 0;
    uint64_t seed = strtoull(argv[5], NULL, 10);
    float *x = draw(count + (size_t)queries, width, seed), *q = x + count * (size_t)width;
    uint32_t(*truth)[K] = ml_mem_calloc((size_t)queries, sizeof *truth);
    double *seconds = ml_mem_calloc((size_t)queries, sizeof *seconds);
    struct ml_near found[K];
    struct ml_vector_set set = {0};
    struct ml_hnsw index = {0};
    int status =
        ml_file_write(argv[6], x, (count + (size_t)queries) * (size_t)width * sizeof *x, err);
    if (status == 0)
        status = ml_vector_set_init(&set, width, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = ml_vector_set_add(&set, x + i * (size_t)width, err);
    for (int i = 0; status == 0 && i < queries; i++)
        exact(x, count, width, q + i * width, truth[i]);
    for (int i = 0; status == 0 && i < queries; i++) {
        double began = ml_time();
        status = ml_vector_set_search(&set, q + i * width, K, NULL, NULL, found, &n, err);
        seconds[i] = ml_time() - began;
        scan_hits += overlap(found, n, truth[i]);
    }
    if (status == 0)
        printf("scan ms %.3f recall %.4f count %zu width %d queries %d\n",
               1e3 * median(seconds, queries), (double)scan_hits / (K * queries), count, width,
               queries);
    double began = ml_time();
    if (status == 0) {
        ml_hnsw_init(&index, &set, 0, 0, seed);
        status = ml_hnsw_update(&index, NULL, err);
        printf("hnsw build_s %.1f\n", ml_time() - began);
    }
    for (int breadth = 32; status == 0 && breadth <= 512; breadth *= 2) {
        int hits = 0;
        for (int i = 0; status == 0 && i < queries; i++) {
            began = ml_time();
            status = ml_hnsw_search(&index, q + i * width, K, breadth, found, &n, err);
            seconds[i] = ml_time() - began;
            hits += overlap(found, n, truth[i]);
        }
        printf("hnsw breadth %d ms %.4f recall %.4f\n", breadth, 1e3 * median(seconds, queries),
               (double)hits / (K * queries));
    }
    ml_hnsw_clear(&index);
    ml_vector_set_clear(&set);
    ml_mem_free(truth);
    ml_mem_free(seconds);
    ml_mem_free(x);
    return status;
}

struct lines {
    char *text;
    size_t *begin, *end, count;
    const char **label;
    size_t *label_size;
};

static int give(void *arg, size_t i, const char **text, size_t *n, struct ml_error *err)
{
    struct lines *l = arg;
    *text = l->text + l->begin[i];
    *n = l->end[i] - l->begin[i];
    return 0;
}

static int texts(const char *path, struct ml_error *err)
{
    struct lines l = {0};
    struct ml_arena arena;
    struct ml_embedder e = {0};
    struct ml_embed_work work = {0};
    struct ml_vector_set set = {0};
    size_t size, capacity = 0, same = 0, all = 0;
    ml_arena_init(&arena, 0);
    int n, status = ml_file_read(&arena, path, (size_t)1 << 30, &l.text, &size, err);
    for (char *at = status ? NULL : l.text; at && at < l.text + size;) {
        char *stop = memchr(at, '\n', (size_t)(l.text + size - at));
        stop = stop ? stop : l.text + size;
        char *tab = memchr(at, '\t', (size_t)(stop - at));
        if (l.count == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            l.begin = ml_mem_realloc(l.begin, capacity * sizeof *l.begin);
            l.end = ml_mem_realloc(l.end, capacity * sizeof *l.end);
            l.label = ml_mem_realloc(l.label, capacity * sizeof *l.label);
            l.label_size = ml_mem_realloc(l.label_size, capacity * sizeof *l.label_size);
        }
        if (tab) {
            l.begin[l.count] = (size_t)(tab + 1 - l.text);
            l.end[l.count] = (size_t)(stop - l.text);
            l.label[l.count] = at;
            l.label_size[l.count++] = (size_t)(tab - at);
        }
        at = stop + 1;
    }
    double began = ml_time();
    if (status == 0)
        status = ml_embedder_fit(&e, l.count, give, &l, 1, err);
    double fitted = ml_time() - began;
    if (status == 0)
        status = ml_vector_set_init(&set, ML_EMBED_WIDTH, err);
    began = ml_time();
    for (size_t i = 0; status == 0 && i < l.count; i++) {
        float x[ML_EMBED_WIDTH];
        status = ml_embedder_apply(&e, &work, l.text + l.begin[i], l.end[i] - l.begin[i], x, err);
        if (status == 0)
            status = ml_vector_set_add(&set, x, err);
    }
    double applied = ml_time() - began;
    for (size_t i = 0; status == 0 && i < l.count; i += 5) {
        float x[ML_EMBED_WIDTH];
        struct ml_near found[K + 1];
        for (int k = 0; k < ML_EMBED_WIDTH; k++)
            x[k] = set.rows[i * (size_t)set.stride + (size_t)k];
        status = ml_vector_set_search(&set, x, K + 1, NULL, NULL, found, &n, err);
        for (int k = 0; k < n; k++) {
            size_t other = found[k].row;
            if (other == i)
                continue;
            all++;
            same += l.label_size[other] == l.label_size[i] &&
                    memcmp(l.label[other], l.label[i], l.label_size[i]) == 0;
        }
    }
    if (status == 0)
        printf("texts %zu rank %d fit_s %.1f apply_us %.1f same_label_at_10 %.4f\n", l.count,
               e.rank, fitted, 1e6 * applied / (double)l.count, (double)same / (double)all);
    ml_embedder_clear(&e);
    ml_embed_work_clear(&work);
    ml_vector_set_clear(&set);
    ml_mem_free(l.begin);
    ml_mem_free(l.end);
    ml_mem_free(l.label);
    ml_mem_free(l.label_size);
    ml_arena_clear(&arena);
    return status;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    int status = ML_ERR_ARG;
    if (argc == 7 && strcmp(argv[1], "vectors") == 0)
        status = vectors(argv, &err);
    else if (argc == 3 && strcmp(argv[1], "texts") == 0)
        status = texts(argv[2], &err);
    else
        fprintf(stderr, "usage: bench_find vectors COUNT WIDTH QUERIES SEED FILE | texts FILE\n");
    if (status)
        fprintf(stderr, "bench_find: %s\n", err.message);
    return status ? 1 : 0;
}
