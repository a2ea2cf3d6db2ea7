/* Vectors: the exact scan against plain arithmetic, HNSW against the scan, files and damage; words
 * by BM25; ranks fused; embeddings. */
#include "scratch.h"

#include <math.h>

#include "base/rng.h"
#include "find/bm25.h"
#include "find/embed.h"
#include "find/hnsw.h"
#include "find/rank_fuse.h"

enum { WIDTH = 50, COUNT = 3000, K = 10 };

static void fill(struct ml_vector_set *set, float *x, size_t count)
{
    struct ml_rng rng;
    struct ml_error err = {0};
    ml_rng_init(&rng, 3, 0);
    assert_ok(ml_vector_set_init(set, WIDTH, &err), err);
    for (size_t i = 0; i < count * WIDTH; i++)
        x[i] = ml_rng_normal(&rng);
    for (size_t i = 0; i < count; i++)
        assert_ok(ml_vector_set_add(set, x + i * WIDTH, &err), err);
}

static double cosine(const float *a, const float *b)
{
    double dot = 0, aa = 0, bb = 0;
    for (int k = 0; k < WIDTH; k++) {
        dot += (double)a[k] * b[k];
        aa += (double)a[k] * a[k];
        bb += (double)b[k] * b[k];
    }
    return dot / sqrt(aa * bb);
}

static float x[COUNT * WIDTH];

static void test_scan(void **state)
{
    struct ml_vector_set set = {0};
    struct ml_near found[K];
    struct ml_error err = {0};
    int n;
    fill(&set, x, COUNT);
    for (int q = 0; q < 20; q++) {
        const float *query = x + (size_t)q * 37 * WIDTH;
        assert_ok(ml_vector_set_search(&set, query, K, NULL, NULL, found, &n, &err), err);
        assert_int_equal(n, K);
        assert_int_equal(found[0].row, q * 37);
        assert_true(fabsf(found[0].cosine - 1) < 0.01f);
        int better = 0; /* how many are really better than the last */
        for (size_t i = 0; i < COUNT; i++)
            better += cosine(x + i * WIDTH, query) > (double)found[K - 1].cosine + 0.01;
        assert_true(better < K);
        for (int i = 1; i < K; i++) {
            assert_true(found[i].cosine <= found[i - 1].cosine);
            assert_true(fabs(cosine(x + found[i].row * WIDTH, query) - (double)found[i].cosine) <
                        0.01);
        }
    }
    float zero[WIDTH] = {0}, nan[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        nan[i] = NAN;
    assert_ok(ml_vector_set_add(&set, zero, &err), err);
    assert_ok(ml_vector_set_add(&set, nan, &err), err);
    assert_ok(ml_vector_set_search(&set, nan, 1, NULL, NULL, found, &n, &err), err);
    assert_true(found[0].cosine == 0);
    ml_vector_set_clear(&set);
}

static bool odd(void *arg, uint32_t row)
{
    return row % 2 == 1;
}

static void test_filter(void **state)
{
    struct ml_vector_set set = {0};
    struct ml_near found[K];
    struct ml_error err = {0};
    int n;
    fill(&set, x, 100);
    assert_ok(ml_vector_set_search(&set, x, K, odd, NULL, found, &n, &err), err);
    for (int i = 0; i < n; i++)
        assert_int_equal(found[i].row % 2, 1);
    ml_vector_set_clear(&set);
}

static void test_hnsw(void **state)
{
    struct ml_vector_set set = {0};
    struct ml_hnsw a = {0}, b = {0};
    struct ml_near exact[K], found[K];
    struct ml_buffer bytes = {0};
    struct ml_error err = {0};
    int n, m, hits = 0;
    fill(&set, x, COUNT);
    ml_hnsw_init(&a, &set, 8, 60, 5);
    assert_ok(ml_hnsw_update(&a, NULL, &err), err);
    assert_ok(ml_hnsw_put(&a, &bytes, &err), err);
    assert_ok(ml_hnsw_get(&b, &set, (const uint8_t *)bytes.data, bytes.size, "x", &err), err);
    for (int q = 0; q < 100; q++) {
        const float *query = x + (size_t)q * 29 * WIDTH;
        assert_ok(ml_vector_set_search(&set, query, K, NULL, NULL, exact, &n, &err), err);
        assert_ok(ml_hnsw_search(&b, query, K, 100, found, &m, &err), err);
        assert_int_equal(m, K);
        for (int i = 0; i < m; i++)
            for (int k = 0; k < n; k++)
                hits += found[i].row == exact[k].row;
    }
    assert_true(hits > 900); /* random vectors are the hardest there are */
    for (size_t i = 0; i < bytes.size; i += 1 + bytes.size / 400) { /* damage never harms */
        struct ml_hnsw c = {0};
        bytes.data[i] ^= 0x41;
        if (ml_hnsw_get(&c, &set, (const uint8_t *)bytes.data, bytes.size, "x", NULL) == 0) {
            ml_hnsw_search(&c, x, K, 20, found, &m, NULL);
            ml_hnsw_clear(&c);
        }
        bytes.data[i] ^= 0x41;
        assert_true(ml_hnsw_get(&c, &set, (const uint8_t *)bytes.data, i, "x", NULL) < 0);
    }
    ml_hnsw_clear(&a);
    ml_hnsw_clear(&b);
    ml_buffer_clear(&bytes);
    ml_vector_set_clear(&set);
}

static void words_of(struct ml_search_words *w, const char *text)
{
    assert_int_equal(ml_search_words_find(w, text, strlen(text), NULL), 0);
}

static void test_search_words(void **state)
{
    static const char *const same[][2] = {{"stories", "story"}, {"Brushes", "brush"},
                                          {"cats", "CAT"},      {"glass", "glass"},
                                          {"boxes", "box"},     {"bus", "bus"}};
    struct ml_search_words a = {0}, b = {0};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        words_of(&a, same[i][0]);
        words_of(&b, same[i][1]);
        assert_true(a.count == 1 && b.count == 1 && a.words[0].hash == b.words[0].hash);
    }
    words_of(&a, "神笔马良 a");
    assert_int_equal(a.count, 4 + 3 + 1);
    words_of(&b, "笔马");
    assert_true(b.words[2].pair && b.words[2].hash == a.words[4].hash);
    ml_search_words_clear(&a);
    ml_search_words_clear(&b);
}

