/* Losses. Cross-entropy includes the head's product with the table, so that logits exist one tile
 * at a time: some hundred rows by a thousand words, in scratch. Rows whose target is left out are
 * not computed at all. aux: the log-sum-exp of each row's logits, from which the gradient computes
 * the probabilities anew: four products the size of the head.
 *
 * In training (fuse.h) the loss is left to the gradient. Its tiles are some hundred rows by all
 * words, so that softmax turns logits into probabilities on the spot: three products. */
#include <math.h>

#include "base/fail.h"
#include "tensor/fuse.h"
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/op_packed.h"
#include "tensor/ops.h"

#define TILE_WORDS  1024
#define TILE_FLOATS (512 * TILE_WORDS) /* 2 MiB of logits at a time */
#define TILE_ROWS   4096               /* at most */
#define TILE_PARTS  8                  /* a tile's last rows are filled up to an eighth of it */
#define ROW_GRAIN   16384              /* elements a task takes, about */

#define WHOLE_ROWS   512        /* rows of all words at a time, at most */
#define WHOLE_FLOATS (16 << 20) /* of their logits: 64 MiB */
#define WHOLE_LEAST  64         /* with fewer rows the products are too thin */

static int shape_scalar(struct ml_tensor *t)
{
    t->dtype = ML_F32;
    t->ndim = 1;
    t->dim[0] = 1;
    return 0;
}

static int shape_cross_entropy(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *h = t->src[0], *w = t->src[1], *targets = t->src[2];
    float smoothing = ml_attr(t, struct loss_attr)->smoothing;
    if (h->ndim < 1 || (h->dtype != ML_F32 && h->dtype != ML_BF16))
        return ml_shape_fail(g, t, "the input must be [...,D] in f32 or bf16");
    if (w->ndim != 2 || w->dtype == ML_I32 || w->dim[1] != ml_width(h) || w->dim[0] < 1)
        return ml_shape_fail(g, t, "the head must be [V,%lld]", (long long)ml_width(h));
    if (targets->dtype != ML_I32 || ml_count(targets) != ml_rows(h))
        return ml_shape_fail(g, t, "there must be %lld targets in i32", (long long)ml_rows(h));
    if (!(smoothing >= 0 && smoothing < 1))
        return ml_shape_fail(g, t, "smoothing must be in [0,1)");
    t->aux_count = ml_rows(h);
    return shape_scalar(t);
}

static int64_t flops_product(const struct ml_tensor *t)
{
    return 2 * ml_rows(t->src[0]) * ml_count(t->src[1]);
}

static int64_t flops_cross_entropy(const struct ml_tensor *t)
{
    return t->flags & ML_DEFERRED ? 0 : flops_product(t);
}

/* ---- tiles ---- */

struct loss_job {
    const struct ml_kernels *k;
    struct ml_pool *pool;
    const struct ml_tensor *h, *w;
    const int32_t *target;
    int64_t n, d, words;             /* N, D, V */
    int64_t rows, part, columns;     /* a tile: at most rows (by whole parts) x columns */
    size_t index, logits, own_h, dh; /* scratch */
    size_t lse, picked, sum, gemm, total;
    float smoothing;
    char *scratch;
    float *aux; /* [N] */
    bool gradient, whole;
    /* the current tile */
    const int32_t *at; /* rows of h */
    const char *tile_h;
    int64_t count, padded, word0, tile_words;
};

/* NULL while only sizes are asked for. */
static char *piece(const struct loss_job *j, size_t offset)
{
    return j->scratch ? j->scratch + offset : NULL;
}

/* Rows of W from word0 on; NULL as long as W has no memory. */
static const void *tile_weights(const struct loss_job *j)
{
    const char *data = j->w->data;
    return data ? data + (size_t)(j->word0 * j->d) * ml_dtype_size(j->w->dtype) : NULL;
}

static struct ml_gemm logits_gemm(const struct loss_job *j)
{
    return (struct ml_gemm){
        .m = j->padded,
        .n = j->tile_words,
        .k = j->d,
        .a = {j->tile_h, j->h->dtype, j->d, 1},
        .b = {tile_weights(j), j->w->dtype, 1, j->d},
        .c = piece(j, j->logits),
        .c_row = j->columns,
        .bf16 = j->h->dtype == ML_BF16,
    };
}

