/* Search by words: an inverted index with Okapi BM25 (Robertson & Zaragoza 2009; k1 = 1.2, b =
 * 0.75). Postings are kept as differences of seven bits a byte. */
#ifndef ML_FIND_BM25_H
#define ML_FIND_BM25_H

#include "find/vector_set.h"
#include "text/search_words.h"

struct ml_bm25_term {
    uint64_t hash;             /* 0: a free place */
    uint32_t texts, last;      /* with it; the last of them */
    struct ml_buffer postings; /* texts after the one before, times, ... */
};

/* Zero-initialise. */
struct ml_bm25 {
    struct ml_bm25_term *terms; /* open addressing */
    size_t size, used;
    uint32_t *lengths; /* words of each text */
    size_t count, capacity;
    uint64_t total; /* of lengths */
};
void ml_bm25_clear(struct ml_bm25 *index); /* accepts NULL */
int ml_bm25_add(struct ml_bm25 *index, const struct ml_search_words *words, struct ml_error *err);
/* The k best, best first; `cosine` of a hit is its BM25 score. Texts without any of the words are
 * not found. */
int ml_bm25_search(const struct ml_bm25 *index, const struct ml_search_words *query, int k,
                   ml_vector_filter *filter, void *arg, struct ml_near *out, int *found,
                   struct ml_error *err);

int ml_bm25_put(const struct ml_bm25 *index, struct ml_buffer *out, struct ml_error *err);
int ml_bm25_get(struct ml_bm25 *index, const uint8_t *bytes, size_t n, const char *name,
                struct ml_error *err);

#endif