static void test_bm25(void **state)
{
    static const char *const texts[] = {"the fox and the grapes",
                                        "the fox the fox the fox and more",
                                        "a crow and a jar",
                                        "春夜喜雨",
                                        "夜雨寄北",
                                        "grapes"};
    struct ml_bm25 index = {0}, back = {0};
    struct ml_search_words w = {0};
    struct ml_near found[4];
    struct ml_buffer bytes = {0};
    int n;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        words_of(&w, texts[i]);
        assert_int_equal(ml_bm25_add(&index, &w, NULL), 0);
    }
    assert_int_equal(ml_bm25_put(&index, &bytes, NULL), 0);
    assert_int_equal(ml_bm25_get(&back, (const uint8_t *)bytes.data, bytes.size, "x", NULL), 0);
    words_of(&w, "grape foxes");
    assert_int_equal(ml_bm25_search(&back, &w, 4, NULL, NULL, found, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(found[0].row, 0);
    words_of(&w, "喜雨");
    assert_int_equal(ml_bm25_search(&back, &w, 4, NULL, NULL, found, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(found[0].row, 3);
    /* by hand: one text of six has "crow": ln(1 + 5.5 / 1.5), once, length 5 of mean 36 / 6 */
    words_of(&w, "crow");
    assert_int_equal(ml_bm25_search(&back, &w, 4, NULL, NULL, found, &n, NULL), 0);
    double mean = (5 + 8 + 5 + 7 + 7 + 1) / 6.0;
    double expected = log(1 + 5.5 / 1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 5 / mean));
    assert_true(n == 1 && fabs((double)found[0].cosine - expected) < 1e-5);
    for (size_t i = 0; i < bytes.size; i++) {
        struct ml_bm25 other = {0};
        bytes.data[i] ^= 0x33;
        if (ml_bm25_get(&other, (const uint8_t *)bytes.data, bytes.size, "x", NULL) == 0) {
            ml_bm25_search(&other, &w, 4, NULL, NULL, found, &n, NULL);
            ml_bm25_clear(&other);
        }
        bytes.data[i] ^= 0x33;
        assert_true(ml_bm25_get(&other, (const uint8_t *)bytes.data, i, "x", NULL) < 0);
    }
    ml_bm25_clear(&index);
    ml_bm25_clear(&back);
    ml_search_words_clear(&w);
    ml_buffer_clear(&bytes);
}

static void test_fuse(void **state)
{
    const struct ml_near a[] = {{7, 3}, {8, 2}, {9, 1}}, b[] = {{8, 0.9f}, {5, 0.8f}};
    struct ml_fused out[5];
    int n;
    ml_rank_fuse(a, 3, b, 2, out, &n);
    assert_int_equal(n, 4);
    assert_int_equal(out[0].row, 8);
    assert_true(fabs(out[0].score - (1 / 62.0 + 1 / 61.0)) < 1e-12);
    assert_int_equal(out[0].rank[0], 2);
    assert_int_equal(out[0].rank[1], 1);
    assert_int_equal(out[1].row, 7);
    assert_int_equal(out[2].row, 5);
    assert_int_equal(out[3].row, 9);
}

/* "ship" and "boat" never meet, but both go with sea words; "bread" goes with others. */
static const char *const corpus[] = {
    "the ship sailed over the sea in the storm",
    "the boat sailed over the sea to the harbour",
    "a captain steers the ship past the harbour",
    "a captain steers the boat through the storm",
    "waves of the sea rock the ship",
    "waves of the sea rock the boat",
    "the baker bakes bread in the oven",
    "fresh bread from the oven of the baker",
    "flour and water make bread",
    "the baker kneads flour and water",
};
enum { TEXTS = sizeof corpus / sizeof corpus[0] };

static int give(void *arg, size_t i, const char **text, size_t *n, struct ml_error *err)
{
    *text = corpus[i];
    *n = strlen(corpus[i]);
    return 0;
}

static float dot_of(const struct ml_embedder *e, const char *a, const char *b)
{
    struct ml_embed_work w = {0};
    float p[ML_EMBED_WIDTH], q[ML_EMBED_WIDTH], dot = 0;
    assert_int_equal(ml_embedder_apply(e, &w, a, strlen(a), p, NULL), 0);
    assert_int_equal(ml_embedder_apply(e, &w, b, strlen(b), q, NULL), 0);
    for (int k = 0; k < ML_EMBED_WIDTH; k++)
        dot += p[k] * q[k];
    ml_embed_work_clear(&w);
    return dot;
}

static void test_embed(void **state)
{
    struct ml_embedder e = {0}, again = {0};
    struct ml_error err = {0};
    assert_ok(ml_embedder_fit(&e, TEXTS, give, NULL, 1, &err), err);
    assert_ok(ml_embedder_fit(&again, TEXTS, give, NULL, 1, &err), err);
    assert_memory_equal(e.directions, again.directions, (size_t)ML_EMBED_WIDTH << ML_EMBED_BITS);
    assert_true(fabsf(dot_of(&e, "ship", "ship") - 1) < 1e-4f);
    assert_true(dot_of(&e, "ship", "boat") > dot_of(&e, "ship", "bread") + 0.1f);
    assert_true(dot_of(&e, "", "ship") == 0);
    ml_embedder_clear(&e);
    ml_embedder_clear(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan),  cmocka_unit_test(test_filter),
        cmocka_unit_test(test_hnsw),  cmocka_unit_test(test_search_words),
        cmocka_unit_test(test_bm25),  cmocka_unit_test(test_fuse),
        cmocka_unit_test(test_embed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
