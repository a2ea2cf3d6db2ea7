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
 *           for each part of k (KC, a column panel of it stays in L1)
 *             pack the block's part
 *             for each column panel, for each row tile
 *               tile: sums of mr x nr in registers, added to C
 *           finish: bias, activation
 *
 * A C that cannot hold f32 sums gets them from a strip: there the block is packed for the whole
 * slice, each strip of rows x nr adds up all parts of k in L1/L2 and is finished while it is hot.
 *
 * KC and KS depend on k and the number formats alone, tiles lie on a fixed grid, so neither blocks
 * nor threads change any order of additions. Skinny products go to gemm_skinny.c. */
#include "kernel/gemm.h"

#include <string.h>

#include "kernel/gemm_parts.h"

#define SLICE_BYTES   16384 /* of k */
#define DIRECT_SLICE  2048  /* of k, where sums are added up in C: what is shared stays near */
#define PRIVATE_BYTES (192 << 10) /* of a block: less than half of an L2 of 512 KB */
#define SHARED_BYTES  (8 << 20)
#define STRIP_TILES   16              /* row tiles in a strip */
#define PACK_STEPS    64              /* of k at a time, where panels are cut from shared lines */
#define PACK_TILES    8               /* panels a packing task */
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
    void (*pack)(void *panel, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                 int64_t rows, int64_t k);
};

struct plan {
    const struct ml_gemm_kernel *kernel;
    struct side a, b;
    bool share_b;
    bool direct;          /* sums are added up in C itself */
    int64_t kc, ks;       /* elements of k per part and per slice */
    int64_t own_depth;    /* of the packed block: kc where direct, else ks */
    int64_t chunk;        /* panels of the shared operand at a time */
    int64_t block_max;    /* panels of the private operand in its memory */
    size_t shared_panel;  /* bytes of a shared panel: ks deep */
    size_t own_panel;     /* bytes of a private panel: own_depth deep */
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
    int threads;
};

/* Memory that will be packed after this part: some of its lines are asked for with every tile. */
struct ahead {
    const char *row;
    int64_t rows, stride; /* rows left, bytes from one to the next */
    int64_t lines, line;  /* of 64 bytes in a row, and the next one */
    int64_t each;         /* lines a tile */
};

