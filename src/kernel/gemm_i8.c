/* Blocking and threads of the int8 product.
 *
 * Sums of a block of rows and one panel of columns are made in a strip of 32-bit integers in L1/L2,
 * part by part of k (KC, so that the panel's part stays in L1), then scaled and written once.
 *
 *     many rows:  for each block of rows        parallel; packed by the task, stays in L2
 *                   for each panel of W
 *     few rows:   pack A                        parallel over row tiles; shared
 *                 for each range of panels      parallel; each weight is read once
 *
 * Few rows are bound by memory: the floor is n * k bytes of weights at the memory's speed, a
 * quarter of f32's. A table that multiplies wider numbers (AVX2) widens a panel's part once for all
 * tiles, or where tiles are few while it reads. */
#include "kernel/gemm_i8.h"

#include <math.h>
#include <string.h>

#define KC           512
#define BLOCK_BYTES  (192 << 10) /* of a packed block: less than half of an L2 of 512 KB */
#define BLOCK_LEAST  8           /* row tiles: the widening of a panel is shared by as many */
#define BLOCK_MOST   32
#define SHARED_BYTES (3 << 19) /* of a packed A, below which rows are few */
#define WIDEN_TILES  3         /* from so many row tiles on panels are widened first */
#define RANGE_PANELS 8
#define SERIAL_OPS   (8 * 64 * 1024) /* below, waking threads costs more than it gives */

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static size_t align64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

struct plan {
    const struct ml_gemm_i8_kernel *kernel;
    int64_t depth;  /* k, rounded up to kr */
    int64_t tiles;  /* of mr rows */
    int64_t panels; /* of nr columns */
    bool few;       /* A is packed once for all */
    int64_t block;  /* row tiles a task (few: all of them) */
    size_t a_bytes; /* of a packed block */
    size_t wide;    /* of a widened part */
    size_t own;     /* of scratch for one thread */
};

struct job {
    const struct ml_kernels *kernels;
    const struct ml_gemm_i8 *g;
    struct plan p;
    char *shared, *private;
};

size_t ml_i8_weights_size(const struct ml_kernels *k, int64_t n, int64_t depth)
{
    const struct ml_gemm_i8_kernel *u = &k->gemm_i8;
    if (depth > ML_I8_MOST_K)
        return 0;
    size_t columns = (size_t)(ceil_div(n, u->nr) * u->nr);
    size_t deep = (size_t)(ceil_div(depth, u->kr) * u->kr);
    return 2 * align64(columns * 4) + columns * deep + 64;
}

/* Lays the memory out. Writable views of what *out shows. */
static int8_t *weights_init(const struct ml_kernels *k, struct ml_i8_weights *out, void *memory,
                            int64_t n, int64_t depth, float **scale, int32_t **sum)
{
    size_t bytes = align64((size_t)(ceil_div(n, k->gemm_i8.nr) * k->gemm_i8.nr) * 4);
    memset(memory, 0, ml_i8_weights_size(k, n, depth));
    *scale = memory;
    *sum = (int32_t *)((char *)memory + bytes);
    int8_t *panels = (int8_t *)memory + 2 * bytes;
    *out = (struct ml_i8_weights){n, depth, *scale, *sum, panels};
    return panels;
}

/* Where weight (j, p) stands. */
static int64_t panel_at(const struct ml_gemm_i8_kernel *u, int64_t depth, int64_t j, int64_t p)
{
    int64_t deep = ceil_div(depth, u->kr) * u->kr;
    return j / u->nr * u->nr * deep + p / u->kr * u->nr * u->kr + j % u->nr * u->kr + p % u->kr;
}

void ml_i8_weights_pack(const struct ml_kernels *k, struct ml_i8_weights *out, void *memory,
                        int64_t n, int64_t depth, const int8_t *w, int64_t row, const float *scale)
{
    float *scales;
    int32_t *sums;
    int8_t *panels = weights_init(k, out, memory, n, depth, &scales, &sums);
    for (int64_t j = 0; j < n; j++) {
        scales[j] = scale[j];
        for (int64_t p = 0; p < depth; p++) {
            panels[panel_at(&k->gemm_i8, depth, j, p)] = w[j * row + p];
            sums[j] += w[j * row + p];
        }
    }
}