static struct ml_gemm dh_gemm(const struct loss_job *j, float *dh, float scale)
{
    return (struct ml_gemm){
        .m = j->padded,
        .n = j->d,
        .k = j->tile_words,
        .a = {piece(j, j->logits), ML_F32, j->columns, 1},
        .b = {tile_weights(j), j->w->dtype, j->d, 1},
        .c = dh,
        .c_row = j->d,
        .alpha = scale,
        .accumulate = j->word0 > 0,
        .bf16 = j->h->dtype == ML_BF16,
    };
}

static struct ml_gemm dw_gemm(const struct loss_job *j, float *dw, float scale, bool accumulate)
{
    return (struct ml_gemm){
        .m = j->tile_words,
        .n = j->d,
        .k = j->padded,
        .a = {piece(j, j->logits), ML_F32, 1, j->columns},
        .b = {j->tile_h, j->h->dtype, j->d, 1},
        .c = dw ? dw + j->word0 * j->d : NULL,
        .c_row = j->d,
        .alpha = scale,
        .accumulate = accumulate,
        .bf16 = j->h->dtype == ML_BF16,
    };
}

/* The most that any of the products can ask for: sizes of a tile are few on purpose. */
static size_t gemm_scratch(struct loss_job j, int threads)
{
    size_t most = 0;
    for (j.padded = j.part; j.padded <= j.rows; j.padded += j.part) {
        for (int last = 0; last < 2; last++) {
            j.tile_words = last && j.words % j.columns ? j.words % j.columns : j.columns;
            struct ml_gemm gemms[3] = {logits_gemm(&j), dh_gemm(&j, NULL, 0.5f),
                                       dw_gemm(&j, NULL, 0.5f, true)};
            for (int i = 0; i < (j.gradient ? 3 : 1); i++) {
                size_t bytes = ml_gemm_scratch(j.k, &gemms[i], threads);
                most = bytes > most ? bytes : most;
            }
        }
    }
    return most;
}

/* Rows of a tile of all words: equal tiles as large as the bounds allow. */
static int64_t whole_rows(int64_t n, int64_t words)
{
    int64_t rows = WHOLE_FLOATS / words;
    rows = rows < WHOLE_ROWS ? rows : WHOLE_ROWS;
    if (rows < 1 || n < 1)
        return 0;
    int64_t tiles = (n + rows - 1) / rows;
    return (n + tiles - 1) / tiles;
}

bool ml_loss_fits_whole(const struct ml_tensor *t)
{
    int64_t n = ml_rows(t->src[0]), rows = whole_rows(n, t->src[1]->dim[0]);
    return n > 0 && (rows >= WHOLE_LEAST || rows == n);
}

enum loss_part { LOSS_FORWARD, LOSS_GRADIENT, LOSS_BOTH };

static struct loss_job loss_job(const struct ml_kernels *k, const struct ml_tensor *h,
                                const struct ml_tensor *w, enum loss_part what, int threads)
{
    bool gradient = what != LOSS_FORWARD, whole = what == LOSS_BOTH;
    struct loss_job j = {.k = k, .h = h, .w = w, .gradient = gradient, .whole = whole};
    j.n = ml_rows(h);
    j.d = ml_width(h);
    j.words = w->dim[0];
    j.columns = whole || j.words < TILE_WORDS ? j.words : TILE_WORDS;
    int64_t rows = TILE_FLOATS / j.columns;
    rows = rows < TILE_ROWS ? rows : TILE_ROWS;
    rows = rows < j.n ? rows : j.n;
    if (whole)
        rows = whole_rows(j.n, j.words);
    j.part = (rows + TILE_PARTS - 1) / TILE_PARTS;
    j.part = j.part < 1 ? 1 : j.part;
    j.rows = (rows + j.part - 1) / j.part * j.part;
    size_t row = (size_t)j.d * sizeof(float), list = (size_t)j.rows * sizeof(float);
    j.index = ml_scratch_piece(&j.total, (size_t)j.n * sizeof(int32_t));
    j.logits = ml_scratch_piece(&j.total, (size_t)(j.rows * j.columns) * sizeof(float));
    j.own_h = ml_scratch_piece(&j.total, (size_t)j.rows * row);
    j.dh = gradient ? ml_scratch_piece(&j.total, (size_t)j.rows * row) : 0;
    j.lse = ml_scratch_piece(&j.total, list);
    j.picked = ml_scratch_piece(&j.total, list);
    j.sum = ml_scratch_piece(&j.total, list);
    j.gemm = ml_scratch_piece(&j.total, gemm_scratch(j, threads));
    return j;
}

