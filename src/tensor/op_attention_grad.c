/* The gradient of attention (FlashAttention-2, arXiv:2307.08691, algorithm 2): probabilities are
 * computed anew from the log-sum-exp that the forward kept, tile by tile.
 *
 *   P = exp(scale Q K' - lse)     dV = P' dO     dP = dO V'     D = rowsum(dO * O)
 *   dS = scale P * (dP - D)       dQ = dS K      dK = dS' Q
 *
 * One task is one (batch, kv head) with all its query heads, so nothing is added by two threads. It
 * takes keys in blocks that stay packed while all queries pass by. */
#include "tensor/attention_tile.h"
#include "tensor/op_packed.h"

#define BLOCK_KEYS 512

/* Sources: {forward, q, k, v, segments, kv_length, positions, dt}; result: [dq | dk | dv]. */
static int shape_attention_grad(struct ml_graph *g, struct ml_tensor *t)
{
    (void)g;
    t->dtype = ML_F32;
    t->ndim = 1;
    t->dim[0] = ml_count(t->src[1 + ATT_Q]) + 2 * ml_count(t->src[1 + ATT_K]);
    return 0;
}

static int64_t flops_attention_grad(const struct ml_tensor *t)
{
    return 5 * ml_op_attention.flops(t->src[0]) / 2; /* five products where the forward has two */
}

/* Each worker's scratch. "columns": packed as the right side of a product. */
struct grad_layout {
    int64_t block_keys; /* keys of a block, whole tiles */
    size_t tile_bytes, transposed_bytes;
    size_t keys, values, keys_transposed, dk, dv; /* of a block */
    size_t q, dout, out, lse, along;              /* of a tile of queries */
    size_t q_panels, dout_panels, q_columns, dout_columns, dq;
    size_t p, ds, panels, panels_transposed; /* of a pair of tiles */
    size_t worker_bytes;
};

static struct grad_layout grad_layout(const struct attention *a)
{
    const struct ml_gemm_kernel *g = a->gemm;
    struct grad_layout l = {0};
    size_t *w = &l.worker_bytes, f = sizeof(float);
    size_t rows = (size_t)a->padded_rows, width = (size_t)a->padded_features;
    int64_t d = a->features, most = panel_round(a->keys > 0 ? a->keys : 1, a->tile_keys);
    l.block_keys = panel_round(BLOCK_KEYS, a->tile_keys);
    l.block_keys = l.block_keys < most ? l.block_keys : most;
    size_t tiles = (size_t)(l.block_keys / a->tile_keys);
    size_t key_rows = (size_t)(l.block_keys + g->mr); /* register tiles end past the last key */
    l.tile_bytes = panels_b_bytes(g, a->tile_keys, d);
    l.transposed_bytes = panels_b_bytes(g, d, a->tile_keys);
    l.keys = ml_scratch_piece(w, tiles * l.tile_bytes);
    l.values = ml_scratch_piece(w, tiles * l.tile_bytes);
    l.keys_transposed = ml_scratch_piece(w, tiles * l.transposed_bytes);
    l.dk = ml_scratch_piece(w, key_rows * width * f);
    l.dv = ml_scratch_piece(w, key_rows * width * f);
    l.q = ml_scratch_piece(w, rows * (size_t)d * f);
    l.dout = ml_scratch_piece(w, rows * (size_t)d * f);
    l.out = ml_scratch_piece(w, 2 * width * f);
    l.lse = ml_scratch_piece(w, rows * f);
    l.along = ml_scratch_piece(w, rows * f);
    l.q_panels = ml_scratch_piece(w, panels_a_bytes(g, a->tile_rows, d));
    l.dout_panels = ml_scratch_piece(w, panels_a_bytes(g, a->tile_rows, d));
    l.q_columns = ml_scratch_piece(w, panels_b_bytes(g, d, a->tile_rows));
    l.dout_columns = ml_scratch_piece(w, panels_b_bytes(g, d, a->tile_rows));
    l.dq = ml_scratch_piece(w, rows * width * f);
    l.p = ml_scratch_piece(w, rows * (size_t)a->tile_keys * f);
    l.ds = ml_scratch_piece(w, rows * (size_t)a->tile_keys * f);
    l.panels = ml_scratch_piece(w, panels_a_bytes(g, a->tile_rows, a->tile_keys));
    l.panels_transposed = ml_scratch_piece(w, panels_a_bytes(g, a->tile_keys, a->tile_rows));
    return l;
}

