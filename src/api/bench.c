/* maliang bench: kernels, training and generation against this machine's own peak, all measured in
 * the same run. The best of several tries counts: neighbours only slow down. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/progress.h"
#include "bench_peer.h"
#include "kernel/peak.h"
#include "model/text_model.h"
#include "nn/optim.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

#define ML_BENCH_OPS 64 /* ops listed at most */
#define MEMORY_BYTES (256 << 20)

struct bench {
    struct ml_device *device;
    const struct ml_bench_request *request;
    double seconds;
    double peak[2]; /* flop/s in f32, bf16 */
    bool bf16;      /* precision of train */
    struct bench_peer peers[BENCH_PEERS];
    int peer_count;
    struct ml_error *err;
};

static bool cancelled(const struct bench *b)
{
    return b->request->cancel && *b->request->cancel;
}

/* The least time for these flops at the peak and these bytes at the speed at which so many are
 * read here, as a share of the time taken. */
static double floor_share(const struct bench *b, double flops, double peak, double bytes,
                          double seconds)
{
    if (b->device->accelerator)
        return 0;
    double rate = ml_peak_bandwidth(&b->device->kernels, (size_t)bytes, b->device->pool);
    double compute = flops / peak, memory = rate > 0 ? bytes / rate : 0;
    return (compute > memory ? compute : memory) / seconds;
}

static void emit(const struct bench *b, struct ml_bench_row *row, const char *name)
{
    snprintf(row->name, sizeof row->name, "%s", name);
    if (b->request->row)
        b->request->row(b->request->arg, row);
}

/* Best seconds of fn within the budget; at least two tries. */
static double best_time(const struct bench *b, double budget, int (*fn)(void *), void *arg)
{
    double best = INFINITY, begin = ml_time();
    for (int tries = 0; tries < 2 || (ml_time() - begin < budget && !cancelled(b)); tries++) {
        double start = ml_time();
        if (fn(arg) != 0)
            return NAN;
        double took = ml_time() - start;
        best = took < best ? took : best;
    }
    return best;
}

static struct ml_text_config shape_of(const struct ml_bench_request *r)
{
    struct ml_text_config c = {.vocab = r->vocab ? r->vocab : 256,
                               .width = r->width ? r->width : 384,
                               .layers = r->layers ? r->layers : 6,
                               .heads = r->heads ? r->heads : 6,
                               .ffn = r->ffn ? r->ffn : 1024,
                               .context = r->context ? r->context : 256};
    c.kv_heads = r->kv_heads ? r->kv_heads : c.heads;
    c.head_dim = c.width / (c.heads ? c.heads : 1);
    return c;
}

/* ---- kernels ---- */

struct gemm_call {
    const struct bench *b;
    struct ml_gemm gemm;
    void *scratch;
};

static int call_gemm(void *arg)
{
    struct gemm_call *c = arg;
    ml_gemm_run(&c->b->device->kernels, &c->gemm, c->b->device->pool, c->scratch);
    return 0;
}

struct peer_call {
    const struct bench_peer *peer;
    const struct ml_gemm *gemm;
};

static int call_peer(void *arg)
{
    const struct peer_call *c = arg;
    c->peer->run(c->peer, c->gemm);
    return 0;
}

/* The fastest of the peers into the row. */
static void ask_peers(const struct bench *b, const struct ml_gemm *g, double budget,
                      struct ml_bench_row *row)
{
    for (int i = 0; i < b->peer_count && !g->bf16 && !cancelled(b); i++) {
        struct peer_call call = {&b->peers[i], g};
        call_peer(&call); /* wakes its threads */
        double value = row->flops / best_time(b, budget, call_peer, &call) / 1e9;
        if (value > row->peer_value) {
            row->peer_value = value;
            snprintf(row->peer, sizeof row->peer, "%s", b->peers[i].name);
        }
    }
}

