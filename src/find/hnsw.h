/* Approximate nearest neighbours: hierarchical navigable small worlds (Malkov & Yashunin 2016,
 * arXiv:1603.09320) over a vector set. Deterministic for a seed. */
#ifndef ML_FIND_HNSW_H
#define ML_FIND_HNSW_H

#include "find/vector_set.h"

enum { ML_HNSW_LEVELS = 16 };

/* Zero-initialise, then init. Rows of the set are added in order. */
struct ml_hnsw {
    const struct ml_vector_set *set; /* borrowed */
    int m;                           /* links a row on upper levels; twice as many on the lowest */
    int breadth;                     /* candidates while building */
    uint64_t seed;
    uint32_t *links;  /* [count][1 + 2 m]: how many, then rows, on the lowest level */
    uint32_t **upper; /* [count]: NULL, or [level][1 + m] of levels 1 ... */
    uint8_t *level;   /* [count] */
    size_t count, capacity;
    uint32_t entry;
    int top;        /* -1: empty */
    uint32_t *seen; /* [capacity]: the search that visited the row last */
    uint32_t search;
};
/* m 0: 16; breadth 0: 200. */
int ml_hnsw_init(struct ml_hnsw *index, const struct ml_vector_set *set, int m, int breadth,
                 uint64_t seed);
void ml_hnsw_clear(struct ml_hnsw *index); /* accepts NULL, a zeroed one */
/* Adds the rows that the set has more than the index. cancel may be NULL. */
int ml_hnsw_update(struct ml_hnsw *index, const volatile int *cancel, struct ml_error *err);
/* The k best of `breadth` candidates (at least k; 0: 100), best first. */
int ml_hnsw_search(struct ml_hnsw *index, const float *x, int k, int breadth, struct ml_near *out,
                   int *found, struct ml_error *err);

int ml_hnsw_put(const struct ml_hnsw *index, struct ml_buffer *out, struct ml_error *err);
/* Every link is checked against the set, which must have at least as many rows. */
int ml_hnsw_get(struct ml_hnsw *index, const struct ml_vector_set *set, const uint8_t *bytes,
                size_t n, const char *name, struct ml_error *err);

#endif