struct grad_job {
    struct attention a;
    struct grad_layout l;
    const struct ml_tensor *forward, *dt;
    float *dq, *dk, *dv; /* the result's parts */
    char *scratch;
};

/* Where a task stands. */
struct grad_task {
    const struct grad_job *job;
    char *mine;
    int64_t b, head;
    int64_t end;          /* keys that anybody sees */
    int64_t block0, keys; /* current block */
    int64_t t0, nt, rows; /* current tile of queries */
    bool started;         /* its dq holds something */
};

static float *floats(const struct grad_task *s, size_t offset)
{
    return (float *)(void *)(s->mine + offset);
}

static void pack_block(const struct grad_task *s)
{
    const struct attention *a = &s->job->a;
    const struct grad_layout *l = &s->job->l;
    int64_t d = a->features;
    for (int64_t at = 0, i = 0; at < s->keys; at += a->tile_keys, i++) {
        int64_t n = s->keys - at < a->tile_keys ? s->keys - at : a->tile_keys;
        struct ml_matrix key = attention_head(a->key, s->b, s->head, s->block0 + at);
        struct ml_matrix value = attention_head(a->value, s->b, s->head, s->block0 + at);
        struct ml_matrix key_columns = {key.data, key.dtype, key.col, key.row};
        struct ml_matrix value_columns = {value.data, value.dtype, value.col, value.row};
        size_t tile = (size_t)i;
        panels_b(a->gemm, s->mine + l->keys + tile * l->tile_bytes, &key_columns, d, n, d);
        panels_b(a->gemm, s->mine + l->values + tile * l->tile_bytes, &value_columns, d, n, d);
        panels_b(a->gemm, s->mine + l->keys_transposed + tile * l->transposed_bytes, &key, n, d,
                 a->tile_keys);
    }
}

/* Gathers and packs the tile's q and dO; D = rowsum(dO * O) and the log-sum-exp by row. */
static void load_queries(const struct grad_task *s)
{
    const struct attention *a = &s->job->a;
    const struct grad_layout *l = &s->job->l;
    const struct ml_tensor *forward = s->job->forward, *dt = s->job->dt;
    int64_t d = a->features;
    attention_gather(a, a->q, s->b, s->head * a->group, s->t0, s->nt, s->mine + l->q);
    attention_gather(a, dt, s->b, s->head * a->group, s->t0, s->nt, s->mine + l->dout);
    float *out = floats(s, l->out);
    for (int64_t r = 0; r < s->rows; r++) {
        int64_t t = s->t0 + r / a->group, h = s->head * a->group + r % a->group;
        int64_t at = ((s->b * a->queries + t) * a->q_heads + h) * d;
        floats(s, l->along)[r] = a->k->dot(d, ml_load(a->k, forward, at, d, out),
                                           ml_load(a->k, dt, at, d, out + a->padded_features));
        floats(s, l->lse)[r] = forward->aux[(s->b * a->q_heads + h) * a->queries + t];
    }
    struct ml_matrix q = {s->mine + l->q, a->q->dtype, d, 1};
    struct ml_matrix dout = {s->mine + l->dout, dt->dtype, d, 1};
    panels_a(a->gemm, s->mine + l->q_panels, &q, s->rows, d);
    panels_a(a->gemm, s->mine + l->dout_panels, &dout, s->rows, d);
    panels_b(a->gemm, s->mine + l->q_columns, &q, s->rows, d, s->rows);
    panels_b(a->gemm, s->mine + l->dout_columns, &dout, s->rows, d, s->rows);
}