/* The three products of a linear layer: forward x w', dX = dY w, dW = dY' x. */
static int bench_linear(struct bench *b, int64_t m, int64_t n, int64_t k, bool bf16, double budget)
{
    static const char *const names[] = {"forward", "dX", "dW"};
    int status = 0;
    float *x = ml_mem_calloc((size_t)(m * k), sizeof *x);
    float *w = ml_mem_calloc((size_t)(n * k), sizeof *w);
    float *y = ml_mem_calloc((size_t)(m * n), sizeof *y);
    for (int which = 0; which < 3 && x && w && y && status == 0 && !cancelled(b); which++) {
        struct ml_matrix X = {x, ML_F32, k, 1}, W = {w, ML_F32, k, 1}, Y = {y, ML_F32, n, 1};
        struct ml_gemm g = {
            .m = m, .n = n, .k = k, .a = X, .b = {w, ML_F32, 1, k}, .c = y, .c_row = n};
        if (which == 1)
            g = (struct ml_gemm){.m = m, .n = k, .k = n, .a = Y, .b = W, .c = x, .c_row = k};
        if (which == 2)
            g = (struct ml_gemm){
                .m = n, .n = k, .k = m, .a = {y, ML_F32, 1, n}, .b = X, .c = w, .c_row = k};
        g.c_dtype = ML_F32;
        g.bf16 = bf16;
        struct gemm_call call = {b, g, NULL};
        size_t scratch = ml_gemm_scratch(&b->device->kernels, &g, ml_pool_threads(b->device->pool));
        call.scratch = ml_mem_alloc(scratch + ML_ALIGN);
        if (!call.scratch) {
            status = ML_ERR_MEMORY;
            break;
        }
        double seconds = best_time(b, budget, call_gemm, &call), flops = 2.0 * m * n * k;
        ml_mem_free(call.scratch);
        char name[96];
        snprintf(name, sizeof name, "%s %-7s m=%lld n=%lld k=%lld", bf16 ? "bf16" : "f32 ",
                 names[which], (long long)g.m, (long long)g.n, (long long)g.k);
        struct ml_bench_row row = {.value = flops / seconds / 1e9,
                                   .unit = "GFLOP/s",
                                   .peak_share = flops / seconds / b->peak[bf16],
                                   .flops = flops,
                                   .bytes = 4.0 * (double)(m * n + n * k + m * k)};
        row.floor_share = floor_share(b, flops, b->peak[bf16], row.bytes, seconds);
        ask_peers(b, &g, budget, &row);
        emit(b, &row, name);
    }
    if (!x || !w || !y)
        status = ML_ERR_MEMORY;
    ml_mem_free(x);
    ml_mem_free(w);
    ml_mem_free(y);
    return status == 0 ? 0
                       : ml_fail(b->err, status, "out of memory for a product of %lld x %lld",
                                 (long long)m, (long long)n);
}

/* The products of the model's layers, of its head, and of one decoded row. */
static int bench_kernels(struct bench *b)
{
    struct ml_text_config c = shape_of(b->request);
    int64_t rows = (int64_t)(b->request->batch ? b->request->batch : 16) * c.context;
    const int64_t shapes[][3] = {{rows, c.width, c.width},
                                 {rows, c.ffn, c.width},
                                 {rows, c.width, c.ffn},
                                 {rows, c.vocab, c.width},
                                 {1, c.ffn, c.width}};
    int count = (int)(sizeof shapes / sizeof *shapes), status = 0;
    b->peer_count = bench_peers_open(b->peers, ml_pool_threads(b->device->pool));
    struct ml_bench_row memory = {.unit = "GB/s", .peak_share = NAN, .bytes = MEMORY_BYTES};
    memory.value = ml_peak_bandwidth(&b->device->kernels, MEMORY_BYTES, b->device->pool) / 1e9;
    emit(b, &memory, "memory read, measured over 256 MB");
    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct ml_bench_row row = {
            .value = b->peak[bf16] / 1e9, .unit = "GFLOP/s", .peak_share = 1};
        emit(b, &row, bf16 ? "bf16 peak, measured" : "f32 peak, measured");
        for (int i = 0; i < count && status == 0; i++)
            status = bench_linear(b, shapes[i][0], shapes[i][1], shapes[i][2], bf16,
                                  b->seconds / ((6 + 3 * b->peer_count) * count));
    }
    return status;
}

/* ---- models ---- */

struct model_bench {
    struct bench *b;
    struct ml_arena arena;
    struct ml_text_model model;
    struct ml_graph graph;
    struct ml_plan *plan;
    struct ml_optim *optim;
    struct ml_tensor **grads;
    const float **grad_data;
    int32_t *tokens, *positions, *targets;
};

