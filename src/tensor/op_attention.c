/* Attention by tiles with an online softmax (Dao, "FlashAttention-2", arXiv:2307.08691), and a
 * direct path for a few queries against a long cache (split over the keys, as "Flash-Decoding").
 * aux: the log-sum-exp of each query's scores, [B,Hq,T], from which the gradient computes the
 * probabilities anew. */
#include <math.h>

#include "base/fail.h"
#include "tensor/attention_tile.h"
#include "tensor/op_packed.h"
#include "tensor/ops.h"

#define PACK_BYTES     ((size_t)8 << 20) /* keys and values that are kept packed at a time */
#define DIRECT_QUERIES 4                 /* up to so many queries take the direct path */
#define DIRECT_KEYS    128               /* keys of one of its tasks */

/* ---- shape ---- */

static bool is_cache_dtype(enum ml_dtype dtype)
{
    return dtype == ML_F32 || dtype == ML_BF16 || dtype == ML_F16;
}

static int check_mask(struct ml_graph *g, struct ml_tensor *t, const struct ml_tensor *mask,
                      int64_t columns, const char *what)
{
    const struct ml_tensor *q = t->src[ATT_Q];
    int ndim = columns ? 2 : 1;
    if (!mask || (mask->dtype == ML_I32 && mask->ndim == ndim && mask->dim[0] == q->dim[0] &&
                  (!columns || mask->dim[1] == columns)))
        return 0;
    if (columns)
        return ml_shape_fail(g, t, "%s must be [%lld,%lld] i32", what, (long long)q->dim[0],
                             (long long)columns);
    return ml_shape_fail(g, t, "%s must be [%lld] i32", what, (long long)q->dim[0]);
}

static int shape_attention(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *q = t->src[ATT_Q], *k = t->src[ATT_K], *v = t->src[ATT_V];
    struct attention_attr *attr = ml_attr(t, struct attention_attr);
    if (q->ndim != 4 || k->ndim != 4 || (q->dtype != ML_F32 && q->dtype != ML_BF16))
        return ml_shape_fail(g, t,
                             "queries, keys and values must be [B,T,H,D], queries f32 or bf16");
    if (!ml_same_shape(k, v))
        return ml_shape_fail(g, t, "keys and values must have the same shape");
    if (!is_cache_dtype(k->dtype) || !is_cache_dtype(v->dtype))
        return ml_shape_fail(g, t, "keys and values must be f32, bf16 or f16");
    if (q->dim[0] != k->dim[0] || q->dim[3] != k->dim[3] || q->dim[3] < 1)
        return ml_shape_fail(g, t, "batch and features per head must be equal");
    if (k->dim[2] < 1 || q->dim[2] % k->dim[2] != 0 || q->dim[2] < 1)
        return ml_shape_fail(g, t, "%lld query heads cannot share %lld key heads",
                             (long long)q->dim[2], (long long)k->dim[2]);
    if (t->src[ATT_SEGMENTS] && q->dim[1] != k->dim[1])
        return ml_shape_fail(g, t, "segments need as many queries as keys");
    if (attr->scale == 0)
        attr->scale = 1.0f / sqrtf((float)q->dim[3]);
    if (!(attr->scale > 0))
        return ml_shape_fail(g, t, "the scale must be positive");
    t->dtype = q->dtype;
    t->ndim = 4;
    memcpy(t->dim, q->dim, sizeof t->dim);
    t->aux_count = q->dim[0] * q->dim[1] * q->dim[2];
    int status = check_mask(g, t, t->src[ATT_SEGMENTS], q->dim[1], "segments");
    if (status == 0)
        status = check_mask(g, t, t->src[ATT_LENGTH], 0, "kv_length");
    return status ? status : check_mask(g, t, t->src[ATT_POSITIONS], q->dim[1], "positions");
}