/* A part of the slice that a task multiplies: where it begins, how deep it is, and the panels. */
struct part {
    int64_t k, depth; /* of all k */
    const char *a, *b;
    size_t a_panel, b_panel; /* bytes from panel to panel */
    const char *next;        /* the column panel that comes next, or NULL where it is in L2 */
    struct ahead ahead;
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

/* Splits total into equal parts of at most `most`, each a multiple of 32: whatever is packed
 * together (kr) divides it. */
static int64_t even_part(int64_t total, int64_t most)
{
    return total ? round_up(ceil_div(total, ceil_div(total, most)), 32) : 32;
}

static void side_init(struct side *s, const struct ml_matrix *matrix, int64_t length, int width)
{
    s->matrix = matrix;
    s->length = length;
    s->width = width;
    s->tiles = ceil_div(length, width);
}

static size_t panel_bytes(const struct plan *p, const struct side *s, int64_t depth)
{
    return align64((size_t)(round_up(depth, p->kernel->kr) * s->width) * p->kernel->element);
}

/* How much of each operand is packed at a time. */
static void plan_sizes(struct plan *p, const struct ml_gemm *g)
{
    const struct side *shared = p->share_b ? &p->b : &p->a, *own = p->share_b ? &p->a : &p->b;
    const struct ml_gemm_kernel *u = p->kernel;
    int64_t deepest = min64(p->ks, g->k);
    p->own_depth = p->direct ? min64(p->kc, g->k) : deepest;
    p->shared_panel = panel_bytes(p, shared, deepest);
    p->own_panel = panel_bytes(p, own, p->own_depth);
    int64_t most = SHARED_BYTES / (int64_t)(p->shared_panel + 1);
    most = most < 1 ? 1 : most;
    p->chunk = ceil_div(shared->tiles, ceil_div(shared->tiles, most));
    p->block_max = PRIVATE_BYTES / (int64_t)(p->own_panel + 1);
    if (p->block_max < 2)
        p->block_max = 2;
    if (p->share_b && !p->direct && p->block_max > STRIP_TILES)
        p->block_max = STRIP_TILES;
    p->block_max = min64(p->block_max, own->tiles);
    p->block_bytes = (size_t)p->block_max * p->own_panel;
    size_t strip = p->direct ? 1 : (size_t)min64(STRIP_TILES, p->a.tiles);
    p->private_bytes = p->block_bytes + align64(strip * (size_t)(u->mr * u->nr) * sizeof(float));
    bool slices = p->ks < g->k;
    p->partial_bytes =
        slices && !p->direct ? align64((size_t)g->m * (size_t)g->n * sizeof(float)) : 0;
}

static void plan_init(struct plan *p, const struct ml_kernels *k, const struct ml_gemm *g)
{
    const struct ml_gemm_kernel *u =
        g->bf16 && ml_kernels_have_bf16(k) ? &k->gemm_bf16 : &k->gemm_f32;
    p->kernel = u;
    p->direct = g->c_dtype == ML_F32 && (g->alpha == 1.0f || g->alpha == 0.0f);
    p->ks = even_part(g->k, (p->direct ? DIRECT_SLICE : SLICE_BYTES) / (int64_t)u->element);
    p->kc = even_part(min64(p->ks, g->k), u->panel / (int64_t)u->element / u->nr);
    side_init(&p->a, &g->a, g->m, u->mr);
    side_init(&p->b, &g->b, g->n, u->nr);
    p->a.step = g->a.row;
    p->a.deep = g->a.col;
    p->a.pack = u->pack_a;
    p->b.step = g->b.col;
    p->b.deep = g->b.row;
    p->b.pack = u->pack_b;
    p->share_b = g->m >= g->n;
    plan_sizes(p, g);
}

size_t ml_gemm_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int threads)
{
    if (g->m <= 0 || g->n <= 0)
        return 0;
    if (g->panels)
        return ml_gemm_panels_scratch(k, g, threads);
    enum ml_skinny skinny = ml_gemm_skinny(g);
    if (skinny)
        return ml_gemm_skinny_scratch(g, skinny, threads);
    struct plan p;
    plan_init(&p, k, g);
    return (size_t)p.chunk * p.shared_panel + p.private_bytes * (size_t)threads + p.partial_bytes;
}

/* Packs [k, k + depth) of panels [first, last), each `bytes` after the one before. Where k is not
 * adjacent, panels are cut from lines that several of them share: some steps of k are packed into
 * all panels before the next steps, while the lines are in L1. */
static void pack_panels(const struct side *s, int64_t first, int64_t last, int64_t k, int64_t depth,
                        char *to, size_t bytes, size_t element)
{
    const struct ml_matrix *x = s->matrix;
    int64_t size = (int64_t)ml_dtype_size(x->dtype), steps = s->deep == 1 ? depth : PACK_STEPS;
    for (int64_t q = 0; q < depth; q += steps) {
        for (int64_t t = first; t < last; t++) {
            int64_t start = t * s->width;
            const char *src = (const char *)x->data + (start * s->step + (k + q) * s->deep) * size;
            s->pack(to + (size_t)(t - first) * bytes + (size_t)(q * s->width) * element, src,
                    x->dtype, s->step, s->deep, min64(s->width, s->length - start),
                    min64(steps, depth - q));
        }
    }
}

static void pack_shared_task(void *arg, int64_t task, int worker)
{
    struct job *j = arg;
    const struct plan *p = j->plan;
    int64_t first = task * PACK_TILES, last = min64(first + PACK_TILES, j->count);
    pack_panels(p->share_b ? &p->b : &p->a, j->first + first, j->first + last, j->k0, j->depth,
                j->shared + (size_t)first * p->shared_panel, p->shared_panel, p->kernel->element);
}

/* The tile at the edge of C: mr x nr sums in `sums`, of which rows x cols belong to c. */
static void edge_store(float *c, int64_t ldc, const float *sums, int64_t nr, int64_t rows,
                       int64_t cols, bool add)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < cols; k++)
            c[i * ldc + k] = add ? c[i * ldc + k] + sums[i * nr + k] : sums[i * nr + k];
}

/* Asks for the i-th of n pieces of the next column panel, which lies in L3. */
static void prefetch_next(const struct part *part, int64_t i, int64_t n, size_t bytes)
{
    size_t piece = (size_t)ceil_div((int64_t)bytes, 64 * n) * 64;
    for (size_t at = (size_t)i * piece; at < (size_t)(i + 1) * piece; at += 64)
        __builtin_prefetch(part->next + at, 0, 2);
}