/* Matrices become bf16, in their own memory; vectors stay f32, as when a bf16 model is opened. */
static void round_matrices(const struct ml_params *params, const struct ml_kernels *k)
{
    for (int i = 0; i < params->count; i++) {
        struct ml_param *p = params->items[i];
        if (p->ndim < 2)
            continue;
        for (int64_t at = 0, n = ml_param_count(p); at < n; at += 256) {
            ml_bf16 rounded[256];
            size_t part = (size_t)(n - at < 256 ? n - at : 256);
            k->f32_to_bf16((int64_t)part, rounded, (const float *)p->data + at);
            memcpy((ml_bf16 *)p->data + at, rounded, part * sizeof *rounded);
        }
        p->dtype = ML_BF16;
    }
}

static int make_model(struct model_bench *m, enum ml_dtype type, struct ml_error *err)
{
    struct ml_text_config config = shape_of(m->b->request);
    ml_arena_init(&m->arena, 1 << 20);
    int status = ml_text_model_init(&m->model, &config, &m->arena, err);
    if (status == 0)
        status = ml_params_allocate(&m->model.params, ML_F32, err);
    if (status == 0)
        ml_params_randomize(&m->model.params, 1);
    if (status == 0 && type == ML_BF16)
        round_matrices(&m->model.params, &m->b->device->kernels);
    return status;
}

static void clear_model(struct model_bench *m)
{
    ml_plan_free(m->plan);
    ml_optim_free(m->optim);
    ml_arena_clear(&m->arena);
}

static int make_inputs(struct model_bench *m, int64_t rows, int64_t length, struct ml_error *err)
{
    size_t n = (size_t)(rows * length);
    m->tokens = ml_arena_calloc(&m->arena, n, sizeof(int32_t));
    m->positions = ml_arena_calloc(&m->arena, n, sizeof(int32_t));
    m->targets = ml_arena_calloc(&m->arena, n, sizeof(int32_t));
    if (!m->tokens || !m->positions || !m->targets)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a batch");
    struct ml_rng rng;
    ml_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < n; i++) {
        m->tokens[i] = (int32_t)ml_rng_below(&rng, (uint64_t)m->model.config.vocab);
        m->targets[i] = (int32_t)ml_rng_below(&rng, (uint64_t)m->model.config.vocab);
        m->positions[i] = (int32_t)(i % (size_t)length);
    }
    return 0;
}

static int make_step(struct model_bench *m, int64_t batch, struct ml_error *err)
{
    struct ml_params *params = &m->model.params;
    int64_t shape[2] = {batch, m->model.config.context};
    int status = make_inputs(m, shape[0], shape[1], err);
    struct ml_tensor **leaves =
        ml_arena_calloc(&m->arena, (size_t)params->count, sizeof(struct ml_tensor *));
    m->grads = ml_arena_calloc(&m->arena, (size_t)params->count, sizeof *m->grads);
    m->grad_data = ml_arena_calloc(&m->arena, (size_t)params->count, sizeof *m->grad_data);
    if (status != 0 || !leaves || !m->grads || !m->grad_data)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a batch");
    ml_graph_init(&m->graph, &m->arena);
    m->graph.compute = m->b->bf16 ? ML_BF16 : ML_F32;
    m->graph.training = true;
    struct ml_text_batch input = {
        .tokens = ml_leaf(&m->graph, "tokens", ML_I32, 2, shape, m->tokens),
        .positions = ml_leaf(&m->graph, "positions", ML_I32, 2, shape, m->positions)};
    struct ml_tensor *targets = ml_leaf(&m->graph, "targets", ML_I32, 2, shape, m->targets);
    struct ml_tensor *hidden = ml_text_hidden(&m->graph, &m->model, &input);
    struct ml_tensor *loss = ml_text_loss(&m->graph, &m->model, hidden, targets, 0);
    for (int i = 0; i < params->count; i++)
        leaves[i] = ml_use(&m->graph, params->items[i]);
    ml_grad(&m->graph, loss, leaves, params->count, m->grads);
    status = ml_plan_new(&m->plan, &m->graph, m->grads, params->count, m->b->device, err);
    if (status == 0)
        ml_plan_keep_outputs(m->plan, true);
    struct ml_optim_options options = {.kind = ML_OPTIM_ADAMW};
    return status == 0 ? ml_optim_new(&m->optim, params, &options, m->b->device, err) : status;
}