static float weight_at(const struct ml_matrix *w, int64_t j, int64_t p)
{
    int64_t at = j * w->row + p * w->col;
    if (w->dtype == ML_F32)
        return ((const float *)w->data)[at];
    uint16_t half = ((const uint16_t *)w->data)[at];
    return w->dtype == ML_BF16 ? ml_bf16_to_f32(half) : ml_f16_to_f32(half);
}

void ml_i8_weights_quantize(const struct ml_kernels *k, struct ml_i8_weights *out, void *memory,
                            int64_t n, int64_t depth, const struct ml_matrix *w)
{
    float *scales;
    int32_t *sums;
    int8_t *panels = weights_init(k, out, memory, n, depth, &scales, &sums);
    for (int64_t j = 0; j < n; j++) {
        float most = 0;
        bool finite = true;
        for (int64_t p = 0; p < depth; p++) {
            float size = fabsf(weight_at(w, j, p));
            finite &= isfinite(size) != 0;
            most = size > most ? size : most;
        }
        scales[j] = finite ? most / 127 : NAN;
        /* So small a row that its inverse is not a number is zero. */
        float inverse = finite && most > 1e-35f ? 127 / most : 0;
        for (int64_t p = 0; p < depth && inverse > 0; p++) {
            int8_t q = (int8_t)lrintf(weight_at(w, j, p) * inverse);
            panels[panel_at(&k->gemm_i8, depth, j, p)] = q;
            sums[j] += q;
        }
    }
}

struct quantize_job {
    const struct ml_kernels *kernels;
    int64_t m, depth;
    const float *x;
    int64_t x_row;
    const struct ml_i8_rows *to;
};

#define QUANTIZE_ROWS 16 /* a task */

static void quantize_task(void *arg, int64_t task, int worker)
{
    const struct quantize_job *j = arg;
    const struct ml_i8_rows *to = j->to;
    int64_t last = min64((task + 1) * QUANTIZE_ROWS, j->m);
    for (int64_t i = task * QUANTIZE_ROWS; i < last; i++)
        j->kernels->gemm_i8.quantize(j->depth, (uint8_t *)(uintptr_t)to->data + i * to->row,
                                     j->x + i * j->x_row, (float *)(uintptr_t)to->scale + i,
                                     (int32_t *)(uintptr_t)to->zero + i);
}

void ml_i8_quantize_rows(const struct ml_kernels *k, struct ml_pool *pool, int64_t m, int64_t depth,
                         const float *x, int64_t x_row, const struct ml_i8_rows *to)
{
    struct quantize_job job = {k, m, depth, x, x_row, to};
    ml_pool_run(m > QUANTIZE_ROWS ? pool : NULL, ceil_div(m, QUANTIZE_ROWS), quantize_task, &job);
}

static void plan_init(struct plan *p, const struct ml_kernels *k, const struct ml_gemm_i8 *g,
                      int threads)
{
    const struct ml_gemm_i8_kernel *u = &k->gemm_i8;
    *p = (struct plan){.kernel = u};
    p->depth = ceil_div(g->w->k, u->kr) * u->kr;
    p->tiles = ceil_div(g->m, u->mr);
    p->panels = ceil_div(g->w->n, u->nr);
    int64_t tile_bytes = u->mr * p->depth * (int64_t)u->element;
    p->few = p->tiles * tile_bytes <= SHARED_BYTES;
    p->block = p->tiles;
    if (!p->few) {
        int64_t fits = BLOCK_BYTES / (tile_bytes > 0 ? tile_bytes : 1);
        int64_t even = ceil_div(p->tiles, 4 * threads);
        p->block = min64(fits, even);
        p->block = min64(p->block < BLOCK_LEAST ? BLOCK_LEAST : p->block, BLOCK_MOST);
    }
    p->a_bytes = align64((size_t)(p->block * tile_bytes));
    p->wide = u->widen ? align64((size_t)(KC * u->nr) * u->element) : 0;
    p->own = (p->few ? 0 : p->a_bytes) + p->wide +
             align64((size_t)(p->block * u->mr * u->nr) * sizeof(int32_t));
}

