/* Products whose weights stay packed (gemm.h, `panels`): nothing is packed in the call, so a few
 * rows, as in decoding, read the weights as one stream, and many rows, as of a prompt, begin at
 * once. Threads take groups of panels; a sum is one chain over k, so its bits depend on neither the
 * other rows nor the threads. */
#include <string.h>

#include "kernel/gemm_parts.h"

#define PIECE_BYTES (128 << 10) /* of panels a task, in L2 */
#define MIN_TASKS   8
#define ROWS        64 /* of A at a time */

/* One of the products. */
struct part {
    const struct ml_gemm *g;
    struct ml_gemm_out out;
    int64_t full;         /* full panels */
    int64_t piece, tasks; /* panels a task, tasks */
};

struct panels {
    const struct ml_kernels *kernels;
    struct part part[ML_GEMM_TOGETHER];
    bool gated;
    int64_t width;  /* columns of a panel */
    const float *a; /* as f32, rows a_row apart */
    int64_t a_row;
    float *sums; /* per thread: [ROWS, piece * width], twice if gated */
    size_t sum_floats;
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

static size_t most_sums(const struct ml_kernels *k, const struct ml_gemm *g, int count, bool gated)
{
    size_t most = 0;
    for (int i = 0; i < count; i++)
        most = sum_floats(k, g + i) > most ? sum_floats(k, g + i) : most;
    return gated ? 2 * most : most;
}

size_t ml_gemm_together_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int count,
                                bool gated, int threads)
{
    return copy_bytes(g) + most_sums(k, g, count, gated) * sizeof(float) * (size_t)threads;
}

size_t ml_gemm_panels_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int threads)
{
    return ml_gemm_together_scratch(k, g, 1, false, threads);
}

/* Sums of `rows` rows of A from row i on: n columns from panel `first` on. */
static void form_sums(const struct panels *s, const struct part *part, int64_t first, int64_t n,
                      int64_t i, int64_t rows, float *sums)
{
    const struct ml_gemm *g = part->g;
    int64_t count = at_most(part->piece, part->full - first);
    int64_t size = (int64_t)ml_dtype_size(g->b.dtype);
    int64_t rest = n - (count > 0 ? count * s->width : 0); /* columns behind the last full panel */
    const char *w = (const char *)g->b.data + first * s->width * g->k * size;
    const float *a = s->a + i * s->a_row;
    if (count > 0)
        s->kernels->panels(rows, count, g->k, sums, n, w, g->b.dtype, a, s->a_row);
    if (rest > 0)
        s->kernels->gemv(rows, rest, g->k, sums + n - rest, n, w + (n - rest) * g->k * size,
                         g->b.dtype, g->k, a, s->a_row);
}

static void panels_task(void *arg, int64_t task, int worker)
{
    const struct panels *s = arg;
    const struct part *part = s->part;
    float *sums = s->sums + (size_t)worker * s->sum_floats, *other = sums + s->sum_floats / 2;
    for (; task >= part->tasks; part++)
        task -= part->tasks;
    int64_t first = task * part->piece, column = first * s->width;
    int64_t n = at_most(part->piece * s->width, part->g->n - column);
    for (int64_t i = 0; i < part->g->m; i += ROWS) {
        int64_t rows = at_most(ROWS, part->g->m - i);
        form_sums(s, part, first, n, i, rows, sums);
        if (s->gated) {
            form_sums(s, part + 1, first, n, i, rows, other);
            s->kernels->swiglu(rows * n, sums, sums, other);
        }
        ml_gemm_finish(s->kernels, &part->out, sums, n, i, rows, column, n);
    }
}

void ml_gemm_together(const struct ml_kernels *k, const struct ml_gemm *g, int count, bool gated,
                      struct ml_pool *pool, void *scratch)
{
    struct panels s = {.kernels = k, .gated = gated, .width = k->gemm_f32.nr};
    int64_t tasks = 0;
    for (int i = 0; i < count; i++) {
        int64_t piece = piece_of(k, g + i), columns = piece * s.width;
        struct part *part = &s.part[i];
        *part = (struct part){.g = g + i, .full = g[i].n / s.width, .piece = piece};
        part->tasks = gated && i > 0 ? 0 : (g[i].n + columns - 1) / columns;
        ml_gemm_out_init(&part->out, g + i);
        tasks += part->tasks;
    }
    s.sum_floats = most_sums(k, g, count, gated);
    s.sums = (float *)(void *)((char *)scratch + copy_bytes(g));
    s.a = g->a.data;
    s.a_row = g->a.row;
    if (needs_copy(g)) {
        ml_gemm_as_f32(k, &g->a, g->m, g->a.row, g->k, g->a.col, scratch);
        s.a = scratch;
        s.a_row = g->k;
    }
    ml_pool_run(pool, tasks, panels_task, &s);
}

void ml_gemm_panels_run(const struct ml_kernels *k, const struct ml_gemm *g, struct ml_pool *pool,
                        void *scratch)
{
    ml_gemm_together(k, g, 1, false, pool, scratch);
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