/* Two products of 2 D flops for each pair of query and key that may meet. */
static int64_t flops_attention(const struct ml_tensor *t)
{
    const struct ml_tensor *k = t->src[ATT_K];
    int64_t queries = t->dim[1], keys = k->dim[1], pairs = queries * keys;
    if (ml_attr((struct ml_tensor *)t, struct attention_attr)->causal)
        pairs = keys >= queries ? queries * (keys - queries) + queries * (queries + 1) / 2
                                : keys * (keys + 1) / 2;
    return 4 * t->dim[0] * t->dim[2] * t->dim[3] * pairs;
}

/* ---- tiles ---- */

/* Scratch: packed keys and values of `pass` (batch, kv head) pairs, then each worker's own. */
struct tile_layout {
    int64_t pass, key_tiles;
    size_t key_tile_bytes, value_tile_bytes, pair_bytes;
    size_t query, query_panels, scores, score_panels, out, highest, sum, worker_bytes;
    size_t worker, total;
};

static struct tile_layout tile_layout(const struct attention *a, int threads)
{
    const struct ml_gemm_kernel *g = a->gemm;
    struct tile_layout l = {.key_tiles = (a->keys + a->tile_keys - 1) / a->tile_keys};
    l.key_tile_bytes = panels_b_bytes(g, a->tile_keys, a->features);
    l.value_tile_bytes = panels_b_bytes(g, a->features, a->tile_keys);
    l.pair_bytes = (size_t)l.key_tiles * (l.key_tile_bytes + l.value_tile_bytes);
    int64_t pairs = a->batch * a->kv_heads;
    l.pass = l.pair_bytes ? (int64_t)(PACK_BYTES / l.pair_bytes) : pairs;
    l.pass = l.pass < 1 ? 1 : l.pass < pairs ? l.pass : pairs;
    size_t row_bytes = (size_t)a->features * ml_dtype_size(a->q->dtype), *w = &l.worker_bytes;
    size_t rows = (size_t)a->padded_rows;
    l.query = ml_scratch_piece(w, (size_t)a->tile_rows * row_bytes);
    l.query_panels = ml_scratch_piece(w, panels_a_bytes(g, a->tile_rows, a->features));
    l.scores = ml_scratch_piece(w, rows * (size_t)a->tile_keys * sizeof(float));
    l.score_panels = ml_scratch_piece(w, panels_a_bytes(g, a->tile_rows, a->tile_keys));
    l.out = ml_scratch_piece(w, rows * (size_t)a->padded_features * sizeof(float));
    l.highest = ml_scratch_piece(w, rows * sizeof(float));
    l.sum = ml_scratch_piece(w, rows * sizeof(float));
    ml_scratch_piece(&l.total, (size_t)l.pass * l.pair_bytes);
    l.worker = ml_scratch_piece(&l.total, (size_t)threads * l.worker_bytes);
    return l;
}

struct tile_job {
    struct attention a;
    struct tile_layout l;
    struct ml_tensor *t;
    char *scratch;
    int64_t first_pair, query_tiles;
};

static void pack_task(void *arg, int64_t task, int worker)
{
    (void)worker;
    const struct tile_job *job = arg;
    const struct attention *a = &job->a;
    int64_t slot = task / job->l.key_tiles, tile = task % job->l.key_tiles;
    int64_t pair = job->first_pair + slot, b = pair / a->kv_heads, head = pair % a->kv_heads;
    int64_t key0 = tile * a->tile_keys, n = attention_batch_end(a, b) - key0;
    if (n <= 0)
        return; /* nobody looks there, and what is there may be anything */
    n = n < a->tile_keys ? n : a->tile_keys;
    char *keys = job->scratch + (size_t)slot * job->l.pair_bytes;
    char *values = keys + (size_t)job->l.key_tiles * job->l.key_tile_bytes;
    struct ml_matrix key = attention_head(a->key, b, head, key0);
    struct ml_matrix key_columns = {key.data, key.dtype, key.col, key.row};
    struct ml_matrix value = attention_head(a->value, b, head, key0);
    panels_b(a->gemm, keys + (size_t)tile * job->l.key_tile_bytes, &key_columns, a->features, n,
             a->features);
    panels_b(a->gemm, values + (size_t)tile * job->l.value_tile_bytes, &value, n, a->features,
             a->tile_keys);
}