/* Lists the rows that have a target; their number, or -1 after an error. */
static int64_t list_rows(struct ml_run *run, struct loss_job *j)
{
    int32_t *index = (int32_t *)(void *)(j->scratch + j->index);
    int64_t valid = 0;
    for (int64_t i = 0; i < j->n; i++) {
        if (j->target[i] >= j->words) {
            ml_fail(run->err, ML_ERR_ARG,
                    "cross_entropy: target %d at place %lld is outside the %lld words of the head; "
                    "do tokenizer and model belong together?",
                    (int)j->target[i], (long long)i, (long long)j->words);
            return -1;
        }
        if (j->target[i] >= 0)
            index[valid++] = (int32_t)i;
    }
    return valid;
}

/* Rows [first, first + rows) of the list become the tile. Adjacent rows are used where they are,
 * others are copied and filled up with zeros. True where they were adjacent. */
static bool take_tile(struct loss_job *j, int64_t first, int64_t valid)
{
    j->at = (const int32_t *)(void *)(j->scratch + j->index) + first;
    j->count = valid - first < j->rows ? valid - first : j->rows;
    j->padded = (j->count + j->part - 1) / j->part * j->part;
    size_t bytes = (size_t)j->d * ml_dtype_size(j->h->dtype);
    const char *h = j->h->data;
    if (j->padded == j->count && j->at[j->count - 1] - j->at[0] == j->count - 1) {
        j->tile_h = h + (size_t)j->at[0] * bytes;
        return true;
    }
    char *own = j->scratch + j->own_h;
    for (int64_t r = 0; r < j->count; r++)
        memcpy(own + (size_t)r * bytes, h + (size_t)j->at[r] * bytes, bytes);
    memset(own + (size_t)j->count * bytes, 0, (size_t)(j->padded - j->count) * bytes);
    j->tile_h = own;
    return false;
}

static void run_gemm(const struct loss_job *j, struct ml_gemm gemm)
{
    ml_gemm_run(j->k, &gemm, j->pool, j->scratch + j->gemm);
}

/* Logits of the tile's rows for words [word0, word0 + columns), then `fn` on the rows. */
static void each_word_tile(struct ml_run *run, struct loss_job *j, int64_t word0, ml_range_fn *fn)
{
    j->word0 = word0;
    j->tile_words = j->words - word0 < j->columns ? j->words - word0 : j->columns;
    run_gemm(j, logits_gemm(j));
    int64_t grain = j->tile_words < ROW_GRAIN ? ROW_GRAIN / j->tile_words : 1;
    ml_parallel(run, j->padded, grain, fn, j);
}

/* log(exp(a) + exp(b)); NaN stays NaN. */
static float add_logs(float a, float b)
{
    if (isnan(a) || b == -INFINITY)
        return a;
    if (isnan(b) || a == -INFINITY)
        return b;
    float high = a > b ? a : b, low = a > b ? b : a;
    return high + log1pf(expf(low - high));
}

/* Target's logit, sum of logits, and log-sum-exp of rows of a tile. */
static void statistics_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct loss_job *j = arg;
    float *lse = (float *)(void *)(j->scratch + j->lse);
    float *picked = (float *)(void *)(j->scratch + j->picked);
    float *sum = (float *)(void *)(j->scratch + j->sum);
    for (int64_t r = begin; r < end && r < j->count; r++) {
        float *z = (float *)(void *)(j->scratch + j->logits) + r * j->columns;
        int64_t word = j->target[j->at[r]] - j->word0;
        if (word >= 0 && word < j->tile_words)
            picked[r] = z[word];
        if (j->smoothing > 0)
            sum[r] = (j->word0 ? sum[r] : 0.0f) + j->k->sum(j->tile_words, z);
        float own = j->k->softmax(j->tile_words, z, z, 1.0f);
        lse[r] = j->word0 ? add_logs(lse[r], own) : own;
    }
}

/* Label smoothing s (Szegedy et al., arXiv:1512.00567): lse - (1-s) z[target] - s mean(z). */
static double finish_tile(struct loss_job *j)
{
    const float *lse = (const float *)(void *)(j->scratch + j->lse);
    const float *picked = (const float *)(void *)(j->scratch + j->picked);
    const float *sum = (const float *)(void *)(j->scratch + j->sum);
    double total = 0, s = (double)j->smoothing;
    for (int64_t r = 0; r < j->count; r++) {
        j->aux[j->at[r]] = lse[r];
        total += (double)lse[r] - (1 - s) * (double)picked[r];
        if (s > 0)
            total -= s * (double)sum[r] / (double)j->words;
    }
    return total;
}

