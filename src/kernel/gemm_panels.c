/* Products whose weights stay packed (gemm.h, `panels`): nothing is packed in the call, so a few
 * rows, as in decoding, read the weights as one stream, and many rows, as of a prompt, begin at
 * once. Threads take groups of panels; a sum is one chain over k, so its bits depend on neither the
 * other rows nor the threads. */
#include <string.h>

#include "kernel/gemm_parts.h"

#define PIECE_BYTES (128 << 10) /* of panels a task, in L2 */
#define MIN_TASKS   8
#define ROWS        64 /* of A at a time */

struct panels {
    const struct ml_kernels *kernels;
    const struct ml_gemm *g;
    struct ml_gemm_out out;
    int64_t width, full; /* columns of a panel, full panels */
    int64_t piece;       /* panels a task */
    const float *a;      /* as f32, rows a_row apart */
    int64_t a_row;
    float *sums; /* per thread: [ROWS, piece * width] */
};

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t piece_of(const struct ml_kernels *k, const struct ml_gemm *g)
{
    int64_t width = k->gemm_f32.nr, panels = g->n / width + 1;
    int64_t fits = PIECE_BYTES / (g->k * width * (int64_t)ml_dtype_size(g->b.dtype) + 1);
    int64_t piece = at_most(fits, (panels + MIN_TASKS - 1) / MIN_TASKS) & ~(int64_t)1;
    return piece < 2 ? 2 : piece; /* pairs: one row takes two panels at a time */
}

static bool needs_copy(const struct ml_gemm *g)
{
    return g->a.dtype != ML_F32 || g->a.col != 1;
}

static size_t copy_bytes(const struct ml_gemm *g)
{
    size_t bytes = (size_t)(g->m * g->k) * sizeof(float);
    return needs_copy(g) ? (bytes + 63) & ~(size_t)63 : 0;
}

static size_t sum_floats(const struct ml_kernels *k, const struct ml_gemm *g)
{
    return (size_t)(at_most(g->m, ROWS) * piece_of(k, g) * k->gemm_f32.nr);
}

size_t ml_gemm_panels_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int threads)
{
    return copy_bytes(g) + sum_floats(k, g) * sizeof(float) * (size_t)threads;
}

static void panels_task(void *arg, int64_t task, int worker)
{
    const struct panels *s = arg;
    const struct ml_gemm *g = s->g;
    const struct ml_kernels *k = s->kernels;
    float *sums = s->sums + (size_t)worker * sum_floats(k, g);
    int64_t first = task * s->piece, count = at_most(s->piece, s->full - first);
    int64_t column = first * s->width, n = at_most(s->piece * s->width, g->n - column);
    int64_t size = (int64_t)ml_dtype_size(g->b.dtype);
    const char *w = (const char *)g->b.data + column * g->k * size;
    int64_t rest = n - (count > 0 ? count * s->width : 0); /* columns behind the last full panel */
    for (int64_t i = 0; i < g->m; i += ROWS) {
        int64_t rows = at_most(ROWS, g->m - i);
        const float *a = s->a + i * s->a_row;
        if (count > 0)
            k->panels(rows, count, g->k, sums, n, w, g->b.dtype, a, s->a_row);
        if (rest > 0)
            k->gemv(rows, rest, g->k, sums + n - rest, n, w + (n - rest) * g->k * size, g->b.dtype,
                    g->k, a, s->a_row);
        ml_gemm_finish(k, &s->out, sums, n, i, rows, column, n);
    }
}

void ml_gemm_panels_run(const struct ml_kernels *k, const struct ml_gemm *g, struct ml_pool *pool,
                        void *scratch)
{
    struct panels s = {.kernels = k, .g = g, .width = k->gemm_f32.nr, .piece = piece_of(k, g)};
    ml_gemm_out_init(&s.out, g);
    s.full = g->n / s.width;
    s.sums = (float *)(void *)((char *)scratch + copy_bytes(g));
    s.a = g->a.data;
    s.a_row = g->a.row;
    if (needs_copy(g)) {
        ml_gemm_as_f32(k, &g->a, g->m, g->a.row, g->k, g->a.col, scratch);
        s.a = scratch;
        s.a_row = g->k;
    }
    int64_t columns = s.piece * s.width;
    ml_pool_run(pool, (g->n + columns - 1) / columns, panels_task, &s);
}

size_t ml_gemm_panels_pack_scratch(const struct ml_kernels *k, int64_t depth)
{
    return (size_t)(depth * k->gemm_f32.nr) * sizeof(float);
}

void ml_gemm_panels_pack(const struct ml_kernels *k, void *w, enum ml_dtype type, int64_t n,
                         int64_t depth, void *scratch)
{
    int64_t width = k->gemm_f32.nr;
    size_t bytes = (size_t)(width * depth) * ml_dtype_size(type);
    for (int64_t panel = 0; panel < n / width; panel++) {
        char *at = (char *)w + (size_t)panel * bytes;
        memcpy(scratch, at, bytes);
        for (int64_t j = 0; j < width; j++)
            for (int64_t p = 0; p < depth; p++)
                if (type == ML_F32)
                    ((float *)(void *)at)[p * width + j] = ((float *)scratch)[j * depth + p];
                else
                    ((uint16_t *)(void *)at)[p * width + j] = ((uint16_t *)scratch)[j * depth + p];
    }
}

void ml_gemm_panels_part(const struct ml_kernels *k, void *to, const void *w, enum ml_dtype type,
                         int64_t n, int64_t depth, int64_t row, int64_t first, int64_t count)
{
    int64_t width = k->gemm_f32.nr, panel = row / width;
    bool full = panel < n / width;
    int64_t at = full ? panel * width * depth + first * width + row % width : row * depth + first;
    int64_t step = full ? width : 1;
    for (int64_t p = 0; p < count; p++, at += step)
        if (type == ML_F32)
            ((float *)to)[p] = ((const float *)w)[at];
        else
            ((uint16_t *)to)[p] = ((const uint16_t *)w)[at];
}