/* One tile of queries on its way over the keys. */
struct query_tile {
    const struct tile_job *job;
    int64_t b, head, t0, nt, rows;
    const char *keys, *values; /* packed */
    char *mine;                /* the worker's scratch */
    float *scores, *out, *highest, *sum;
    bool started; /* `out` holds something */
};

/* Scores of row r become probabilities relative to the highest score so far; what was summed
 * before is scaled to it. n keys of the tile are visible to some row. */
static void online_softmax_row(const struct query_tile *q, int64_t r, int64_t key0, int64_t n)
{
    const struct attention *a = &q->job->a;
    const struct ml_kernels *k = a->k;
    int64_t t = q->t0 + r / a->group, seen = attention_visible_end(a, q->b, t) - key0;
    float *s = q->scores + r * a->tile_keys;
    seen = seen < 0 ? 0 : seen < n ? seen : n;
    attention_mask_segments(a, q->b, t, key0, seen, s);
    float best = k->max(seen, s) * a->scale, before = q->highest[r];
    float now = best <= before ? before : best; /* NaN wins */
    if (now == -INFINITY) {
        k->fill(n, s, 0.0f);
        return;
    }
    k->exp_shift(seen, s, s, a->scale, now);
    k->fill(n - seen, s + seen, 0.0f);
    float shrink = expf(before - now);
    q->highest[r] = now;
    q->sum[r] = q->sum[r] * shrink + k->sum(seen, s);
    if (q->started && shrink != 1.0f) {
        float *out = q->out + r * a->padded_features;
        k->affine(a->features, out, out, shrink, 0.0f);
    }
}

static void key_tile(struct query_tile *q, int64_t tile, int64_t n)
{
    const struct attention *a = &q->job->a;
    const struct tile_layout *l = &q->job->l;
    int64_t key0 = tile * a->tile_keys;
    panels_multiply(a->gemm, &(struct panel_product){
                                 .m = q->rows,
                                 .n = n,
                                 .k = a->features,
                                 .a = q->mine + l->query_panels,
                                 .b = q->keys + (size_t)tile * l->key_tile_bytes,
                                 .b_stride = a->features,
                                 .c = q->scores,
                                 .c_row = a->tile_keys,
                             });
    for (int64_t r = 0; r < q->rows; r++)
        online_softmax_row(q, r, key0, n);
    struct ml_matrix scores = {q->scores, ML_F32, a->tile_keys, 1};
    panels_a(a->gemm, q->mine + l->score_panels, &scores, q->rows, n);
    panels_multiply(a->gemm, &(struct panel_product){
                                 .m = q->rows,
                                 .n = a->features,
                                 .k = n,
                                 .a = q->mine + l->score_panels,
                                 .b = q->values + (size_t)tile * l->value_tile_bytes,
                                 .b_stride = a->tile_keys,
                                 .c = q->out,
                                 .c_row = a->padded_features,
                                 .accumulate = q->started,
                             });
    q->started = true;
}

/* Divides by the sum of the exponentials, writes output and log-sum-exp. */
static void finish_rows(const struct query_tile *q)
{
    const struct attention *a = &q->job->a;
    struct ml_tensor *t = q->job->t;
    for (int64_t r = 0; r < q->rows; r++) {
        int64_t at = q->t0 + r / a->group, h = q->head * a->group + r % a->group;
        int64_t offset = ((q->b * a->queries + at) * a->q_heads + h) * a->features;
        float *row = q->out + r * a->padded_features, *y = ml_store_begin(t, offset, row);
        bool seen = q->started && q->highest[r] != -INFINITY;
        if (seen)
            a->k->affine(a->features, y, row, 1.0f / q->sum[r], 0.0f);
        else
            a->k->fill(a->features, y, 0.0f);
        ml_store_end(a->k, t, offset, a->features, y);
        t->aux[(q->b * a->q_heads + h) * a->queries + at] =
            seen ? q->highest[r] + logf(q->sum[r]) : -INFINITY;
    }
}