size_t ml_gemm_i8_scratch(const struct ml_kernels *k, const struct ml_gemm_i8 *g, int threads)
{
    struct plan p;
    plan_init(&p, k, g, threads);
    return (p.few ? p.a_bytes : 0) + p.own * (size_t)threads;
}

/* Row tile `tile` of A into place t of a block of `tiles`: all parts of k, each part's tiles one
 * after the other. */
static void pack_tile(const struct job *j, char *block, int64_t tiles, int64_t t, int64_t tile)
{
    const struct ml_gemm_i8_kernel *u = j->p.kernel;
    const struct ml_gemm_i8 *g = j->g;
    int64_t row = tile * u->mr, rows = min64(u->mr, g->m - row);
    for (int64_t q = 0; q < g->w->k; q += KC) {
        int64_t deep = min64(KC, j->p.depth - q);
        u->pack_a(block + (size_t)((q * tiles + t * deep) * u->mr) * u->element,
                  g->a.data + row * g->a.row + q, g->a.row, rows, min64(KC, g->w->k - q));
    }
}

/* C's lines for rows [row, row + rows) of panel jt come while the sums are made. */
static void prefetch_c(const struct job *j, int64_t row, int64_t rows, int64_t jt)
{
    const struct ml_gemm_i8 *g = j->g;
    size_t size = ml_dtype_size(g->c_dtype);
    const char *c = g->c;
    for (int64_t i = row; i < row + rows; i++)
        for (int64_t at = 0; at < j->p.kernel->nr; at += 16)
            __builtin_prefetch(c + (size_t)(i * g->c_row + jt * j->p.kernel->nr + at) * size, 1);
}

/* Sums of `tiles` row tiles (the last of which may have fewer rows) and panel jt. */
static void make_sums(const struct job *j, const char *a, int64_t tiles, int64_t row, int64_t rows,
                      int64_t jt, int8_t *wide, int32_t *sums)
{
    const struct ml_gemm_i8_kernel *u = j->p.kernel;
    int64_t area = u->mr * u->nr;
    bool full = !u->widen || tiles >= WIDEN_TILES;
    for (int64_t q = 0; q < j->p.depth; q += KC) {
        int64_t deep = min64(KC, j->p.depth - q);
        const int8_t *w = j->g->w->panels + jt * u->nr * j->p.depth + q * u->nr;
        if (full && u->widen) {
            u->widen(wide, w, deep);
            w = wide;
        }
        for (int64_t t = 0; t < tiles; t++) {
            int64_t left = min64(u->mr, rows - t * u->mr);
            if (q + deep == j->p.depth)
                prefetch_c(j, row + t * u->mr, left, jt);
            if (full && (left == u->mr || u->widen))
                u->tile(deep, a, w, sums + t * area, q > 0);
            else
                u->few(deep, left, a, w, sums + t * area, q > 0);
            a += (size_t)(u->mr * deep) * u->element;
        }
    }
}

/* Sums that are complete become rows [row, row + rows) of panel jt of C: integers. */
static void finish_whole(const struct job *j, const int32_t *sums, int64_t row, int64_t rows,
                         int64_t col, int64_t cols)
{
    const struct ml_gemm_i8 *g = j->g;
    for (int64_t i = 0; i < rows; i++, sums += j->p.kernel->nr) {
        int32_t *c = (int32_t *)g->c + (row + i) * g->c_row + col;
        for (int64_t at = 0; at < cols; at++)
            c[at] = sums[at] - g->a.zero[row + i] * g->w->sum[col + at];
    }
}

