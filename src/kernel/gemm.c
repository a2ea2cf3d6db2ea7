/* The blocking driver of the matrix product.
 *
 * One operand (the smaller) is packed once into panels of the register tile's width and shared; the
 * other is packed block by block, each block by the task that multiplies it, into memory of its
 * own that stays in L2 (after Goto & van de Geijn, "Anatomy of High-Performance Matrix
 * Multiplication", TOMS 2008, and BLIS, van Zee & van de Geijn, TOMS 2015; the shared operand is
 * read from L3, which the tile's width makes cheap).
 *
 *     for each slice of k (KS: bounds the panels)
 *       for each chunk of the shared operand (bounds its memory)
 *         pack the chunk                                  parallel over panels
 *         for each block of the private operand           parallel over blocks
 *           pack the block
 *           for each column panel, for each kc of the slice, for each row tile
 *             tile: an f32 strip of rows x nr in L1/L2
 *           finish the strip while it is hot: scale, add, bias, activation, store
 *
 * kc and KS depend on k and the number format alone, tiles lie on a fixed grid, so neither blocks
 * nor threads change any order of additions. Skinny products go to gemm_skinny.c. */
#include "kernel/gemm.h"

#include <string.h>

#include "kernel/gemm_parts.h"

#define KC_BYTES      2048 /* of k per pass over a strip: nr columns of it are 64 KB */
#define SLICE_BYTES   16384
#define PRIVATE_BYTES (512 << 10) /* half of an L2 of 1 MB */
#define SHARED_BYTES  (8 << 20)
#define STRIP_TILES   16              /* row tiles in a strip */
#define SERIAL_FLOPS  (4 * 64 * 1024) /* below, waking threads costs more than it gives */

enum ml_unary ml_act_unary(enum ml_act act)
{
    switch (act) {
    case ML_ACT_RELU:
        return ML_UNARY_RELU;
    case ML_ACT_RELU2:
        return ML_UNARY_RELU2;
    case ML_ACT_GELU:
        return ML_UNARY_GELU;
    case ML_ACT_GELU_ERF:
        return ML_UNARY_GELU_ERF;
    case ML_ACT_SILU:
        return ML_UNARY_SILU;
    case ML_ACT_TANH:
        return ML_UNARY_TANH;
    case ML_ACT_SIGMOID:
        return ML_UNARY_SIGMOID;
    default:
        return ML_UNARY_COUNT;
    }
}

/* One operand as a grid of panels: A by rows, B by columns. */
struct side {
    const struct ml_matrix *matrix;
    int64_t length;     /* rows of A or columns of B */
    int64_t step, deep; /* strides of that dimension and of k */
    int64_t tiles;      /* panels: ceil(length / width) */
    int width;          /* mr or nr */
    size_t panel_bytes; /* of one slice of k */
    void (*pack)(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                 int64_t rows, int64_t k);
};

struct plan {
    const struct ml_gemm_kernel *kernel;
    struct side a, b;
    bool share_b;
    int64_t kc, ks;       /* elements of k per pass and per slice */
    int64_t chunk;        /* panels of the shared operand at a time */
    int64_t block_max;    /* panels of the private operand in its memory */
    bool direct;          /* tiles may be written to C without a strip */
    size_t shared_bytes;  /* packed chunk */
    size_t private_bytes; /* packed block and strip, per thread */
    size_t block_bytes;   /* the packed block alone */
    size_t partial_bytes; /* f32 sums between slices, for a C that cannot hold them */
};