static size_t scratch_cross_entropy(const struct ml_kernels *k, const struct ml_tensor *t,
                                    int threads)
{
    return t->flags & ML_DEFERRED ? 0
                                  : loss_job(k, t->src[0], t->src[1], LOSS_FORWARD, threads).total;
}

static void compute_loss(struct ml_run *run, struct ml_tensor *t)
{
    struct loss_job j = loss_job(run->k, t->src[0], t->src[1], LOSS_FORWARD, run->threads);
    j.pool = run->pool;
    j.scratch = run->scratch;
    j.target = t->src[2]->data;
    j.aux = t->aux;
    j.smoothing = ml_attr(t, struct loss_attr)->smoothing;
    int64_t valid = list_rows(run, &j);
    if (valid < 0)
        return;
    double total = 0;
    for (int64_t first = 0; first < valid; first += j.rows) {
        take_tile(&j, first, valid);
        for (int64_t word = 0; word < j.words; word += j.columns)
            each_word_tile(run, &j, word, statistics_range);
        total += finish_tile(&j);
    }
    *(float *)t->data = valid ? (float)(total / (double)valid) : 0.0f;
}

static void forward_cross_entropy(struct ml_run *run, struct ml_tensor *t)
{
    if (!(t->flags & ML_DEFERRED))
        compute_loss(run, t);
}

static void backward_cross_entropy(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                                   struct ml_tensor **dsrc)
{
    struct ml_tensor *h = t->src[0], *w = t->src[1];
    struct loss_attr attr = *ml_attr(t, struct loss_attr);
    attr.want_h = ml_wants_grad(h);
    attr.want_w = ml_wants_grad(w);
    struct ml_tensor *src[5] = {t, h, w, t->src[2], dt};
    struct ml_tensor *packed = ml_node(g, ML_OP_CROSS_ENTROPY_GRAD, src, 5, &attr, sizeof attr);
    if (attr.want_h)
        dsrc[0] = ml_packed_part(g, packed, 0, h);
    if (attr.want_w)
        dsrc[1] = ml_packed_part(g, packed, attr.want_h ? ml_count(h) : 0, w);
}

const struct ml_op ml_op_cross_entropy = {
    .name = "cross_entropy",
    .what = "mean cross-entropy of softmax(h w') against targets, logits never stored",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_cross_entropy,
    .forward = forward_cross_entropy,
    .backward = backward_cross_entropy,
    .flops = flops_cross_entropy,
    .scratch = scratch_cross_entropy,
};

/* ---- gradient: dlogits = (softmax - (1-s) onehot - s/V) * dt/valid; dh = dlogits w,
 * dw = dlogits' h. The factor dt/valid goes into the products. ---- */

static int shape_cross_entropy_grad(struct ml_graph *g, struct ml_tensor *t)
{
    (void)g;
    const struct loss_attr *attr = ml_attr(t, struct loss_attr);
    t->dtype = ML_F32;
    t->ndim = 1;
    t->dim[0] = (attr->want_h ? ml_count(t->src[1]) : 0) + (attr->want_w ? ml_count(t->src[2]) : 0);
    return 0;
}

static int64_t flops_cross_entropy_grad(const struct ml_tensor *t)
{
    const struct loss_attr *attr = ml_attr((struct ml_tensor *)t, struct loss_attr);
    int64_t products = 1 + attr->want_h + attr->want_w;
    return products * flops_product(t->src[0]);
}

static void dlogits_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct loss_job *j = arg;
    for (int64_t r = begin; r < end; r++) {
        float *z = (float *)(void *)(j->scratch + j->logits) + r * j->columns;
        if (r >= j->count) { /* rows that only fill the tile up */
            j->k->fill(j->tile_words, z, 0.0f);
            continue;
        }
        int64_t word = j->target[j->at[r]] - j->word0;
        j->k->exp_shift(j->tile_words, z, z, 1.0f, j->aux[j->at[r]]);
        if (j->smoothing > 0)
            j->k->affine(j->tile_words, z, z, 1.0f, -j->smoothing / (float)j->words);
        if (word >= 0 && word < j->tile_words)
            z[word] -= 1.0f - j->smoothing;
    }
}