static void prefetch_ahead(struct ahead *h)
{
    for (int64_t i = 0; i < h->each && h->rows > 0; i++) {
        __builtin_prefetch(h->row + h->line * 64, 0, 2);
        if (++h->line == h->lines) {
            h->line = 0;
            h->row += h->stride;
            h->rows--;
        }
    }
}

/* What is packed after [k, k + depth) of panels [first, last): by the same task, or, as far as one
 * can tell, by the next task of this thread. */
static struct ahead ahead_of(const struct job *j, int64_t first, int64_t last, int64_t k,
                             int64_t depth)
{
    const struct plan *p = j->plan;
    const struct side *own = p->share_b ? &p->a : &p->b;
    int64_t size = (int64_t)ml_dtype_size(own->matrix->dtype), end = j->k0 + j->depth;
    int64_t tiles = (last - first) * j->count;
    k += depth;
    if (k >= end) {
        k = j->k0;
        first += j->threads * j->block;
        last = min64(first + j->block, own->tiles);
    }
    if (first >= own->tiles)
        return (struct ahead){0};
    int64_t start = first * own->width, rows = min64(last * own->width, own->length) - start;
    int64_t steps = min64(p->own_depth, end - k);
    const char *from = (const char *)own->matrix->data + (start * own->step + k * own->deep) * size;
    struct ahead h = {.row = from};
    h.rows = own->deep == 1 ? rows : steps;
    h.stride = (own->deep == 1 ? own->step : own->deep) * size;
    h.lines = ceil_div((own->deep == 1 ? steps : rows) * size, 64);
    h.each = ceil_div(h.rows * h.lines, tiles);
    return h;
}

/* Row tiles [i0, i1) against column panel jt, added up in C. Panel i0 of A is part->a. */
static void direct_run(const struct job *j, struct part *part, int64_t i0, int64_t i1, int64_t jt,
                       float *edge)
{
    const struct ml_gemm *g = j->g;
    const struct ml_gemm_kernel *u = j->plan->kernel;
    int64_t col = jt * u->nr, cols = min64(u->nr, g->n - col);
    bool add = part->k > 0 || g->accumulate;
    size_t next_bytes = (size_t)(part->depth * u->nr) * u->element;
    const char *a = part->a;
    for (int64_t i = i0; i < i1; i++, a += part->a_panel) {
        if (part->next)
            prefetch_next(part, i - i0, i1 - i0, next_bytes);
        prefetch_ahead(&part->ahead);
        int64_t row = i * u->mr, rows = min64(u->mr, g->m - row);
        float *c = (float *)g->c + row * g->c_row + col;
        if (rows == u->mr && cols == u->nr) {
            u->tile(part->depth, a, part->b, c, g->c_row, add);
        } else {
            u->tile(part->depth, a, part->b, edge, u->nr, false);
            edge_store(c, g->c_row, edge, u->nr, rows, cols, add);
        }
    }
}

/* Row tiles [i0, i1) against column panel jt, through all of the slice, by way of a strip. */
static void strip_run(const struct job *j, struct part *part, int64_t i0, int64_t i1, int64_t jt,
                      float *strip)
{
    const struct plan *p = j->plan;
    const struct ml_gemm *g = j->g;
    const struct ml_gemm_kernel *u = p->kernel;
    int64_t mr = u->mr, nr = u->nr;
    int64_t row = i0 * mr, col = jt * nr;
    for (int64_t q = 0; q < part->depth; q += p->kc) {
        const char *a = part->a + (size_t)(q * mr) * u->element;
        const char *b = part->b + (size_t)(q * nr) * u->element;
        for (int64_t i = i0; i < i1; i++, a += part->a_panel)
            u->tile(min64(p->kc, part->depth - q), a, b, strip + (i - i0) * mr * nr, nr, q > 0);
    }
    struct ml_gemm_out out = j->out;
    if (j->k0 + j->depth < g->k) { /* not the last slice */
        out.bias = NULL;
        out.act = ML_ACT_NONE;
        out.c = j->partial;
        out.c_row = g->n;
        out.c_dtype = ML_F32;
    }
    if (j->k0 > 0) {
        out.base = j->partial;
        out.base_dtype = ML_F32;
        out.base_row = g->n;
    }
    ml_gemm_finish(j->kernels, &out, strip, nr, row, min64(i1 * mr, g->m) - row, col,
                   min64(nr, g->n - col));
}