static void query_task(void *arg, int64_t task, int worker)
{
    const struct tile_job *job = arg;
    const struct attention *a = &job->a;
    const struct tile_layout *l = &job->l;
    int64_t slot = task / job->query_tiles, pair = job->first_pair + slot;
    /* The last queries see most keys: they go first, so that no thread is left with them. */
    int64_t tile = job->query_tiles - 1 - task % job->query_tiles;
    struct query_tile q = {.job = job, .b = pair / a->kv_heads, .head = pair % a->kv_heads};
    q.t0 = tile * a->tile_queries;
    q.nt = a->queries - q.t0 < a->tile_queries ? a->queries - q.t0 : a->tile_queries;
    q.rows = q.nt * a->group;
    q.keys = job->scratch + (size_t)slot * l->pair_bytes;
    q.values = q.keys + (size_t)l->key_tiles * l->key_tile_bytes;
    q.mine = job->scratch + l->worker + (size_t)worker * l->worker_bytes;
    q.scores = (float *)(void *)(q.mine + l->scores);
    q.out = (float *)(void *)(q.mine + l->out);
    q.highest = (float *)(void *)(q.mine + l->highest);
    q.sum = (float *)(void *)(q.mine + l->sum);
    a->k->fill(q.rows, q.highest, -INFINITY);
    a->k->fill(q.rows, q.sum, 0.0f);
    attention_gather(a, a->q, q.b, q.head * a->group, q.t0, q.nt, q.mine + l->query);
    struct ml_matrix rows = {q.mine + l->query, a->q->dtype, a->features, 1};
    panels_a(a->gemm, q.mine + l->query_panels, &rows, q.rows, a->features);
    int64_t end = 0;
    for (int64_t i = 0; i < q.nt; i++) {
        int64_t own = attention_visible_end(a, q.b, q.t0 + i);
        end = own > end ? own : end;
    }
    for (int64_t kt = 0; kt * a->tile_keys < end; kt++) {
        int64_t key0 = kt * a->tile_keys;
        int64_t n = end - key0 < a->tile_keys ? end - key0 : a->tile_keys;
        if (attention_segments_meet(a, q.b, q.t0, q.nt, key0, n))
            key_tile(&q, kt, n);
    }
    finish_rows(&q);
}

static void forward_tiles(struct ml_run *run, struct ml_tensor *t, const struct attention *a)
{
    struct tile_job job = {.a = *a, .t = t, .scratch = run->scratch};
    job.l = tile_layout(a, run->threads);
    job.query_tiles = (a->queries + a->tile_queries - 1) / a->tile_queries;
    int64_t pairs = a->batch * a->kv_heads;
    for (; job.first_pair < pairs; job.first_pair += job.l.pass) {
        int64_t left = pairs - job.first_pair, n = left < job.l.pass ? left : job.l.pass;
        ml_pool_run(run->pool, n * job.l.key_tiles, pack_task, &job);
        ml_pool_run(run->pool, n * job.query_tiles, query_task, &job);
    }
}

/* ---- a few queries: each task takes some keys of all heads, which are adjacent in memory; parts
 * are merged in order. A row is one query of one head, as they lie in q: [T,Hq]. ---- */

struct direct_layout {
    int64_t rows, chunks;                       /* of one batch element */
    size_t part, part_floats;                   /* {highest, sum, out[D]} a row */
    size_t query, scores, values, worker_bytes; /* of one worker */
    size_t worker, total;
};

