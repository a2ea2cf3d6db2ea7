/* Products of a few rows or columns, as in decoding: bound by reading the large operand once, so
 * nothing of it is packed. Threads split the long dimension in pieces that depend on the shape
 * alone. */
#include <string.h>

#include "kernel/gemm_parts.h"

#define ROWS_MAX    16
#define ADD_MAX     4
#define COLS_MAX    4
#define PIECE_BYTES (128 << 10) /* of the large operand, in L2 */
#define PIECE_MAX   512

struct skinny {
    const struct ml_kernels *kernels;
    const struct ml_gemm *g;
    struct ml_gemm_out out;
    enum ml_skinny kind;
    int64_t few, many;    /* rows and columns of the product, or the reverse */
    int64_t piece;        /* of the long dimension, a task */
    const float *vectors; /* the small operand as f32 [few, k] */
    int64_t vector_row;   /* its row stride */
    float *buffers;       /* per thread: sums [few, piece] and one row [piece] */
    int64_t buffer_floats;
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum ml_skinny ml_gemm_skinny(const struct ml_gemm *g)
{
    if (g->m <= ROWS_MAX && g->b.row == 1 && g->n > 1)
        return ML_SKINNY_ROWS;
    if (g->m <= ADD_MAX && g->b.col == 1 && g->n > 1)
        return ML_SKINNY_ADD;
    if (g->n <= COLS_MAX && g->a.col == 1)
        return ML_SKINNY_COLS;
    return ML_SKINNY_NOT;
}

static const struct ml_matrix *small_side(const struct ml_gemm *g, enum ml_skinny kind)
{
    return kind == ML_SKINNY_COLS ? &g->b : &g->a;
}

/* Strides of the small operand seen as [few, k]. */
static void small_strides(const struct ml_gemm *g, enum ml_skinny kind, int64_t *step,
                          int64_t *deep)
{
    *step = kind == ML_SKINNY_COLS ? g->b.col : g->a.row;
    *deep = kind == ML_SKINNY_COLS ? g->b.row : g->a.col;
}

static bool needs_copy(const struct ml_gemm *g, enum ml_skinny kind)
{
    int64_t step, deep;
    small_strides(g, kind, &step, &deep);
    return small_side(g, kind)->dtype != ML_F32 || deep != 1;
}

static int64_t piece_of(const struct ml_gemm *g, enum ml_skinny kind)
{
    const struct ml_matrix *large = kind == ML_SKINNY_COLS ? &g->a : &g->b;
    int64_t bytes = g->k * (int64_t)ml_dtype_size(large->dtype);
    int64_t piece = kind == ML_SKINNY_ADD ? PIECE_MAX : PIECE_BYTES / (bytes + 1);
    piece = piece < 16 ? 16 : piece > PIECE_MAX ? PIECE_MAX : piece & ~(int64_t)15;
    return piece;
}

static size_t copy_bytes(const struct ml_gemm *g, enum ml_skinny kind)
{
    int64_t few = kind == ML_SKINNY_COLS ? g->n : g->m;
    size_t bytes = (size_t)few * (size_t)g->k * sizeof(float);
    return needs_copy(g, kind) ? (bytes + 63) & ~(size_t)63 : 0;
}

static int64_t buffer_floats(const struct ml_gemm *g, enum ml_skinny kind)
{
    int64_t few = kind == ML_SKINNY_COLS ? g->n : g->m;
    return (few + 1) * piece_of(g, kind);
}

size_t ml_gemm_skinny_scratch(const struct ml_gemm *g, enum ml_skinny kind, int threads)
{
    size_t each = (size_t)buffer_floats(g, kind) * sizeof(float);
    return copy_bytes(g, kind) + each * (size_t)threads;
}

void ml_gemm_as_f32(const struct ml_kernels *kernels, const struct ml_matrix *x, int64_t rows,
                    int64_t step, int64_t k, int64_t deep, float *to)
{
    for (int64_t i = 0; i < rows; i++, to += k) {
        int64_t at = i * step;
        if (deep == 1 && x->dtype == ML_BF16) {
            kernels->bf16_to_f32(k, to, (const ml_bf16 *)x->data + at);
        } else if (deep == 1 && x->dtype == ML_F16) {
            kernels->f16_to_f32(k, to, (const uint16_t *)x->data + at);
        } else {
            for (int64_t p = 0; p < k; p++, at += deep)
                to[p] = x->dtype == ML_F32    ? ((const float *)x->data)[at]
                        : x->dtype == ML_BF16 ? ml_bf16_to_f32(((const ml_bf16 *)x->data)[at])
                                              : ml_f16_to_f32(((const uint16_t *)x->data)[at]);
        }
    }
}

static void copy_small(const struct skinny *s, float *to)
{
    int64_t step, deep;
    small_strides(s->g, s->kind, &step, &deep);
    ml_gemm_as_f32(s->kernels, small_side(s->g, s->kind), s->few, step, s->g->k, deep, to);
}

static const void *element(const struct ml_matrix *x, int64_t at)
{
    return (const char *)x->data + at * (int64_t)ml_dtype_size(x->dtype);
}

/* Rows p of B, columns [start, start + n), as f32. */
static const float *row_of(const struct skinny *s, int64_t p, int64_t start, int64_t n, float *row)
{
    const struct ml_matrix *b = &s->g->b;
    const void *src = element(b, p * b->row + start);
    if (b->dtype == ML_F32)
        return src;
    if (b->dtype == ML_BF16)
        s->kernels->bf16_to_f32(n, row, src);
    else
        s->kernels->f16_to_f32(n, row, src);
    return row;
}

static void skinny_task(void *arg, int64_t task, int worker)
{
    const struct skinny *s = arg;
    const struct ml_gemm *g = s->g;
    int64_t start = task * s->piece, n = min64(s->piece, s->many - start);
    float *sums = s->buffers + worker * s->buffer_floats, *row = sums + s->few * n;
    if (s->kind == ML_SKINNY_ADD) {
        s->kernels->fill(s->few * n, sums, 0.0f);
        for (int64_t p = 0; p < g->k; p++) {
            const float *x = row_of(s, p, start, n, row);
            for (int64_t i = 0; i < s->few; i++)
                s->kernels->axpy(n, sums + i * n, s->vectors[i * s->vector_row + p], x);
        }
    } else {
        const struct ml_matrix *x = s->kind == ML_SKINNY_ROWS ? &g->b : &g->a;
        int64_t step = s->kind == ML_SKINNY_ROWS ? x->col : x->row;
        s->kernels->gemv(s->few, n, g->k, sums, n, element(x, start * step), x->dtype, step,
                         s->vectors, s->vector_row);
    }
    if (s->kind != ML_SKINNY_COLS) {
        ml_gemm_finish(s->kernels, &s->out, sums, n, 0, s->few, start, n);
        return;
    }
    /* The sums are columns of C: finish them a row at a time. */
    for (int64_t i = 0; i < n; i++) {
        float across[COLS_MAX] = {0};
        for (int64_t j = 0; j < s->few; j++)
            across[j] = sums[j * n + i];
        ml_gemm_finish(s->kernels, &s->out, across, s->few, start + i, 1, 0, s->few);
    }
}

void ml_gemm_skinny_run(const struct ml_kernels *k, const struct ml_gemm *g, enum ml_skinny kind,
                        struct ml_pool *pool, void *scratch)
{
    bool columns = kind == ML_SKINNY_COLS;
    struct skinny s = {.kernels = k, .g = g, .kind = kind};
    ml_gemm_out_init(&s.out, g);
    s.few = columns ? g->n : g->m;
    s.many = columns ? g->m : g->n;
    s.piece = piece_of(g, kind);
    s.buffer_floats = buffer_floats(g, kind);
    s.buffers = (float *)((char *)scratch + copy_bytes(g, kind));
    if (needs_copy(g, kind)) {
        copy_small(&s, scratch);
        s.vectors = scratch;
        s.vector_row = g->k;
    } else {
        int64_t deep;
        s.vectors = small_side(g, kind)->data;
        small_strides(g, kind, &s.vector_row, &deep);
    }
    ml_pool_run(pool, (s.many + s.piece - 1) / s.piece, skinny_task, &s);
}