/* P from the scores, dS from dP: rows of both tiles, n keys from key0 on. */
static void softmax_rows(const struct grad_task *s, int64_t key0, int64_t n)
{
    const struct attention *a = &s->job->a;
    const struct ml_kernels *k = a->k;
    for (int64_t r = 0; r < s->rows; r++) {
        float *p = floats(s, s->job->l.p) + r * a->tile_keys;
        float *ds = floats(s, s->job->l.ds) + r * a->tile_keys;
        int64_t t = s->t0 + r / a->group, seen = attention_visible_end(a, s->b, t) - key0;
        seen = seen < 0 ? 0 : seen < n ? seen : n;
        attention_mask_segments(a, s->b, t, key0, seen, p);
        k->exp_shift(seen, p, p, a->scale, floats(s, s->job->l.lse)[r]);
        k->fill(n - seen, p + seen, 0.0f);
        k->affine(seen, ds, ds, a->scale, -a->scale * floats(s, s->job->l.along)[r]);
        k->binary[ML_BINARY_MUL](seen, ds, ds, p);
        k->fill(n - seen, ds + seen, 0.0f);
    }
}

/* left' right added to the n rows of dk or dv; left is a tile [rows, n], right packed columns. */
static void add_transposed(const struct grad_task *s, const float *left, size_t right, int64_t n,
                           float *out)
{
    const struct attention *a = &s->job->a;
    char *panels = s->mine + s->job->l.panels_transposed;
    struct ml_matrix transposed = {left, ML_F32, 1, a->tile_keys};
    panels_a(a->gemm, panels, &transposed, n, s->rows);
    panels_multiply(a->gemm, &(struct panel_product){
                                 .m = n,
                                 .n = a->features,
                                 .k = s->rows,
                                 .a = panels,
                                 .b = s->mine + right,
                                 .b_stride = s->rows,
                                 .c = out,
                                 .c_row = a->padded_features,
                                 .accumulate = true,
                             });
}

/* The tile [rows, n] of left side times the keys' or values' columns. */
static void tile_scores(const struct grad_task *s, size_t left, size_t right, int64_t n, float *out)
{
    const struct attention *a = &s->job->a;
    panels_multiply(a->gemm, &(struct panel_product){
                                 .m = s->rows,
                                 .n = n,
                                 .k = a->features,
                                 .a = s->mine + left,
                                 .b = s->mine + right,
                                 .b_stride = a->features,
                                 .c = out,
                                 .c_row = a->tile_keys,
                             });
}

/* One tile of queries against keys [at, at + n) of the block. */
static void tile_pair(struct grad_task *s, int64_t at, int64_t n)
{
    const struct attention *a = &s->job->a;
    const struct grad_layout *l = &s->job->l;
    size_t tile = (size_t)(at / a->tile_keys);
    float *p = floats(s, l->p), *ds = floats(s, l->ds);
    tile_scores(s, l->q_panels, l->keys + tile * l->tile_bytes, n, p);
    tile_scores(s, l->dout_panels, l->values + tile * l->tile_bytes, n, ds);
    softmax_rows(s, s->block0 + at, n);
    add_transposed(s, p, l->dout_columns, n, floats(s, l->dv) + at * a->padded_features);
    add_transposed(s, ds, l->q_columns, n, floats(s, l->dk) + at * a->padded_features);
    struct ml_matrix rows = {ds, ML_F32, a->tile_keys, 1};
    panels_a(a->gemm, s->mine + l->panels, &rows, s->rows, n);
    panels_multiply(a->gemm, &(struct panel_product){
                                 .m = s->rows,
                                 .n = a->features,
                                 .k = n,
                                 .a = s->mine + l->panels,
                                 .b = s->mine + l->keys_transposed + tile * l->transposed_bytes,
                                 .b_stride = a->tile_keys,
                                 .c = floats(s, l->dq),
                                 .c_row = a->padded_features,
                                 .accumulate = s->started,
                             });
    s->started = true;
}

static void add_dq(const struct grad_task *s)
{
    const struct attention *a = &s->job->a;
    for (int64_t r = 0; r < s->rows; r++) {
        int64_t t = s->t0 + r / a->group, h = s->head * a->group + r % a->group;
        a->k->axpy(a->features,
                   s->job->dq + ((s->b * a->queries + t) * a->q_heads + h) * a->features, 1.0f,
                   floats(s, s->job->l.dq) + r * a->padded_features);
    }
}