static struct direct_layout direct_layout(const struct attention *a, int threads)
{
    struct direct_layout l = {.rows = a->queries * a->q_heads};
    size_t *w = &l.worker_bytes, f = sizeof(float);
    l.chunks = (a->keys + DIRECT_KEYS - 1) / DIRECT_KEYS;
    l.part_floats = (size_t)(l.rows * (a->features + 2));
    l.query = ml_scratch_piece(w, (size_t)(l.rows * a->features) * f);
    l.scores = ml_scratch_piece(w, DIRECT_KEYS * f);
    l.values = ml_scratch_piece(w, (size_t)(a->kv_heads * a->features) * f);
    l.part = ml_scratch_piece(&l.total, (size_t)(a->batch * l.chunks) * l.part_floats * f);
    l.worker = ml_scratch_piece(&l.total, (size_t)threads * l.worker_bytes);
    return l;
}

struct direct_job {
    struct attention a;
    struct direct_layout l;
    struct ml_tensor *t;
    char *scratch;
};

static float *direct_floats(const struct direct_job *job, int worker, size_t offset)
{
    size_t at = job->l.worker + (size_t)worker * job->l.worker_bytes + offset;
    return (float *)(void *)(job->scratch + at);
}

/* Probabilities of row r relative to the highest score among these keys, and what `part` says of
 * them. Returns how many keys count. */
static int64_t direct_scores(const struct direct_job *job, int64_t b, int64_t r, int64_t key0,
                             const float *query, float *s, float *part)
{
    const struct attention *a = &job->a;
    const struct ml_kernels *k = a->k;
    int64_t t = r / a->q_heads, head = r % a->q_heads / a->group;
    int64_t n = attention_visible_end(a, b, t) - key0;
    n = n < 0 ? 0 : n < DIRECT_KEYS ? n : DIRECT_KEYS;
    k->fill(a->features + 2, part, 0.0f);
    part[0] = -INFINITY;
    if (n > 0) {
        struct ml_matrix keys = attention_head(a->key, b, head, key0);
        k->gemv(1, n, a->features, s, n, keys.data, keys.dtype, keys.row, query, 0);
        attention_mask_segments(a, b, t, key0, n, s);
        part[0] = k->max(n, s) * a->scale;
        k->exp_shift(n, s, s, a->scale, part[0]);
        part[1] = k->sum(n, s);
    }
    return n;
}

static void direct_task(void *arg, int64_t task, int worker)
{
    const struct direct_job *job = arg;
    const struct attention *a = &job->a;
    const struct direct_layout *l = &job->l;
    const struct ml_kernels *k = a->k;
    int64_t b = task / l->chunks, key0 = task % l->chunks * DIRECT_KEYS, d = a->features;
    float *scores = direct_floats(job, worker, l->scores);
    float *parts = (float *)(void *)(job->scratch + l->part) + (size_t)task * l->part_floats;
    const float *query =
        ml_load(k, a->q, b * l->rows * d, l->rows * d, direct_floats(job, worker, l->query));
    for (int64_t r = 0; r < l->rows; r++) {
        float *part = parts + r * (d + 2);
        int64_t n = direct_scores(job, b, r, key0, query + r * d, scores, part);
        struct ml_matrix values = attention_head(a->value, b, r % a->q_heads / a->group, key0);
        if (n > 0)
            k->mix(d, n, part + 2, values.data, values.dtype, values.row, scores);
    }
}