/* Loss and dlogits of rows that are whole: softmax leaves the probabilities in place. */
static void whole_range(void *arg, int64_t begin, int64_t end, int worker)
{
    statistics_range(arg, begin, end, worker);
    const struct loss_job *j = arg;
    for (int64_t r = begin; r < end; r++) {
        float *z = (float *)(void *)(j->scratch + j->logits) + r * j->columns;
        if (r >= j->count) {
            j->k->fill(j->words, z, 0.0f);
            continue;
        }
        if (j->smoothing > 0)
            j->k->affine(j->words, z, z, 1.0f, -j->smoothing / (float)j->words);
        z[j->target[j->at[r]]] -= 1.0f - j->smoothing;
    }
}

static void gradient_tile(struct ml_run *run, struct loss_job *j, int64_t first, int64_t valid,
                          float scale, float *dh, float *dw)
{
    bool adjacent = take_tile(j, first, valid);
    float *own = (float *)(void *)(j->scratch + j->dh);
    for (int64_t word = 0; word < j->words; word += j->columns) {
        each_word_tile(run, j, word, j->whole ? whole_range : dlogits_range);
        if (dh)
            run_gemm(j, dh_gemm(j, adjacent ? dh + j->at[0] * j->d : own, scale));
        if (dw)
            run_gemm(j, dw_gemm(j, dw, scale, first > 0));
    }
    for (int64_t r = 0; r < j->count && dh && !adjacent; r++)
        memcpy(dh + j->at[r] * j->d, own + r * j->d, (size_t)j->d * sizeof *own);
}

static enum loss_part what_gradient_does(const struct ml_tensor *t)
{
    return t->src[0]->flags & ML_DEFERRED ? LOSS_BOTH : LOSS_GRADIENT;
}

static size_t scratch_cross_entropy_grad(const struct ml_kernels *k, const struct ml_tensor *t,
                                         int threads)
{
    size_t own = loss_job(k, t->src[1], t->src[2], what_gradient_does(t), threads).total;
    size_t loss = loss_job(k, t->src[1], t->src[2], LOSS_FORWARD, threads).total;
    return own > loss ? own : loss; /* the loss alone, where its factor is 0 */
}

static void forward_cross_entropy_grad(struct ml_run *run, struct ml_tensor *t)
{
    const struct loss_attr *attr = ml_attr(t, struct loss_attr);
    struct ml_tensor *forward = t->src[0];
    struct loss_job j = loss_job(run->k, t->src[1], t->src[2], what_gradient_does(t), run->threads);
    j.pool = run->pool;
    j.scratch = run->scratch;
    j.target = t->src[3]->data;
    j.aux = forward->aux;
    j.smoothing = attr->smoothing;
    int64_t valid = list_rows(run, &j);
    if (valid < 0)
        return;
    float *dh = attr->want_h ? t->data : NULL;
    float *dw = attr->want_w ? (float *)t->data + (dh ? ml_count(j.h) : 0) : NULL;
    float scale = valid ? *(const float *)t->src[4]->data / (float)valid : 0.0f;
    bool none = scale == 0.0f; /* a product takes the factor 0 as 1 */
    if (dh && (none || valid < j.n))
        memset(dh, 0, (size_t)(j.n * j.d) * sizeof *dh);
    if (dw && none)
        memset(dw, 0, (size_t)(j.words * j.d) * sizeof *dw);
    double total = 0;
    for (int64_t first = 0; first < valid && !none; first += j.rows) {
        gradient_tile(run, &j, first, valid, scale, dh, dw);
        total += j.whole ? finish_tile(&j) : 0;
    }
    if (j.whole && none)
        compute_loss(run, forward);
    else if (j.whole)
        *(float *)forward->data = (float)(total / (double)valid);
}

const struct ml_op ml_op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .what = "gradient of cross_entropy: [dh | dw]",
    .min_src = 5,
    .max_src = 5,
    .shape = shape_cross_entropy_grad,
    .forward = forward_cross_entropy_grad,
    .flops = flops_cross_entropy_grad,
    .scratch = scratch_cross_entropy_grad,
};

struct ml_tensor *ml_cross_entropy(struct ml_graph *g, struct ml_tensor *h, struct ml_tensor *w,
                                   struct ml_tensor *targets, float smoothing)
{
    struct loss_attr attr = {.smoothing = smoothing};
    struct ml_tensor *src[3] = {h, w, targets};
    return ml_node(g, ML_OP_CROSS_ENTROPY, src, 3, &attr, sizeof attr);
}

/* ---- mean of squared differences ---- */

#define MSE_GRAIN (16 * ML_CHUNK)

static int shape_mse(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *a = t->src[0], *b = t->src[1];
    if (!ml_same_shape(a, b))
        return ml_shape_fail(g, t, "shapes differ");
    if (a->dtype == ML_I32 || b->dtype == ML_I32)
        return ml_shape_fail(g, t, "integers have no arithmetic here");
    return shape_scalar(t);
}

