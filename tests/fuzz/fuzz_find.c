/* Index files: any bytes are refused or give an index that can be searched. The first byte chooses
 * vectors, graph, words or embedder. */
#include "fuzz.h"

#include "find/bm25.h"
#include "find/embed.h"
#include "find/hnsw.h"

static void try_vectors(const uint8_t *data, size_t n)
{
    struct ml_vector_set set = {0};
    struct ml_near found[3];
    static const float query[ML_VECTOR_MAX_WIDTH] = {1, 2, 3};
    int count;
    if (ml_vector_set_get(&set, data, n, "fuzz", NULL) == 0)
        ml_vector_set_search(&set, query, 3, NULL, NULL, found, &count, NULL);
    ml_vector_set_clear(&set);
}

static void try_graph(const uint8_t *data, size_t n)
{
    struct ml_vector_set set = {0};
    struct ml_hnsw graph = {0};
    struct ml_near found[3];
    float x[4] = {1, 2, 3, 4};
    int count, status = ml_vector_set_init(&set, 4, NULL);
    for (int i = 0; status == 0 && i < 20; i++) {
        x[i % 4] += (float)i;
        status = ml_vector_set_add(&set, x, NULL);
    }
    if (status == 0 && ml_hnsw_get(&graph, &set, data, n, "fuzz", NULL) == 0)
        ml_hnsw_search(&graph, x, 3, 5, found, &count, NULL);
    ml_hnsw_clear(&graph);
    ml_vector_set_clear(&set);
}

static void try_words(const uint8_t *data, size_t n)
{
    struct ml_bm25 index = {0};
    struct ml_search_words words = {0};
    struct ml_near found[3];
    int count;
    if (ml_bm25_get(&index, data, n, "fuzz", NULL) == 0 &&
        ml_search_words_find(&words, "fox grapes", 10, NULL) == 0)
        ml_bm25_search(&index, &words, 3, NULL, NULL, found, &count, NULL);
    ml_search_words_clear(&words);
    ml_bm25_clear(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ml_embedder embedder = {0};
    if (size == 0)
        return 0;
    switch (data[0] & 3) {
    case 0:
        try_vectors(data + 1, size - 1);
        break;
    case 1:
        try_graph(data + 1, size - 1);
        break;
    case 2:
        try_words(data + 1, size - 1);
        break;
    default:
        ml_embedder_get(&embedder, data + 1, size - 1, "fuzz", NULL);
        ml_embedder_clear(&embedder);
    }
    return 0;
}