/* The panels of a part times each other: private panels [first, last) and all of the chunk. */
static void multiply_part(const struct job *j, struct part *part, int64_t first, int64_t last,
                          float *strip)
{
    const struct plan *p = j->plan;
    void (*run)(const struct job *, struct part *, int64_t, int64_t, int64_t, float *) =
        p->direct ? direct_run : strip_run;
    const char *a = part->a, *b = part->b;
    if (p->share_b) {
        for (int64_t t = 0; t < j->count; t++) {
            part->b = b + (size_t)t * part->b_panel;
            part->next = t + 1 < j->count ? part->b + part->b_panel : NULL;
            run(j, part, first, last, j->first + t, strip);
        }
        return;
    }
    for (int64_t i = 0; i < j->count; i += STRIP_TILES) {
        part->a = a + (size_t)i * part->a_panel;
        for (int64_t t = first; t < last; t++) {
            part->b = b + (size_t)(t - first) * part->b_panel;
            run(j, part, j->first + i, j->first + min64(i + STRIP_TILES, j->count), t, strip);
        }
    }
}

/* Bias and activation of sums that are complete in C. */
static void finish_direct(const struct job *j, int64_t first, int64_t last)
{
    const struct plan *p = j->plan;
    const struct ml_gemm *g = j->g;
    int64_t mr = p->a.width, nr = p->b.width;
    int64_t i0 = p->share_b ? first : j->first, i1 = p->share_b ? last : j->first + j->count;
    int64_t j0 = p->share_b ? j->first : first, j1 = p->share_b ? j->first + j->count : last;
    int64_t col = j0 * nr;
    ml_gemm_finish_rows(j->kernels, &j->out, i0 * mr, min64(i1 * mr, g->m), col,
                        min64(j1 * nr, g->n) - col);
}

static void multiply_task(void *arg, int64_t task, int worker)
{
    const struct job *j = arg;
    const struct plan *p = j->plan;
    const struct side *own = p->share_b ? &p->a : &p->b, *shared = p->share_b ? &p->b : &p->a;
    size_t element = p->kernel->element;
    char *block = j->private + (size_t)worker * p->private_bytes;
    float *strip = (float *)(block + p->block_bytes);
    int64_t first = task * j->block, last = min64(first + j->block, own->tiles);
    for (int64_t q = 0; q < j->depth; q += p->own_depth) {
        int64_t depth = min64(p->own_depth, j->depth - q);
        const char *other = j->shared + (size_t)(q * shared->width) * element;
        pack_panels(own, first, last, j->k0 + q, depth, block, p->own_panel, element);
        struct part part = {.k = j->k0 + q, .depth = depth};
        part.ahead = ahead_of(j, first, last, part.k, depth);
        part.a = p->share_b ? block : other;
        part.b = p->share_b ? other : block;
        part.a_panel = p->share_b ? p->own_panel : p->shared_panel;
        part.b_panel = p->share_b ? p->shared_panel : p->own_panel;
        multiply_part(j, &part, first, last, strip);
    }
    bool more = j->out.bias || j->out.act != ML_ACT_NONE || j->g->base.data;
    if (p->direct && j->k0 + j->depth == j->g->k && more)
        finish_direct(j, first, last);
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
    if (g->panels) {
        ml_gemm_panels_run(k, g, pool, scratch);
        return;
    }
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
    job.threads = threads;
    job.private = job.shared + (size_t)p.chunk * p.shared_panel;
    if (p.partial_bytes)
        job.partial = (float *)(job.private + p.private_bytes * (size_t)threads);
    const struct side *shared = p.share_b ? &p.b : &p.a, *own = p.share_b ? &p.a : &p.b;
    job.block = pick_block(own->tiles, p.block_max, threads);
    for (job.k0 = 0; job.k0 < g->k; job.k0 += p.ks) {
        job.depth = min64(p.ks, g->k - job.k0);
        for (job.first = 0; job.first < shared->tiles; job.first += p.chunk) {
            job.count = min64(p.chunk, shared->tiles - job.first);
            ml_pool_run(pool, ceil_div(job.count, PACK_TILES), pack_shared_task, &job);
            ml_pool_run(pool, ceil_div(own->tiles, job.block), multiply_task, &job);
        }
    }
}
