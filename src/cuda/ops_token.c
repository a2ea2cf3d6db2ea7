/* Attention, caches and what is looked up by token. */
#include "cuda/module.h"
#include "tensor/attention_tile.h"
#include "tensor/op_attr.h"

/* ---- attention ---- */

static struct cuda_attention attention_of(const struct ml_tensor *t, struct ml_tensor *const *src)
{
    const struct attention_attr *attr = ml_attr((struct ml_tensor *)t, struct attention_attr);
    const struct ml_tensor *q = src[ATT_Q], *k = src[ATT_K];
    struct ml_tensor *const *mask = src + ATT_SEGMENTS;
    return (struct cuda_attention){
        .batch = q->dim[0],
        .queries = q->dim[1],
        .keys = k->dim[1],
        .q_heads = q->dim[2],
        .kv_heads = k->dim[2],
        .features = q->dim[3],
        .causal = attr->causal,
        .scale = attr->scale,
        .segments = mask[0] ? mask[0]->remote : NULL,
        .length = mask[1] ? mask[1]->remote : NULL,
        .positions = mask[2] ? mask[2]->remote : NULL,
        .q = cuda_numbers(q),
        .k = cuda_numbers(k),
        .v = cuda_numbers(src[ATT_V]),
    };
}

static bool fits(const struct cuda_attention *a)
{
    const int64_t most = 65535; /* of a grid's second and third dimension */
    return a->features <= CUDA_ATTENTION_FEATURES && a->batch <= most && a->q_heads <= most &&
           a->keys < INT32_MAX && a->queries < INT32_MAX;
}

static bool attention_supports(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    struct cuda_attention a = attention_of(t, t->src + (t->op == ML_OP_ATTENTION_GRAD));
    return fits(&a);
}

static int attention_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                         struct ml_error *err)
{
    (void)scratch;
    struct cuda_attention a = attention_of(t, t->src);
    return cuda_check(cuda_attention(c->stream, &a, cuda_numbers(t), t->remote_aux), "attention",
                      err);
}

static size_t attention_grad_scratch(const struct ml_tensor *t)
{
    const struct ml_tensor *q = t->src[1 + ATT_Q];
    return cuda_align((size_t)(q->dim[0] * q->dim[1] * q->dim[2]) * sizeof(float));
}

static int attention_grad_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                              struct ml_error *err)
{
    struct cuda_attention a = attention_of(t, t->src + 1);
    const struct ml_tensor *forward = t->src[0], *dt = t->src[1 + ATT_SOURCES];
    float *dq = t->remote, *dk = dq + ml_count(t->src[1 + ATT_Q]);
    float *dv = dk + ml_count(t->src[1 + ATT_K]);
    return cuda_check(cuda_attention_grad(c->stream, &a, dq, dk, dv, cuda_numbers(forward),
                                          forward->remote_aux, cuda_numbers(dt),
                                          (float *)(void *)scratch),
                      "attention_grad", err);
}

const struct cuda_op cuda_op_attention = {attention_supports, NULL, attention_run};
const struct cuda_op cuda_op_attention_grad = {attention_supports, attention_grad_scratch,
                                               attention_grad_run};

static bool cache_supports(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    return cuda_is_number(t) && cuda_is_number(t->src[1]);
}

static int cache_run(struct cuda_state *c, struct ml_tensor *t, char *scratch, struct ml_error *err)
{
    const struct ml_tensor *x = t->src[1];
    (void)scratch;
    (void)err;
    cuda_cache_write(c->stream, x->dim[0], x->dim[1], t->dim[1], x->dim[2] * x->dim[3],
                     cuda_numbers(t), cuda_numbers(x), t->src[2]->remote, c->shared);
    return 0;
}

const struct cuda_op cuda_op_cache_write = {cache_supports, NULL, cache_run};

/* ---- tables ---- */

static bool embedding_supports(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    return cuda_is_number(t) && cuda_is_number(t->src[1]) && ml_count(t->src[0]) < INT32_MAX;
}

static int embedding_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                         struct ml_error *err)
{
    const struct ml_tensor *table = t->src[1];
    (void)scratch;
    (void)err;
    cuda_embedding(c->stream, ml_count(t->src[0]), table->dim[1], table->dim[0], cuda_numbers(t),
                   t->src[0]->remote, cuda_numbers(table), c->shared);
    return 0;
}

static size_t embedding_grad_scratch(const struct ml_tensor *t)
{
    return cuda_align(cuda_embedding_grad_scratch(ml_count(t->src[0]), t->dim[0]));
}

static int embedding_grad_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                              struct ml_error *err)
{
    (void)err;
    cuda_embedding_grad(c->stream, ml_count(t->src[0]), t->dim[1], t->dim[0], t->remote,
                        t->src[0]->remote, cuda_numbers(t->src[2]), scratch, c->shared);
    return 0;
}

const struct cuda_op cuda_op_embedding = {embedding_supports, NULL, embedding_run};
const struct cuda_op cuda_op_embedding_grad = {embedding_supports, embedding_grad_scratch,
                                               embedding_grad_run};

/* ---- rotary positions ---- */

static bool rope_supports(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    return cuda_is_number(t);
}

static int rope_run(struct cuda_state *c, struct ml_tensor *t, char *scratch, struct ml_error *err)
{
    const struct rope_attr *attr = ml_attr(t, struct rope_attr);
    struct cuda_rope r = {
        .rows = t->dim[0] * t->dim[1],
        .heads = t->dim[2],
        .d = t->dim[3],
        .pairs = attr->rope.rotary / 2,
        .axes = attr->rope.axes,
        .interleaved = attr->rope.interleaved,
        .theta = attr->rope.theta,
        .sign = attr->sign,
    };
    (void)scratch;
    (void)err;
    cuda_rope(c->stream, &r, cuda_numbers(t), cuda_numbers(t->src[0]), t->src[1]->remote);
    return 0;
}

const struct cuda_op cuda_op_rope = {rope_supports, NULL, rope_run};