/* The same: numbers, with bias and activation. */
static void finish(const struct job *j, int32_t *sums, int64_t row, int64_t rows, int64_t jt)
{
    const struct ml_kernels *k = j->kernels;
    const struct ml_gemm_i8 *g = j->g;
    int64_t nr = j->p.kernel->nr, col = jt * nr, cols = min64(nr, g->w->n - col);
    float *y = (float *)sums;
    struct ml_i8_sums s = {sums,
                           nr,
                           g->a.zero + row,
                           g->a.scale + row,
                           g->w->sum + col,
                           g->w->scale + col,
                           g->bias ? g->bias + col : NULL};
    if (g->c_dtype == ML_I32) {
        finish_whole(j, sums, row, rows, col, cols);
        return;
    }
    if (g->act == ML_ACT_NONE && g->c_dtype == ML_F32) {
        k->gemm_i8.scale(rows, cols, (float *)g->c + row * g->c_row + col, g->c_row, &s);
        return;
    }
    k->gemm_i8.scale(rows, cols, y, nr, &s);
    if (g->act != ML_ACT_NONE)
        for (int64_t i = 0; i < rows; i++)
            k->unary[ml_act_unary(g->act)](cols, y + i * nr, y + i * nr);
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = (row + i) * g->c_row + col;
        if (g->c_dtype == ML_BF16)
            k->f32_to_bf16(cols, (ml_bf16 *)g->c + at, y + i * nr);
        else
            memcpy((float *)g->c + at, y + i * nr, (size_t)cols * sizeof(float));
    }
}

static void multiply(const struct job *j, const char *a, int64_t tile, int64_t tiles, int64_t first,
                     int64_t last, char *own)
{
    int64_t mr = j->p.kernel->mr, row = tile * mr, rows = min64(tiles * mr, j->g->m - row);
    int8_t *wide = (int8_t *)own;
    int32_t *sums = (int32_t *)(own + j->p.wide);
    for (int64_t jt = first; jt < last; jt++) {
        make_sums(j, a, tiles, row, rows, jt, wide, sums);
        finish(j, sums, row, rows, jt);
    }
}

static void block_task(void *arg, int64_t task, int worker)
{
    const struct job *j = arg;
    char *own = j->private + (size_t)worker * j->p.own;
    int64_t tile = task * j->p.block, tiles = min64(j->p.block, j->p.tiles - tile);
    for (int64_t t = 0; t < tiles; t++)
        pack_tile(j, own, tiles, t, tile + t);
    multiply(j, own, tile, tiles, 0, j->p.panels, own + j->p.a_bytes);
}

static void pack_task(void *arg, int64_t task, int worker)
{
    const struct job *j = arg;
    pack_tile(j, j->shared, j->p.tiles, task, task);
}

static void range_task(void *arg, int64_t task, int worker)
{
    const struct job *j = arg;
    int64_t first = task * RANGE_PANELS;
    multiply(j, j->shared, 0, j->p.tiles, first, min64(first + RANGE_PANELS, j->p.panels),
             j->private + (size_t)worker * j->p.own);
}

void ml_gemm_i8_run(const struct ml_kernels *k, const struct ml_gemm_i8 *g, struct ml_pool *pool,
                    void *scratch)
{
    if (g->m <= 0 || g->w->n <= 0)
        return;
    struct job j = {.kernels = k, .g = g, .shared = scratch};
    plan_init(&j.p, k, g, ml_pool_threads(pool));
    j.private = j.shared + (j.p.few ? j.p.a_bytes : 0);
    if (g->w->k <= 0) /* empty sums */
        memset(scratch, 0, ml_gemm_i8_scratch(k, g, 1));
    if (g->m * g->w->n * g->w->k < SERIAL_OPS)
        pool = NULL;
    if (j.p.few) {
        ml_pool_run(j.p.tiles > BLOCK_LEAST ? pool : NULL, j.p.tiles, pack_task, &j);
        ml_pool_run(pool, ceil_div(j.p.panels, RANGE_PANELS), range_task, &j);
    } else {
        ml_pool_run(pool, ceil_div(j.p.tiles, j.p.block), block_task, &j);
    }
}
