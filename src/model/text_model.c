#include "model/text_model.h"

#include <math.h>

#include "base/fail.h"
#include "tensor/ops.h"

struct ml_text_block {
    struct ml_param *attention_norm, *q, *k, *v, *q_norm, *k_norm, *o;
    struct ml_param *mlp_norm, *gate, *up, *down;
};

static int check(const char *name, int value, int low, int high, struct ml_error *err)
{
    if (value >= low && value <= high)
        return 0;
    return ml_fail(err, ML_ERR_ARG, "model: %s is %d, but must be from %d to %d", name, value, low,
                   high);
}

static int check_config(const struct ml_text_config *c, struct ml_error *err)
{
    const struct {
        const char *name;
        int value, low, high;
    } limits[] = {
        {"vocab", c->vocab, 1, 1 << 20},    {"width", c->width, 2, 1 << 15},
        {"layers", c->layers, 1, 512},      {"heads", c->heads, 1, 1024},
        {"kv_heads", c->kv_heads, 1, 1024}, {"head_dim", c->head_dim, 2, 1024},
        {"ffn", c->ffn, 1, 1 << 17},        {"context", c->context, 1, 1 << 20},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        int status = check(limits[i].name, limits[i].value, limits[i].low, limits[i].high, err);
        if (status != 0)
            return status;
    }
    if (c->heads % c->kv_heads != 0)
        return ml_fail(err, ML_ERR_ARG, "model: heads (%d) must be a multiple of kv_heads (%d)",
                       c->heads, c->kv_heads);
    if (c->head_dim % 2 != 0)
        return ml_fail(err, ML_ERR_ARG, "model: head_dim (%d) must be even for RoPE", c->head_dim);
    return 0;
}

static struct ml_param *matrix(struct ml_params *params, int64_t out, int64_t in, float std,
                               const char *name, int layer)
{
    struct ml_param_spec spec = {.kind = ML_PARAM_MATRIX,
                                 .init = ML_INIT_NORMAL,
                                 .init_std = std,
                                 .ndim = 2,
                                 .dim = {out, in}};
    return ml_param_add(params, &spec, "model.layers.%d.%s.weight", layer, name);
}

static struct ml_param *norm(struct ml_params *params, int64_t width, const char *name, int layer)
{
    struct ml_param_spec spec = {
        .kind = ML_PARAM_VECTOR, .init = ML_INIT_ONE, .ndim = 1, .dim = {width}};
    if (layer < 0)
        return ml_param_add(params, &spec, "model.%s.weight", name);
    return ml_param_add(params, &spec, "model.layers.%d.%s.weight", layer, name);
}

static void add_block(struct ml_text_model *model, int layer)
{
    const struct ml_text_config *c = &model->config;
    struct ml_params *p = &model->params;
    struct ml_text_block *b = &model->blocks[layer];
    int64_t queries = (int64_t)c->heads * c->head_dim, keys = (int64_t)c->kv_heads * c->head_dim;
    float std = 0.02f;
    /* GPT-2's rule: what is added to the residual stream starts smaller the more layers add to it.
     */
    float std_out = std / sqrtf(2.0f * (float)c->layers);
    b->attention_norm = norm(p, c->width, "input_layernorm", layer);
    b->q = matrix(p, queries, c->width, std, "self_attn.q_proj", layer);
    b->k = matrix(p, keys, c->width, std, "self_attn.k_proj", layer);
    b->v = matrix(p, keys, c->width, std, "self_attn.v_proj", layer);
    b->q_norm = norm(p, c->head_dim, "self_attn.q_norm", layer);
    b->k_norm = norm(p, c->head_dim, "self_attn.k_norm", layer);
    b->o = matrix(p, c->width, queries, std_out, "self_attn.o_proj", layer);
    b->mlp_norm = norm(p, c->width, "post_attention_layernorm", layer);
    b->gate = matrix(p, c->ffn, c->width, std, "mlp.gate_proj", layer);
    b->up = matrix(p, c->ffn, c->width, std, "mlp.up_proj", layer);
    b->down = matrix(p, c->width, c->ffn, std_out, "mlp.down_proj", layer);
}

int ml_text_model_init(struct ml_text_model *model, const struct ml_text_config *config,
                       struct ml_arena *arena, struct ml_error *err)
{
    int status = check_config(config, err);
    if (status != 0)
        return status;
    struct ml_text_model m = {.config = *config};
    struct ml_text_config *c = &m.config;
    c->rope_theta = c->rope_theta > 0 ? c->rope_theta : 1e6f;
    c->norm_eps = c->norm_eps > 0 ? c->norm_eps : 1e-6f;
    m.blocks = ml_arena_calloc(arena, (size_t)c->layers, sizeof *m.blocks);
    if (!m.blocks)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a model of %d layers", c->layers);
    ml_params_init(&m.params, arena);
    struct ml_param_spec table = {.kind = ML_PARAM_EMBEDDING,
                                  .init = ML_INIT_NORMAL,
                                  .init_std = 0.02f,
                                  .ndim = 2,
                                  .dim = {c->vocab, c->width}};
    m.embedding = ml_param_add(&m.params, &table, "model.embed_tokens.weight");
    for (int layer = 0; layer < c->layers; layer++)
        add_block(&m, layer);
    m.final_norm = norm(&m.params, c->width, "norm", -1);
    m.head = c->untied ? ml_param_add(&m.params, &table, "lm_head.weight") : m.embedding;
    if (m.params.error.code)
        return ml_fail(err, m.params.error.code, "%s", m.params.error.message);
    *model = m;
    return 0;
}

/* A norm or an activation and the products that read it, as a block of its own: the backward pass
 * makes what the products read anew (they themselves are not needed again, and the plan leaves them
 * out). That is a pass over memory a block for a fifth less of it in all. */