static int call_step(void *arg)
{
    struct model_bench *m = arg;
    int status = ml_run(m->plan, 1, m->b->err);
    for (int i = 0; i < m->model.params.count; i++)
        m->grad_data[i] = ml_plan_numbers(m->plan, m->grads[i]);
    struct ml_optim_rates rates = {.lr = 1e-4f, .matrix_lr = 1e-4f, .grad_scale = 1};
    if (status == 0)
        status = ml_optim_step(m->optim, m->grad_data, &rates, m->b->err);
    return status == 0 ? ml_device_wait(m->b->device, m->b->err) : status;
}

/* One more run with a clock at every op: where the time goes, and what its bytes and flops are. */
static void emit_ops(struct bench *b, struct model_bench *m)
{
    struct ml_plan_time times[ML_BENCH_OPS];
    ml_plan_set_timing(m->plan, true);
    double begin = ml_time();
    if (call_step(m) != 0)
        return;
    double step = ml_time() - begin, rest = step;
    int count = ml_plan_get_timing(m->plan, times, ML_BENCH_OPS);
    for (int i = 0; i <= count; i++) {
        struct ml_bench_row row = {.unit = "ms", .peak_share = NAN};
        char name[96];
        double seconds = i < count ? times[i].seconds : rest;
        if (i < count) {
            row.flops = times[i].flops;
            row.bytes = times[i].bytes;
            row.peak_share = times[i].flops / seconds / b->peak[b->bf16];
            rest -= seconds;
        }
        row.value = 1e3 * seconds;
        snprintf(name, sizeof name, "  %-20s x %-4lld %5.1f%%",
                 i < count ? times[i].op : "optimiser", i < count ? (long long)times[i].calls : 1LL,
                 100 * seconds / step);
        emit(b, &row, name);
    }
}

static int bench_train(struct bench *b)
{
    struct model_bench m = {.b = b};
    int64_t batch = b->request->batch ? b->request->batch : 16;
    int status = make_model(&m, ML_F32, b->err);
    if (status == 0)
        status = make_step(&m, batch, b->err);
    double seconds = status == 0 ? best_time(b, b->seconds, call_step, &m) : NAN;
    if (status == 0 && !isnan(seconds)) {
        struct ml_plan_stats stats;
        double tokens = (double)batch * m.model.config.context;
        double flops = tokens * ml_text_train_flops(&m.model.config);
        char name[96];
        ml_plan_get_stats(m.plan, &stats);
        snprintf(name, sizeof name, "train %.1fM B%lld T%d %s",
                 (double)ml_params_count(&m.model.params) / 1e6, (long long)batch,
                 m.model.config.context, b->bf16 ? "bf16" : "f32");
        struct ml_bench_row row = {.value = tokens / seconds,
                                   .unit = "tokens/s",
                                   .peak_share = flops / seconds / b->peak[b->bf16],
                                   .flops = flops};
        emit(b, &row, name);
        row = (struct ml_bench_row){.value = (double)stats.arena_bytes / 1e6,
                                    .unit = "MB",
                                    .peak_share = NAN,
                                    .bytes = (double)stats.live_bytes};
        emit(b, &row, "planned memory of a step");
        row = (struct ml_bench_row){.value = (double)stats.arena_bytes / (double)stats.live_bytes,
                                    .unit = "x",
                                    .peak_share = NAN};
        emit(b, &row, "planned against live at the worst moment");
        emit_ops(b, &m);
    }
    clear_model(&m);
    return isnan(seconds) && status == 0 ? ML_ERR_STATE : status;
}

static int make_decoder(struct model_bench *m, int64_t batch, struct ml_error *err)
{
    const struct ml_text_config *c = &m->model.config;
    int status = make_inputs(m, batch, 1, err);
    struct ml_tensor **cache =
        ml_arena_calloc(&m->arena, 2 * (size_t)c->layers, sizeof(struct ml_tensor *));
    if (status != 0 || !cache)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a cache");
    ml_graph_init(&m->graph, &m->arena);
    int64_t shape[4] = {batch, c->context, c->kv_heads, c->head_dim}, ids[2] = {batch, 1};
    enum ml_dtype type = m->model.embedding->dtype; /* as a text writer has it */
    for (int i = 0; i < 2 * c->layers; i++) {
        void *data = ml_arena_calloc(
            &m->arena, (size_t)(batch * c->context * c->kv_heads * c->head_dim), sizeof(float));
        if (!data)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for a cache");
        cache[i] = ml_leaf(&m->graph, "cache", type, 4, shape, data);
    }
    struct ml_text_cache kv = {cache, cache + c->layers};
    struct ml_text_batch input = {.tokens = ml_leaf(&m->graph, "tokens", ML_I32, 2, ids, m->tokens),
                                  .positions =
                                      ml_leaf(&m->graph, "positions", ML_I32, 2, ids, m->positions),
                                  .cache = &kv};
    struct ml_tensor *logits =
        ml_text_logits(&m->graph, &m->model, ml_text_hidden(&m->graph, &m->model, &input));
    for (int64_t i = 0; i < batch; i++)
        m->positions[i] = c->context / 2; /* half a context to look back on */
    return ml_plan_new(&m->plan, &m->graph, &logits, 1, m->b->device, err);
}