/* All queries pass by the block. */
static void query_tiles(struct grad_task *s)
{
    const struct attention *a = &s->job->a;
    for (s->t0 = 0; s->t0 < a->queries; s->t0 += a->tile_queries) {
        s->nt = a->queries - s->t0 < a->tile_queries ? a->queries - s->t0 : a->tile_queries;
        s->rows = s->nt * a->group;
        s->started = false;
        int64_t end = 0;
        for (int64_t i = 0; i < s->nt; i++) {
            int64_t own = attention_visible_end(a, s->b, s->t0 + i);
            end = own > end ? own : end;
        }
        end -= s->block0;
        end = end < s->keys ? end : s->keys;
        bool loaded = false;
        for (int64_t at = 0; at < end; at += a->tile_keys) {
            int64_t n = end - at < a->tile_keys ? end - at : a->tile_keys;
            if (!attention_segments_meet(a, s->b, s->t0, s->nt, s->block0 + at, n))
                continue;
            if (!loaded)
                load_queries(s);
            loaded = true;
            tile_pair(s, at, n);
        }
        if (s->started)
            add_dq(s);
    }
}

/* Zeros, or the block's sums, for n keys from key0 on. */
static void write_keys(const struct grad_task *s, int64_t key0, int64_t n, bool zero)
{
    const struct attention *a = &s->job->a;
    size_t bytes = (size_t)a->features * sizeof(float);
    for (int64_t j = 0; j < n; j++) {
        int64_t to = ((s->b * a->keys + key0 + j) * a->kv_heads + s->head) * a->features;
        int64_t from = j * a->padded_features;
        if (zero) {
            memset(s->job->dk + to, 0, bytes);
            memset(s->job->dv + to, 0, bytes);
        } else {
            memcpy(s->job->dk + to, floats(s, s->job->l.dk) + from, bytes);
            memcpy(s->job->dv + to, floats(s, s->job->l.dv) + from, bytes);
        }
    }
}

static void grad_pair(void *arg, int64_t task, int worker)
{
    const struct grad_job *job = arg;
    const struct attention *a = &job->a;
    const struct grad_layout *l = &job->l;
    struct grad_task s = {.job = job, .b = task / a->kv_heads, .head = task % a->kv_heads};
    s.mine = job->scratch + (size_t)worker * l->worker_bytes;
    s.end = attention_batch_end(a, s.b);
    for (int64_t t = 0; t < a->queries; t++)
        a->k->fill(a->group * a->features,
                   job->dq +
                       ((s.b * a->queries + t) * a->q_heads + s.head * a->group) * a->features,
                   0.0f);
    for (s.block0 = 0; s.block0 < s.end; s.block0 += l->block_keys) {
        s.keys = s.end - s.block0 < l->block_keys ? s.end - s.block0 : l->block_keys;
        pack_block(&s);
        int64_t sums = (s.keys + a->gemm->mr) * a->padded_features;
        a->k->fill(sums, floats(&s, l->dk), 0.0f);
        a->k->fill(sums, floats(&s, l->dv), 0.0f);
        query_tiles(&s);
        write_keys(&s, s.block0, s.keys, false);
    }
    write_keys(&s, s.end, a->keys - s.end, true);
}

static struct attention grad_geometry(const struct ml_kernels *k, const struct ml_tensor *t)
{
    struct attention a;
    attention_init(&a, k, t->src + 1, ml_attr((struct ml_tensor *)t, struct attention_attr));
    return a;
}

static size_t scratch_attention_grad(const struct ml_kernels *k, const struct ml_tensor *t,
                                     int threads)
{
    struct attention a = grad_geometry(k, t);
    return (size_t)threads * grad_layout(&a).worker_bytes;
}

static void forward_attention_grad(struct ml_run *run, struct ml_tensor *t)
{
    struct grad_job job = {.a = grad_geometry(run->k, t), .scratch = run->scratch};
    job.l = grad_layout(&job.a);
    job.forward = t->src[0];
    job.dt = t->src[1 + ATT_SOURCES];
    job.dq = t->data;
    job.dk = job.dq + ml_count(job.a.q);
    job.dv = job.dk + ml_count(job.a.key);
    ml_pool_run(run->pool, job.a.batch * job.a.kv_heads, grad_pair, &job);
}

const struct ml_op ml_op_attention_grad = {
    .name = "attention_grad",
    .what = "gradient of attention: [dq | dk | dv]",
    .min_src = ATT_SOURCES + 2,
    .max_src = ATT_SOURCES + 2,
    .shape = shape_attention_grad,
    .forward = forward_attention_grad,
    .flops = flops_attention_grad,
    .scratch = scratch_attention_grad,
};