/* Puts the parts of one row together. */
static void merge_task(void *arg, int64_t task, int worker)
{
    const struct direct_job *job = arg;
    const struct attention *a = &job->a;
    const struct direct_layout *l = &job->l;
    struct ml_tensor *t = job->t;
    int64_t d = a->features, b = task / l->rows, r = task % l->rows;
    const float *part = (float *)(void *)(job->scratch + l->part) +
                        (size_t)(b * l->chunks) * l->part_floats + r * (d + 2);
    float highest = -INFINITY, sum = 0;
    for (int64_t c = 0; c < l->chunks; c++) {
        float own = part[(size_t)c * l->part_floats];
        highest = own <= highest ? highest : own; /* NaN wins */
    }
    float *y = ml_store_begin(t, task * d, direct_floats(job, worker, l->values));
    a->k->fill(d, y, 0.0f);
    for (int64_t c = 0; c < l->chunks && highest != -INFINITY; c++) {
        const float *p = part + (size_t)c * l->part_floats;
        float weight = expf(p[0] - highest);
        sum += p[1] * weight;
        if (p[0] != -INFINITY)
            a->k->axpy(d, y, weight, p + 2);
    }
    if (highest != -INFINITY)
        a->k->affine(d, y, y, 1.0f / sum, 0.0f);
    ml_store_end(a->k, t, task * d, d, y);
    t->aux[(b * a->q_heads + r % a->q_heads) * a->queries + r / a->q_heads] =
        highest == -INFINITY ? -INFINITY : highest + logf(sum);
}

static void forward_direct(struct ml_run *run, struct ml_tensor *t, const struct attention *a)
{
    struct direct_job job = {.a = *a, .t = t, .scratch = run->scratch};
    job.l = direct_layout(a, run->threads);
    ml_pool_run(run->pool, a->batch * job.l.chunks, direct_task, &job);
    ml_pool_run(run->pool, a->batch * job.l.rows, merge_task, &job);
}

/* ---- the op ---- */

static size_t scratch_attention(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct attention a;
    attention_init(&a, k, t->src, ml_attr((struct ml_tensor *)t, struct attention_attr));
    return a.queries <= DIRECT_QUERIES ? direct_layout(&a, threads).total
                                       : tile_layout(&a, threads).total;
}

static void forward_attention(struct ml_run *run, struct ml_tensor *t)
{
    struct attention a;
    attention_init(&a, run->k, t->src, ml_attr(t, struct attention_attr));
    if (a.queries <= DIRECT_QUERIES)
        forward_direct(run, t, &a);
    else
        forward_tiles(run, t, &a);
}

static void backward_attention(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                               struct ml_tensor **dsrc)
{
    struct ml_tensor *src[ATT_SOURCES + 2] = {t};
    memcpy(src + 1, t->src, ATT_SOURCES * sizeof *src);
    src[ATT_SOURCES + 1] = dt;
    struct ml_tensor *packed = ml_node(g, ML_OP_ATTENTION_GRAD, src, ATT_SOURCES + 2, t->attr,
                                       sizeof(struct attention_attr));
    int64_t at = 0;
    for (int i = ATT_Q; i <= ATT_V; i++) {
        if (ml_wants_grad(t->src[i]))
            dsrc[i] = ml_packed_part(g, packed, at, t->src[i]);
        at += ml_count(t->src[i]);
    }
}

const struct ml_op ml_op_attention = {
    .name = "attention",
    .what = "softmax(q k') v by tiles, with causal, padding and document masks",
    .min_src = ATT_SOURCES,
    .max_src = ATT_SOURCES,
    .shape = shape_attention,
    .forward = forward_attention,
    .backward = backward_attention,
    .flops = flops_attention,
    .scratch = scratch_attention,
};

struct ml_tensor *ml_attention(struct ml_graph *g, struct ml_tensor *q, struct ml_tensor *k,
                               struct ml_tensor *v, const struct ml_attention *options)
{
    struct attention_attr attr = {.causal = options->causal, .scale = options->scale};
    struct ml_tensor *src[ATT_SOURCES] = {
        q, k, v, options->segments, options->kv_length, options->positions};
    return ml_node(g, ML_OP_ATTENTION, src, ATT_SOURCES, &attr, sizeof attr);
}

/* ---- cache_write ---- */