static int call_run(void *arg)
{
    struct model_bench *m = arg;
    return ml_run(m->plan, 1, m->b->err);
}

static int bench_generate(struct bench *b)
{
    struct model_bench m = {.b = b};
    int64_t batch = b->request->batch ? b->request->batch : 1;
    const char *precision = b->request->precision;
    bool bf16 = precision && strcmp(precision, "bf16") == 0; /* of the weights */
    int status = make_model(&m, bf16 ? ML_BF16 : ML_F32, b->err);
    if (status == 0 && !b->device->accelerator) /* as a text session does */
        status = ml_params_pack(&m.model.params, &b->device->kernels, b->err);
    if (status == 0)
        status = make_decoder(&m, batch, b->err);
    double seconds = status == 0 ? best_time(b, b->seconds, call_run, &m) : NAN;
    if (status == 0 && !isnan(seconds)) {
        struct ml_plan_stats stats;
        char name[96];
        ml_plan_get_stats(m.plan, &stats);
        double count = (double)ml_params_count(&m.model.params);
        double weights = (bf16 ? 2.0 : 4.0) * count;
        snprintf(name, sizeof name, "generate %.1fM batch %lld %s", count / 1e6, (long long)batch,
                 bf16 ? "bf16" : "f32");
        struct ml_bench_row row = {.value = (double)batch / seconds,
                                   .unit = "tokens/s",
                                   .peak_share = (double)stats.flops / seconds / b->peak[0],
                                   .flops = (double)stats.flops,
                                   .bytes = weights};
        row.floor_share = floor_share(b, row.flops, b->peak[0], row.bytes, seconds);
        emit(b, &row, name);
        row = (struct ml_bench_row){
            .value = weights / seconds / 1e9, .unit = "GB/s", .peak_share = NAN, .bytes = weights};
        emit(b, &row, "weights read");
    }
    clear_model(&m);
    return isnan(seconds) && status == 0 ? ML_ERR_STATE : status;
}

int ml_engine_bench(struct ml_engine *engine, const struct ml_bench_request *request,
                    struct ml_error *err)
{
    struct bench b = {.device = engine->device, .request = request, .err = err};
    const struct ml_kernels *k = &engine->device->kernels;
    const char *precision = request->precision ? request->precision : "auto";
    b.seconds = request->seconds > 0 ? request->seconds : 10;
    if (strcmp(precision, "auto") == 0)
        b.bf16 = ml_device_has_bf16(engine->device);
    else if (strcmp(precision, "bf16") == 0)
        b.bf16 = true;
    else if (strcmp(precision, "f32") != 0)
        return ml_fail(err, ML_ERR_ARG, "there is no precision \"%s\"; known: auto, f32, bf16",
                       precision);
    bool remote = engine->device->accelerator != NULL; /* whose peak nobody measured */
    if (remote && strcmp(request->what, "kernels") == 0)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "bench kernels measures the processor: leave --device out");
    for (int bf16 = 0; bf16 < 2; bf16++)
        b.peak[bf16] = remote ? NAN : ml_peak_flops(k, bf16, engine->device->pool);
    int status;
    if (strcmp(request->what, "kernels") == 0)
        status = bench_kernels(&b);
    else if (strcmp(request->what, "train") == 0)
        status = bench_train(&b);
    else if (strcmp(request->what, "generate") == 0)
        status = bench_generate(&b);
    else
        return ml_fail(err, ML_ERR_ARG, "bench knows kernels, train and generate, not \"%s\"",
                       request->what);
    if (status == 0 && cancelled(&b))
        return ml_fail(err, ML_ERR_CANCELLED, "stopped before all was measured");
    return status;
}