static void cheap_begin(struct ml_graph *g, const struct ml_text_batch *batch)
{
    if (!batch->recompute) /* the whole layer is a block then */
        ml_block_begin(g);
}

static void cheap_end(struct ml_graph *g, const struct ml_text_batch *batch)
{
    if (!batch->recompute)
        ml_block_end(g);
}

/* h [B,T,width] -> what attention adds to it. */
static struct ml_tensor *attend(struct ml_graph *g, struct ml_text_model *m, int layer,
                                struct ml_tensor *h, const struct ml_text_batch *batch)
{
    const struct ml_text_config *c = &m->config;
    struct ml_text_block *b = &m->blocks[layer];
    int64_t B = h->dim[0], T = h->dim[1];
    struct ml_rope rope = {.theta = c->rope_theta};
    struct ml_attention mask = {.causal = true, .segments = batch->segments};
    cheap_begin(g, batch);
    struct ml_tensor *x = ml_rmsnorm(g, h, ml_use(g, b->attention_norm), c->norm_eps);
    struct ml_tensor *q = ml_linear(g, x, ml_use(g, b->q), NULL, ML_ACT_NONE);
    struct ml_tensor *k = ml_linear(g, x, ml_use(g, b->k), NULL, ML_ACT_NONE);
    struct ml_tensor *v = ml_linear(g, x, ml_use(g, b->v), NULL, ML_ACT_NONE);
    cheap_end(g, batch);
    q = ml_reshape(g, q, 4, (int64_t[]){B, T, c->heads, c->head_dim});
    k = ml_reshape(g, k, 4, (int64_t[]){B, T, c->kv_heads, c->head_dim});
    v = ml_reshape(g, v, 4, (int64_t[]){B, T, c->kv_heads, c->head_dim});
    q = ml_rope_apply(g, ml_rmsnorm(g, q, ml_use(g, b->q_norm), c->norm_eps), batch->positions,
                      &rope);
    k = ml_rope_apply(g, ml_rmsnorm(g, k, ml_use(g, b->k_norm), c->norm_eps), batch->positions,
                      &rope);
    if (batch->cache) {
        mask.positions = batch->positions;
        k = ml_cache_write(g, batch->cache->keys[layer], k, batch->positions);
        v = ml_cache_write(g, batch->cache->values[layer], v, batch->positions);
    }
    struct ml_tensor *y = ml_attention(g, q, k, v, &mask); /* [B,T,heads,head_dim] */
    y = ml_reshape(g, y, 3, (int64_t[]){B, T, (int64_t)c->heads * c->head_dim});
    return ml_linear(g, y, ml_use(g, b->o), NULL, ML_ACT_NONE);
}

static struct ml_tensor *feed_forward(struct ml_graph *g, struct ml_text_model *m, int layer,
                                      struct ml_tensor *h, const struct ml_text_batch *batch)
{
    struct ml_text_block *b = &m->blocks[layer];
    cheap_begin(g, batch);
    struct ml_tensor *x = ml_rmsnorm(g, h, ml_use(g, b->mlp_norm), m->config.norm_eps);
    struct ml_tensor *gate = ml_linear(g, x, ml_use(g, b->gate), NULL, ML_ACT_NONE);
    struct ml_tensor *up = ml_linear(g, x, ml_use(g, b->up), NULL, ML_ACT_NONE);
    cheap_end(g, batch);
    cheap_begin(g, batch);
    struct ml_tensor *y =
        ml_linear(g, ml_swiglu(g, gate, up), ml_use(g, b->down), NULL, ML_ACT_NONE);
    cheap_end(g, batch);
    return y;
}

struct ml_tensor *ml_text_hidden(struct ml_graph *g, struct ml_text_model *m,
                                 const struct ml_text_batch *batch)
{
    const struct ml_text_config *c = &m->config;
    struct ml_tensor *h = ml_embedding(g, batch->tokens, ml_use(g, m->embedding)); /* [B,T,width] */
    h = ml_dropout(g, h, c->dropout);
    for (int layer = 0; layer < c->layers; layer++) {
        if (batch->recompute)
            ml_block_begin(g);
        h = ml_add(g, h, ml_dropout(g, attend(g, m, layer, h, batch), c->dropout));
        h = ml_add(g, h, ml_dropout(g, feed_forward(g, m, layer, h, batch), c->dropout));
        if (batch->recompute)
            ml_block_end(g);
    }
    return ml_rmsnorm(g, h, ml_use(g, m->final_norm), c->norm_eps);
}

struct ml_tensor *ml_text_loss(struct ml_graph *g, struct ml_text_model *m,
                               struct ml_tensor *hidden, struct ml_tensor *targets, float smoothing)
{
    return ml_cross_entropy(g, hidden, ml_use(g, m->head), targets, smoothing);
}

struct ml_tensor *ml_text_logits(struct ml_graph *g, struct ml_text_model *m,
                                 struct ml_tensor *hidden)
{
    int64_t rows = ml_rows(hidden);
    struct ml_tensor *h = ml_reshape(g, hidden, 2, (int64_t[]){rows, m->config.width});
    return ml_matmul_to(g, h, ml_use(g, m->head),
                        (struct ml_matmul_attr){.tb = true, .out = ML_F32});
}

double ml_text_train_flops(const struct ml_text_config *c)
{
    double queries = (double)c->heads * c->head_dim, keys = (double)c->kv_heads * c->head_dim;
    double block = c->width * (2 * queries + 2 * keys) + 3.0 * c->width * c->ffn;
    double weights = c->layers * block + (double)c->vocab * c->width;
    return 6 * weights + 6.0 * c->layers * c->context * queries;
}