static int shape_cache_write(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *cache = t->src[0], *x = t->src[1], *at = t->src[2];
    if (cache->ndim != 4 || x->ndim != 4 || cache->dim[0] != x->dim[0] ||
        cache->dim[2] != x->dim[2] || cache->dim[3] != x->dim[3])
        return ml_shape_fail(g, t, "rows [B,T,H,D] do not fit a cache [B,S,H,D]");
    if (!(cache->flags & ML_LEAF) && cache->op != ML_OP_CACHE_WRITE)
        return ml_shape_fail(g, t, "the cache must be a leaf");
    if (!is_cache_dtype(cache->dtype) || (x->dtype != ML_F32 && x->dtype != ML_BF16))
        return ml_shape_fail(g, t, "a cache is f32, bf16 or f16, and its rows come in f32 or bf16");
    if (at->dtype != ML_I32 || at->ndim != 2 || at->dim[0] != x->dim[0] || at->dim[1] != x->dim[1])
        return ml_shape_fail(g, t, "positions must be [%lld,%lld] i32", (long long)x->dim[0],
                             (long long)x->dim[1]);
    t->dtype = cache->dtype;
    t->ndim = 4;
    memcpy(t->dim, cache->dim, sizeof t->dim);
    t->flags |= ML_ALIAS | ML_EFFECT;
    return 0;
}

struct cache_job {
    const struct ml_run *run;
    struct ml_tensor *t;
};

/* One head of one sequence, all its rows in order, so that a position that is named twice keeps
 * the later row. */
static void cache_task(void *arg, int64_t task, int worker)
{
    (void)worker;
    const struct cache_job *job = arg;
    const struct ml_kernels *k = job->run->k;
    const struct ml_tensor *x = job->t->src[1];
    int64_t rows = x->dim[1], heads = x->dim[2], d = x->dim[3];
    int64_t b = task / heads, h = task % heads;
    const int32_t *at = (const int32_t *)job->t->src[2]->data + b * rows;
    float buffer[ML_CHUNK];
    for (int64_t t = 0; t < rows; t++) {
        int64_t from = ((b * rows + t) * heads + h) * d;
        int64_t to = ((b * job->t->dim[1] + at[t]) * heads + h) * d;
        for (int64_t c = 0; c < d; c += ML_CHUNK) {
            int64_t n = d - c < ML_CHUNK ? d - c : ML_CHUNK;
            const float *row = ml_load(k, x, from + c, n, buffer);
            if (job->t->dtype == ML_F32)
                memcpy((float *)job->t->data + to + c, row, (size_t)n * sizeof *row);
            else
                ml_store_end(k, job->t, to + c, n, row);
        }
    }
}

static void forward_cache_write(struct ml_run *run, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[1];
    const int32_t *at = t->src[2]->data;
    t->data = t->src[0]->data;
    for (int64_t i = 0, n = ml_count(t->src[2]); i < n; i++) {
        if (at[i] < 0 || at[i] >= t->dim[1]) {
            ml_fail(run->err, ML_ERR_ARG,
                    "cache_write: position %d is outside the cache's %lld rows; use a larger "
                    "context or a shorter prompt",
                    (int)at[i], (long long)t->dim[1]);
            return;
        }
    }
    struct cache_job job = {run, t};
    ml_pool_run(run->pool, x->dim[0] * x->dim[2], cache_task, &job);
}

static int64_t flops_none(const struct ml_tensor *t)
{
    (void)t;
    return 0;
}

const struct ml_op ml_op_cache_write = {
    .name = "cache_write",
    .what = "new keys or values written into a cache at their positions",
    .min_src = 3,
    .max_src = 3,
    .shape = shape_cache_write,
    .forward = forward_cache_write,
    .flops = flops_none,
};

struct ml_tensor *ml_cache_write(struct ml_graph *g, struct ml_tensor *cache, struct ml_tensor *x,
                                 struct ml_tensor *positions)
{
    struct ml_tensor *src[3] = {cache, x, positions};
    return ml_node(g, ML_OP_CACHE_WRITE, src, 3, NULL, 0);
}
