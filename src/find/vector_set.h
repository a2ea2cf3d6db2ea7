/* Vectors for nearest-neighbour search by cosine: each scaled to length 1 and kept in 8 bits a
 * number (127 is its largest), one scale a row. For 384 numbers the cosine is off by some 0.002. */
#ifndef ML_FIND_VECTOR_SET_H
#define ML_FIND_VECTOR_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "kernel/table.h"

enum { ML_VECTOR_MAX_WIDTH = 4096 };

/* Zero-initialise, then init. */
struct ml_vector_set {
    struct ml_kernels kernels;
    int width, stride; /* stride: width rounded up to 64, zeros behind */
    int8_t *rows;      /* [count][stride] */
    float *scale;      /* [count]: number / scale is the value */
    size_t count, capacity;
};
int ml_vector_set_init(struct ml_vector_set *set, int width, struct ml_error *err);
void ml_vector_set_clear(struct ml_vector_set *set); /* accepts NULL, a zeroed one */
/* x: [width], any length; all zeros (or a NaN in it) is like nothing. */
int ml_vector_set_add(struct ml_vector_set *set, const float *x, struct ml_error *err);
/* Scaled and in 8 bits, as rows are: q [stride]. */
void ml_vector_quantise(const struct ml_vector_set *set, const float *x, int8_t *q, float *scale);

struct ml_near {
    uint32_t row;
    float cosine;
};
/* Rows that may be found; NULL: all. */
typedef bool ml_vector_filter(void *arg, uint32_t row);
/* The k most similar rows, best first (equals: the lower row first); fewer when there are fewer.
 * Exact over the numbers that are kept. */
int ml_vector_set_search(const struct ml_vector_set *set, const float *x, int k,
                         ml_vector_filter *filter, void *arg, struct ml_near *out, int *found,
                         struct ml_error *err);

/* Appends to / reads from bytes of an index file (little-endian). Every number is checked. */
int ml_vector_set_put(const struct ml_vector_set *set, struct ml_buffer *out, struct ml_error *err);
int ml_vector_set_get(struct ml_vector_set *set, const uint8_t *bytes, size_t n, const char *name,
                      struct ml_error *err);

/* A list of the k best so far, kept as a heap with the worst on top. */
struct ml_near_heap {
    struct ml_near *items;
    int count, most;
};
void ml_near_heap_put(struct ml_near_heap *heap, struct ml_near item);
void ml_near_heap_sort(struct ml_near_heap *heap); /* best first */

#endif