struct mse_job {
    const struct ml_kernels *k;
    struct ml_tensor *t;
    double *partial; /* one a task */
    float scale;
};

static void mse_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct mse_job *job = arg;
    const struct ml_kernels *k = job->k;
    float a[ML_CHUNK], b[ML_CHUNK], d[ML_CHUNK];
    double sum = 0;
    for (int64_t at = begin; at < end; at += ML_CHUNK) {
        int64_t n = end - at < ML_CHUNK ? end - at : ML_CHUNK;
        k->binary[ML_BINARY_SUB](n, d, ml_load(k, job->t->src[0], at, n, a),
                                 ml_load(k, job->t->src[1], at, n, b));
        sum += (double)k->dot(n, d, d);
    }
    job->partial[begin / MSE_GRAIN] = sum;
}

static size_t scratch_mse(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    (void)k;
    (void)threads;
    return (size_t)(ml_count(t->src[0]) / MSE_GRAIN + 1) * sizeof(double);
}

static void forward_mse(struct ml_run *run, struct ml_tensor *t)
{
    struct mse_job job = {.k = run->k, .t = t, .partial = run->scratch};
    int64_t n = ml_count(t->src[0]);
    ml_parallel(run, n, MSE_GRAIN, mse_range, &job);
    double sum = 0;
    for (int64_t i = 0; i * MSE_GRAIN < n; i++)
        sum += job.partial[i];
    *(float *)t->data = n ? (float)(sum / (double)n) : 0.0f;
}

static void backward_mse(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                         struct ml_tensor **dsrc)
{
    struct ml_tensor *a = t->src[0], *b = t->src[1];
    struct ml_tensor *src[3] = {a, b, dt};
    struct ml_tensor *da = ml_node(g, ML_OP_MSE_GRAD, src, 3, NULL, 0);
    if (ml_wants_grad(a))
        dsrc[0] = ml_cast(g, da, a->dtype);
    if (ml_wants_grad(b))
        dsrc[1] = ml_cast(g, ml_affine(g, da, -1.0f, 0.0f), b->dtype);
}

static int64_t flops_mse(const struct ml_tensor *t)
{
    return 3 * ml_count(t->src[0]);
}

const struct ml_op ml_op_mse = {
    .name = "mse",
    .what = "mean of squared differences",
    .min_src = 2,
    .max_src = 2,
    .shape = shape_mse,
    .forward = forward_mse,
    .backward = backward_mse,
    .flops = flops_mse,
    .scratch = scratch_mse,
};

static int shape_mse_grad(struct ml_graph *g, struct ml_tensor *t)
{
    (void)g;
    t->dtype = t->src[0]->dtype;
    t->ndim = t->src[0]->ndim;
    memcpy(t->dim, t->src[0]->dim, sizeof t->dim);
    return 0;
}

static void mse_grad_range(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const struct mse_job *job = arg;
    const struct ml_kernels *k = job->k;
    struct ml_tensor *t = job->t;
    float a[ML_CHUNK], b[ML_CHUNK], d[ML_CHUNK];
    for (int64_t at = begin; at < end; at += ML_CHUNK) {
        int64_t n = end - at < ML_CHUNK ? end - at : ML_CHUNK;
        float *out = ml_store_begin(t, at, d);
        k->binary[ML_BINARY_SUB](n, out, ml_load(k, t->src[0], at, n, a),
                                 ml_load(k, t->src[1], at, n, b));
        k->affine(n, out, out, job->scale, 0.0f);
        ml_store_end(k, t, at, n, out);
    }
}

static void forward_mse_grad(struct ml_run *run, struct ml_tensor *t)
{
    int64_t n = ml_count(t);
    struct mse_job job = {.k = run->k, .t = t};
    job.scale = n ? 2.0f * *(const float *)t->src[2]->data / (float)n : 0.0f;
    ml_parallel(run, n, MSE_GRAIN, mse_grad_range, &job);
}

const struct ml_op ml_op_mse_grad = {
    .name = "mse_grad",
    .what = "2 (a - b) dt / n",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_mse_grad,
    .forward = forward_mse_grad,
    .flops = flops_mse,
};

struct ml_tensor *ml_mse(struct ml_graph *g, struct ml_tensor *a, struct ml_tensor *b)
{
    struct ml_tensor *src[2] = {a, b};
    return ml_node(g, ML_OP_MSE, src, 2, NULL, 0);
}
