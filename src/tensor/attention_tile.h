/* What attention and its gradient share: geometry, masks, and small products on packed panels.
 *
 * A tile of queries holds some 64 rows: a few positions times all query heads that share one
 * key/value head, so that keys and values are packed once for the whole group. Row r of a tile is
 * position t0 + r / group, head r % group of its group. */
#ifndef ML_TENSOR_ATTENTION_TILE_H
#define ML_TENSOR_ATTENTION_TILE_H

#include "tensor/op.h"
#include "tensor/op_attr.h"

/* Sources of the forward, in order; the gradient has the forward node before and dt behind. */
enum { ATT_Q, ATT_K, ATT_V, ATT_SEGMENTS, ATT_LENGTH, ATT_POSITIONS, ATT_SOURCES };

struct attention {
    const struct ml_kernels *k;
    const struct ml_gemm_kernel *gemm; /* arithmetic of the products */
    const struct ml_tensor *q, *key, *value;
    int64_t batch, queries, keys, q_heads, kv_heads, features; /* B T S Hq Hkv D */
    int64_t group;                                             /* Hq / Hkv */
    int64_t tile_queries, tile_rows, tile_keys;
    int64_t padded_rows, padded_features; /* to whole register tiles */
    bool causal;
    float scale;
    const int32_t *segments, *length, *positions; /* or NULL */
};

void attention_init(struct attention *a, const struct ml_kernels *k,
                    struct ml_tensor *const *sources, const struct attention_attr *attr);

/* Where the keys end that query t of batch b may see (segments aside): [0, end). */
int64_t attention_visible_end(const struct attention *a, int64_t b, int64_t t);
/* The largest such end in the batch element. */
int64_t attention_batch_end(const struct attention *a, int64_t b);
/* False when no query of [t0, t0 + nt) shares a segment with a key of [key0, key0 + nk). */
bool attention_segments_meet(const struct attention *a, int64_t b, int64_t t0, int64_t nt,
                             int64_t key0, int64_t nk);
/* Puts -infinity where key key0 + j is of another segment than query t. */
void attention_mask_segments(const struct attention *a, int64_t b, int64_t t, int64_t key0,
                             int64_t n, float *scores);

/* Copies the rows of a query tile (of q, out or dt: [B,T,Hq,D]) next to each other, unconverted. */
void attention_gather(const struct attention *a, const struct ml_tensor *x, int64_t b, int64_t h0,
                      int64_t t0, int64_t nt, void *rows);

/* Panels: a side of a product, packed as the register tile wants it. */
int64_t panel_round(int64_t n, int64_t step);
size_t panel_bytes(const struct ml_gemm_kernel *g, int width, int64_t k); /* of one panel */
size_t panels_a_bytes(const struct ml_gemm_kernel *g, int64_t rows, int64_t k);
size_t panels_b_bytes(const struct ml_gemm_kernel *g, int64_t cols, int64_t k);
void panels_a(const struct ml_gemm_kernel *g, void *out, const struct ml_matrix *m, int64_t rows,
              int64_t k);
/* m is the right side [k, cols]. `stride`: the k for which the panels were laid out (>= k). */
void panels_b(const struct ml_gemm_kernel *g, void *out, const struct ml_matrix *m, int64_t k,
              int64_t cols, int64_t stride);
struct panel_product {
    int64_t m, n, k;
    const void *a, *b;
    int64_t b_stride; /* the k for which b's panels were laid out */
    float *c;         /* whole register tiles are written: padded rows and columns */
    int64_t c_row;
    bool accumulate;
};
void panels_multiply(const struct ml_gemm_kernel *g, const struct panel_product *p);

/* The [keys, features] matrix of one head, from key0 on. */
struct ml_matrix attention_head(const struct ml_tensor *x, int64_t b, int64_t head, int64_t key0);

#endif
