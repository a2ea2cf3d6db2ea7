/* Near duplicates that were planted (docs/figures.md): `texts` texts of random words, `planted`
 * copies of some of them in which words are replaced until the Jaccard similarity of their runs of
 * five words is as near to `similarity` as it gets. Prints recall, precision and speed.
 *
 *     bench_near [texts=20000] [planted=1000] [similarity=0.8] [seed=1] [threshold=0.7]
 *
 * The order is random, so a copy may come before its original; whichever comes second is to be
 * found, and as resembling the other one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "base/rng.h"
#include "data/minhash.h"

enum { VOCABULARY = 20000, MAX_WORDS = 400 };

struct text {
    uint16_t words[MAX_WORDS];
    int count;
    int origin; /* the text that it is a copy of, -1: none */
};

/* Common words are common (Zipf). */
static uint16_t draw_word(struct ml_rng *rng)
{
    double u = ml_rng_double(rng);
    return (uint16_t)(pow((double)VOCABULARY, u) - 1);
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int run_keys(const struct text *t, uint64_t keys[MAX_WORDS])
{
    int n = 0, kept = 0;
    for (int i = 0; i + 5 <= t->count; i++) {
        uint64_t key = 0;
        for (int k = 0; k < 5; k++)
            key = key * 0x9E3779B97F4A7C15u + t->words[i + k] + 1;
        keys[n++] = key;
    }
    qsort(keys, (size_t)n, sizeof *keys, by_key);
    for (int i = 0; i < n; i++)
        if (i == 0 || keys[i] != keys[i - 1])
            keys[kept++] = keys[i];
    return kept;
}

static double jaccard(const struct text *a, const struct text *b)
{
    uint64_t x[MAX_WORDS], y[MAX_WORDS];
    int n = run_keys(a, x), m = run_keys(b, y), both = 0;
    for (int i = 0, j = 0; i < n && j < m;) {
        both += x[i] == y[j];
        if (x[i] == y[j])
            i++, j++;
        else if (x[i] < y[j])
            i++;
        else
            j++;
    }
    return (double)both / (n + m - both);
}

/* Replaces words one by one while the similarity stays above the one that is wanted. */
static double spoil(struct text *copy, const struct text *from, double similarity,
                    struct ml_rng *rng)
{
    double now = 1;
    memcpy(copy->words, from->words, sizeof copy->words);
    copy->count = from->count;
    for (int tries = 0; tries < 200 && now > similarity + 0.005; tries++) {
        int at = (int)ml_rng_below(rng, (uint64_t)copy->count);
        uint16_t before = copy->words[at];
        copy->words[at] = draw_word(rng);
        double next = jaccard(copy, from);
        if (next < similarity - 0.005)
            copy->words[at] = before;
        else
            now = next;
    }
    return now;
}

static size_t spell(char *out, const struct text *t)
{
    size_t n = 0;
    for (int i = 0; i < t->count; i++)
        n += (size_t)sprintf(out + n, "w%x%s", t->words[i] * 2654435761u >> 8,
                             i % 12 == 11 ? ".\n" : " ");
    return n;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    struct ml_rng rng;
    int texts = argc > 1 ? atoi(argv[1]) : 20000, planted = argc > 2 ? atoi(argv[2]) : 1000;
    double wanted = argc > 3 ? atof(argv[3]) : 0.8, threshold = argc > 5 ? atof(argv[5]) : 0.7;
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    int total = texts + planted;
    if (texts < 1 || planted < 1 || planted > texts)
        return 2;
    struct text *t = ml_mem_calloc((size_t)total, sizeof *t);
    uint32_t *order = ml_mem_calloc((size_t)total, sizeof *order);
    char *spelt = ml_mem_alloc((size_t)total * MAX_WORDS * 10);
    size_t *begin = ml_mem_calloc((size_t)total + 1, sizeof *begin);
    double mean = 0;
    ml_rng_init(&rng, seed, 0);
    for (int i = 0; i < total; i++) {
        order[i] = (uint32_t)i;
        t[i].origin = i < texts ? -1 : (i - texts) * (texts / planted);
        if (i < texts) {
            t[i].count = 80 + (int)ml_rng_below(&rng, MAX_WORDS - 80);
            for (int k = 0; k < t[i].count; k++)
                t[i].words[k] = draw_word(&rng);
        } else {
            mean += spoil(&t[i], &t[t[i].origin], wanted, &rng);
        }
    }
    ml_rng_shuffle(&rng, order, (size_t)total);
    for (int i = 0; i < total; i++)
        begin[i + 1] = begin[i] + spell(spelt + begin[i], &t[order[i]]);
    struct ml_minhash minhash;
    struct ml_near_index index = {0};
    struct ml_word_scan scan = {0};
    struct ml_signature signature;
    int right = 0, wrong = 0, status = 0;
    ml_minhash_init(&minhash);
    double began = ml_time();
    for (int i = 0; status == 0 && i < total; i++) {
        bool any;
        status = ml_word_scan(&scan, spelt + begin[i], begin[i + 1] - begin[i], &err);
        if (status == 0)
            status = ml_minhash_sign(&minhash, &scan, &signature, &any, &err);
        int64_t near = status ? -1 : ml_near_index_find(&index, &signature, threshold, NULL);
        int me = (int)order[i];
        bool related = near >= 0 && (t[me].origin == near || t[near].origin == me);
        right += related;
        wrong += near >= 0 && !related;
        if (status == 0 && near < 0)
            status = ml_near_index_add(&index, &signature, me, &err);
    }
    double seconds = ml_time() - began;
    printf("texts %d planted %d similarity %.3f seed %llu threshold %.2f: recall %.4f precision "
           "%.4f; %.1f MB/s\n",
           texts, planted, mean / planted, (unsigned long long)seed, threshold,
           (double)right / planted, right + wrong ? (double)right / (right + wrong) : 0,
           (double)begin[total] / 1e6 / seconds);
    ml_minhash_clear(&minhash);
    ml_near_index_clear(&index);
    ml_word_scan_clear(&scan);
    ml_mem_free(t);
    ml_mem_free(order);
    ml_mem_free(spelt);
    ml_mem_free(begin);
    if (status)
        fprintf(stderr, "bench_near: %s\n", err.message);
    return status ? 1 : 0;
}
