/* Questions to the index: by words and meaning together, and what is nearest to a text. */
#ifndef ML_FIND_FIND_SEARCH_H
#define ML_FIND_FIND_SEARCH_H

#include "find/find_index.h"

enum ml_find_how {
    ML_FIND_BOTH,    /* words and meaning, fused by reciprocal rank */
    ML_FIND_WORDS,   /* BM25 */
    ML_FIND_MEANING, /* embeddings */
};

/* Zero means default. */
struct ml_find_query {
    const char *text; /* UTF-8 */
    size_t size;
    enum ml_find_how how;
    int64_t dataset;  /* only its members; 0: all that are not replaced */
    const char *kind; /* "text", "image" ...; NULL: any */
};

enum { ML_FIND_MARKS = 16 };
struct ml_find_hit {
    int64_t record;
    double score;
    int rank_words, rank_meaning; /* from 1; 0: not among the best hundred */
    float cosine;                 /* 0 when rank_meaning is 0 */
    size_t start, bytes;          /* the passage within the text as it is searched */
};
/* At most k records, best first, each with its best passage. */
int ml_find_search(struct ml_find_index *index, const struct ml_find_query *query, int k,
                   struct ml_find_hit *out, int *found, struct ml_error *err);

/* What a training example has in common with a text: for finding near duplicates and for telling
 * whether a model writes what it has read. */
struct ml_find_relative {
    int64_t record;
    float cosine;
    double overlap; /* share of the text's runs of five words that the record has */
};
/* The k most related records by overlap, then cosine; dataset as above. */
int ml_find_nearest(struct ml_find_index *index, const char *text, size_t n, int64_t dataset, int k,
                    struct ml_find_relative *out, int *found, struct ml_error *err);

/* The part of a text of at most `most` bytes that has most of the query's words; marks: where they
 * stand in it (start, bytes), at most ML_FIND_MARKS. */
struct ml_find_snippet {
    size_t start, bytes;
    int marks;
    struct {
        size_t start, bytes; /* of the text */
    } mark[ML_FIND_MARKS];
};
int ml_find_snippet(struct ml_find_snippet *out, const struct ml_find_query *query,
                    const char *text, size_t n, size_t most, struct ml_error *err);

#endif