struct job {
    const struct ml_kernels *kernels;
    const struct ml_gemm *g;
    const struct plan *plan;
    struct ml_gemm_out out;
    char *shared, *private;
    float *partial;
    int64_t k0, depth;    /* the slice */
    int64_t first, count; /* panels of the chunk */
    int64_t block;        /* private panels a task */
};

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t round_up(int64_t a, int64_t b)
{
    return ceil_div(a, b) * b;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static size_t align64(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Splits total into equal parts of at most `most`, each a multiple of 16. */
static int64_t even_part(int64_t total, int64_t most)
{
    return total ? round_up(ceil_div(total, ceil_div(total, most)), 16) : 16;
}

static void side_init(struct side *s, const struct ml_matrix *matrix, int64_t length, int width,
                      size_t depth_bytes)
{
    s->matrix = matrix;
    s->length = length;
    s->width = width;
    s->tiles = ceil_div(length, width);
    s->panel_bytes = align64((size_t)width * depth_bytes);
}

static void plan_init(struct plan *p, const struct ml_kernels *k, const struct ml_gemm *g)
{
    const struct ml_gemm_kernel *u =
        g->bf16 && ml_kernels_have_bf16(k) ? &k->gemm_bf16 : &k->gemm_f32;
    p->kernel = u;
    p->ks = even_part(g->k, SLICE_BYTES / (int64_t)u->element);
    p->kc = even_part(min64(p->ks, g->k), KC_BYTES / (int64_t)u->element);
    size_t depth = (size_t)round_up(min64(p->ks, g->k), u->kr) * u->element;
    side_init(&p->a, &g->a, g->m, u->mr, depth);
    side_init(&p->b, &g->b, g->n, u->nr, depth);
    p->a.step = g->a.row;
    p->a.deep = g->a.col;
    p->a.pack = u->pack_a;
    p->b.step = g->b.col;
    p->b.deep = g->b.row;
    p->b.pack = u->pack_b;
    p->share_b = g->m >= g->n;
    const struct side *shared = p->share_b ? &p->b : &p->a, *own = p->share_b ? &p->a : &p->b;
    int64_t most = SHARED_BYTES / (int64_t)(shared->panel_bytes + 1);
    most = most < 1 ? 1 : most;
    p->chunk = ceil_div(shared->tiles, ceil_div(shared->tiles, most));
    p->block_max = PRIVATE_BYTES / (int64_t)(own->panel_bytes + 1);
    if (p->block_max < 2)
        p->block_max = 2;
    if (p->share_b && p->block_max > STRIP_TILES)
        p->block_max = STRIP_TILES;
    p->block_max = min64(p->block_max, own->tiles);
    p->direct = g->c_dtype == ML_F32 && (g->alpha == 1.0f || g->alpha == 0.0f) && !g->bias &&
                g->act == ML_ACT_NONE && p->kc >= min64(p->ks, g->k);
    p->shared_bytes = (size_t)p->chunk * shared->panel_bytes;
    p->block_bytes = (size_t)p->block_max * own->panel_bytes;
    size_t strip = (size_t)min64(STRIP_TILES, p->a.tiles) * (size_t)(u->mr * u->nr);
    p->private_bytes = p->block_bytes + align64(strip * sizeof(float));
    bool slices = p->ks < g->k;
    p->partial_bytes =
        slices && g->c_dtype != ML_F32 ? align64((size_t)g->m * (size_t)g->n * sizeof(float)) : 0;
}

size_t ml_gemm_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int threads)
{
    if (g->m <= 0 || g->n <= 0)
        return 0;
    enum ml_skinny skinny = ml_gemm_skinny(g);
    if (skinny)
        return ml_gemm_skinny_scratch(g, skinny, threads);
    struct plan p;
    plan_init(&p, k, g);
    return p.shared_bytes + p.private_bytes * (size_t)threads + p.partial_bytes;
}

static void pack_panel(const struct job *j, const struct side *s, int64_t tile, char *panel)
{
    const struct ml_matrix *x = s->matrix;
    int64_t start = tile * s->width, rows = min64(s->width, s->length - start);
    const char *src = (const char *)x->data +
                      (start * s->step + j->k0 * s->deep) * (int64_t)ml_dtype_size(x->dtype);
    s->pack(panel, src, x->dtype, s->step, s->deep, rows, j->depth);
}

static void pack_shared_task(void *arg, int64_t task, int worker)
{
    struct job *j = arg;
    const struct side *s = j->plan->share_b ? &j->plan->b : &j->plan->a;
    pack_panel(j, s, j->first + task, j->shared + (size_t)task * s->panel_bytes);
}

/* Row tiles [i0, i1) against column panel jt, through all of the slice. */
static void strip_run(const struct job *j, int64_t i0, int64_t i1, int64_t jt, const char *pa,
                      const char *pb, float *strip)
{
    const struct plan *p = j->plan;
    const struct ml_gemm *g = j->g;
    const struct ml_gemm_kernel *u = p->kernel;
    int64_t mr = u->mr, nr = u->nr;
    int64_t row = i0 * mr, rows = min64(i1 * mr, g->m) - row;
    int64_t col = jt * nr, cols = min64(nr, g->n - col);
    bool add = j->k0 > 0 || g->accumulate;
    int64_t full = p->direct && cols == nr ? rows / mr : 0; /* tiles that go straight to C */
    float *c = (float *)g->c + row * g->c_row + col;
    for (int64_t i = 0; i < full; i++)
        u->tile(j->depth, pa + (size_t)i * p->a.panel_bytes, pb, c + i * mr * g->c_row, g->c_row,
                add);
    if (full == i1 - i0)
        return;
    for (int64_t q = 0; q < j->depth; q += p->kc) {
        int64_t depth = min64(p->kc, j->depth - q);
        const char *a = pa + (size_t)(q * mr) * u->element;
        const char *b = pb + (size_t)(q * nr) * u->element;
        for (int64_t i = full; i < i1 - i0; i++)
            u->tile(depth, a + (size_t)i * p->a.panel_bytes, b, strip + (i - full) * mr * nr, nr,
                    q > 0);
    }
    struct ml_gemm_out out = j->out;
    bool last = j->k0 + j->depth == g->k;
    if (!last) {
        out.bias = NULL;
        out.act = ML_ACT_NONE;
    }
    if (j->partial) {
        out.base = j->k0 > 0 ? j->partial : NULL;
        out.base_row = g->n;
        if (!last) {
            out.c = j->partial;
            out.c_row = g->n;
            out.c_dtype = ML_F32;
        }
    } else {
        out.base = add ? g->c : NULL;
    }
    ml_gemm_finish(j->kernels, &out, strip, nr, row + full * mr, rows - full * mr, col, cols);
}

static void multiply_task(void *arg, int64_t task, int worker)
{
    const struct job *j = arg;
    const struct plan *p = j->plan;
    const struct side *own = p->share_b ? &p->a : &p->b;
    char *block = j->private + (size_t)worker * p->private_bytes;
    float *strip = (float *)(block + p->block_bytes);
    int64_t first = task * j->block, last = min64(first + j->block, own->tiles);
    for (int64_t t = first; t < last; t++)
        pack_panel(j, own, t, block + (size_t)(t - first) * own->panel_bytes);
    if (p->share_b) {
        for (int64_t t = 0; t < j->count; t++)
            strip_run(j, first, last, j->first + t, block, j->shared + (size_t)t * p->b.panel_bytes,
                      strip);
        return;
    }
    for (int64_t i = 0; i < j->count; i += STRIP_TILES) {
        int64_t end = min64(i + STRIP_TILES, j->count);
        for (int64_t t = first; t < last; t++)
            strip_run(j, j->first + i, j->first + end, t, j->shared + (size_t)i * p->a.panel_bytes,
                      block + (size_t)(t - first) * own->panel_bytes, strip);
    }
}

/* Panels a task: the longest thread's work, where each task costs a little extra, is least. At
 * least four tasks a thread where there are enough, so that a slow thread does not hold up all. */
static int64_t pick_block(int64_t tiles, int64_t most, int threads)
{
    if (threads == 1 || tiles <= threads)
        return threads == 1 ? min64(most, tiles) : 1;
    int64_t cap = tiles / (4 * threads), best = 1;
    double least = 0;
    cap = cap < 1 ? 1 : min64(cap, most);
    for (int64_t b = 1; b <= cap; b++) {
        double cost = (double)ceil_div(ceil_div(tiles, b), threads) * ((double)b + 0.3);
        if (b == 1 || cost <= least) {
            least = cost;
            best = b;
        }
    }
    return best;
}

/* k = 0: an empty sum, finished like any other. */
static void run_empty(const struct ml_kernels *k, const struct ml_gemm *g)
{
    struct ml_gemm_out out;
    ml_gemm_out_init(&out, g);
    for (int64_t row = 0; row < g->m; row++)
        for (int64_t col = 0; col < g->n; col += 64) {
            float zeros[64] = {0};
            ml_gemm_finish(k, &out, zeros, 64, row, 1, col, min64(64, g->n - col));
        }
}

void ml_gemm_run(const struct ml_kernels *k, const struct ml_gemm *g, struct ml_pool *pool,
                 void *scratch)
{
    if (g->m <= 0 || g->n <= 0)
        return;
    if (g->k <= 0) {
        run_empty(k, g);
        return;
    }
    if (pool && 2 * g->m * g->n * g->k < SERIAL_FLOPS)
        pool = NULL;
    enum ml_skinny skinny = ml_gemm_skinny(g);
    if (skinny) {
        ml_gemm_skinny_run(k, g, skinny, pool, scratch);
        return;
    }
    struct plan p;
    plan_init(&p, k, g);
    struct job job = {.kernels = k, .g = g, .plan = &p, .shared = scratch};
    ml_gemm_out_init(&job.out, g);
    int threads = ml_pool_threads(pool);
    job.private = job.shared + p.shared_bytes;
    if (p.partial_bytes)
        job.partial = (float *)(job.private + p.private_bytes * (size_t)threads);
    const struct side *shared = p.share_b ? &p.b : &p.a, *own = p.share_b ? &p.a : &p.b;
    job.block = pick_block(own->tiles, p.block_max, threads);
    for (job.k0 = 0; job.k0 < g->k; job.k0 += p.ks) {
        job.depth = min64(p.ks, g->k - job.k0);
        for (job.first = 0; job.first < shared->tiles; job.first += p.chunk) {
            job.count = min64(p.chunk, shared->tiles - job.first);
            ml_pool_run(pool, job.count, pack_shared_task, &job);
            ml_pool_run(pool, ceil_div(own->tiles, job.block), multiply_task, &job);
        }
    }
}
