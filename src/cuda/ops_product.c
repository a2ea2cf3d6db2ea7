/* Products of graphs, and cross-entropy, which is mostly products. */
#include "cuda/module.h"
#include "tensor/op_attr.h"

static bool float_or_bf16(const struct ml_tensor *t)
{
    return t->dtype == ML_F32 || t->dtype == ML_BF16;
}

static size_t bytes_of(int64_t n, int type)
{
    return (size_t)n * (type == CUDA_F32 ? 4 : 2);
}

/* Scratch for n numbers in `type` where t has another. */
static size_t converted_bytes(const struct ml_tensor *t, int64_t n, int type)
{
    return (int)t->dtype == type ? 0 : cuda_align(bytes_of(n, type));
}

/* t's numbers in `type`: where they are, or converted into scratch. */
static const void *as_type(struct cuda_state *c, const struct ml_tensor *t, int type,
                           char **scratch)
{
    if ((int)t->dtype == type)
        return t->remote;
    int64_t n = ml_count(t);
    struct cuda_numbers to = {cuda_take(scratch, bytes_of(n, type)), type};
    cuda_affine(c->stream, n, to, cuda_numbers(t), 1.0f, 0.0f);
    return to.data;
}

/* ---- matmul and linear ---- */

/* The product that t is, without memory. */
static struct cuda_product product_of(const struct ml_tensor *t)
{
    const struct ml_tensor *a = t->src[0], *b = t->src[1];
    struct cuda_product p = {.batches = 1, .alpha = 1.0f, .c_type = (int)t->dtype};
    if (t->op == ML_OP_LINEAR) {
        p.m = ml_rows(a);
        p.n = b->dim[0];
        p.k = b->dim[1];
        p.tb = true;
        p.type = a->dtype == ML_BF16 ? CUDA_BF16 : CUDA_F32;
        return p;
    }
    const struct ml_matmul_attr *attr = ml_attr((struct ml_tensor *)t, struct ml_matmul_attr);
    p.ta = attr->ta;
    p.tb = attr->tb;
    p.alpha = attr->alpha != 0 ? attr->alpha : 1.0f;
    p.type = attr->bf16 ? CUDA_BF16 : CUDA_F32;
    p.m = t->dim[t->ndim - 2];
    p.n = t->dim[t->ndim - 1];
    p.k = a->dim[a->ndim - (p.ta ? 2 : 1)];
    int64_t batches = 1;
    for (int i = 0; i + 2 < t->ndim; i++)
        batches *= t->dim[i];
    if (b->ndim == 2) /* a batch on the left alone is one taller product */
        p.m *= batches;
    else
        p.batches = batches;
    return p;
}

/* bf16 results of f32 products are rounded at the end. */
static bool rounds(const struct cuda_product *p)
{
    return p->c_type == CUDA_BF16 && p->type == CUDA_F32;
}

static bool product_supports(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    struct cuda_product p = product_of(t);
    const int64_t most = INT32_MAX;
    return float_or_bf16(t) && cuda_is_number(t->src[0]) && cuda_is_number(t->src[1]) &&
           p.m <= most && p.n <= most && p.k <= most && p.batches <= 65535;
}

static size_t product_scratch(const struct ml_tensor *t)
{
    struct cuda_product p = product_of(t);
    size_t bytes = converted_bytes(t->src[0], ml_count(t->src[0]), p.type) +
                   converted_bytes(t->src[1], ml_count(t->src[1]), p.type);
    return bytes + (rounds(&p) ? cuda_align(bytes_of(ml_count(t), CUDA_F32)) : 0);
}

static int product_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                       struct ml_error *err)
{
    struct cuda_product p = product_of(t);
    bool round = rounds(&p);
    p.a = as_type(c, t->src[0], p.type, &scratch);
    p.b = as_type(c, t->src[1], p.type, &scratch);
    p.c = round ? cuda_take(&scratch, bytes_of(ml_count(t), CUDA_F32)) : t->remote;
    p.c_type = round ? CUDA_F32 : (int)t->dtype;
    int status = cuda_product_run(c, &p, err);
    if (status == 0 && round)
        cuda_affine(c->stream, ml_count(t), cuda_numbers(t), (struct cuda_numbers){p.c, CUDA_F32},
                    1.0f, 0.0f);
    return status;
}

static int linear_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                      struct ml_error *err)
{
    int status = product_run(c, t, scratch, err);
    enum ml_act act = (enum ml_act) * ml_attr(t, int);
    /* the kernel table is not linked here: the same list as ml_act_unary */
    static const int unary[ML_ACT_COUNT] = {
        [ML_ACT_NONE] = -1,
        [ML_ACT_RELU] = ML_UNARY_RELU,
        [ML_ACT_RELU2] = ML_UNARY_RELU2,
        [ML_ACT_GELU] = ML_UNARY_GELU,
        [ML_ACT_GELU_ERF] = ML_UNARY_GELU_ERF,
        [ML_ACT_SILU] = ML_UNARY_SILU,
        [ML_ACT_TANH] = ML_UNARY_TANH,
        [ML_ACT_SIGMOID] = ML_UNARY_SIGMOID,
    };
    const struct ml_tensor *bias = t->src[2];
    if (status == 0 && (bias || unary[act] >= 0))
        cuda_bias_act(c->stream, ml_rows(t), ml_width(t), cuda_numbers(t),
                      bias ? bias->remote : NULL, unary[act]);
    return status;
}

const struct cuda_op cuda_op_matmul = {product_supports, product_scratch, product_run};
const struct cuda_op cuda_op_linear = {product_supports, product_scratch, linear_run};

/* ---- cross-entropy: logits of some rows at a time, all words of them ---- */

#define LOGITS_FLOATS ((int64_t)64 << 20) /* 256 MiB */

struct loss {
    const struct ml_tensor *h, *w, *targets;
    int64_t n, d, words, rows; /* rows of a tile */
    int type;
    float smoothing;
    const void *all_h, *all_w;
    float *logits, *valid, *each;
    void *half; /* dlogits in bf16 */
};

static struct loss loss_of(const struct ml_tensor *t, bool gradient)
{
    struct ml_tensor *const *src = t->src + (gradient ? 1 : 0);
    struct loss l = {.h = src[0], .w = src[1], .targets = src[2]};
    l.n = ml_rows(l.h);
    l.d = ml_width(l.h);
    l.words = l.w->dim[0];
    l.rows = LOGITS_FLOATS / l.words;
    l.rows = l.rows < 16 ? 16 : l.rows;
    l.rows = l.rows < l.n ? l.rows : l.n;
    l.type = l.h->dtype == ML_BF16 ? CUDA_BF16 : CUDA_F32;
    l.smoothing = ml_attr((struct ml_tensor *)t, struct loss_attr)->smoothing;
    return l;
}

static bool loss_supports(const struct cuda_state *c, const struct ml_tensor *t)
{
    (void)c;
    struct loss l = loss_of(t, t->op == ML_OP_CROSS_ENTROPY_GRAD);
    return float_or_bf16(l.h) && cuda_is_number(l.w) && l.words < INT32_MAX / 16;
}

static size_t loss_scratch(const struct ml_tensor *t)
{
    bool gradient = t->op == ML_OP_CROSS_ENTROPY_GRAD;
    struct loss l = loss_of(t, gradient);
    size_t bytes =
        converted_bytes(l.h, ml_count(l.h), l.type) + converted_bytes(l.w, ml_count(l.w), l.type);
    bytes += cuda_align(bytes_of(l.rows * l.words, CUDA_F32)) + cuda_align(sizeof(float));
    bytes += gradient ? 0 : cuda_align(bytes_of(l.n, CUDA_F32));
    return bytes + (gradient && l.type == CUDA_BF16
                        ? cuda_align(bytes_of(l.rows * l.words, CUDA_BF16))
                        : 0);
}

static void loss_begin(struct cuda_state *c, struct loss *l, bool gradient, char *scratch)
{
    l->all_h = as_type(c, l->h, l->type, &scratch);
    l->all_w = as_type(c, l->w, l->type, &scratch);
    l->logits = cuda_take(&scratch, bytes_of(l->rows * l->words, CUDA_F32));
    l->valid = cuda_take(&scratch, sizeof(float));
    l->half = l->logits;
    if (!gradient)
        l->each = cuda_take(&scratch, bytes_of(l->n, CUDA_F32));
    else if (l->type == CUDA_BF16)
        l->half = cuda_take(&scratch, bytes_of(l->rows * l->words, CUDA_BF16));
    cuda_count_targets(c->stream, l->n, l->words, l->targets->remote, l->valid, c->shared);
}

static const void *row_of(const struct loss *l, int64_t row)
{
    return (const char *)l->all_h + bytes_of(row * l->d, l->type);
}

static int logits(struct cuda_state *c, const struct loss *l, int64_t row, int64_t rows,
                  struct ml_error *err)
{
    return cuda_product_run(c,
                            &(struct cuda_product){.m = rows,
                                                   .n = l->words,
                                                   .k = l->d,
                                                   .batches = 1,
                                                   .a = row_of(l, row),
                                                   .b = l->all_w,
                                                   .c = l->logits,
                                                   .type = l->type,
                                                   .c_type = CUDA_F32,
                                                   .tb = true,
                                                   .alpha = 1.0f},
                            err);
}

static int cross_entropy_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                             struct ml_error *err)
{
    struct loss l = loss_of(t, false);
    int status = 0;
    loss_begin(c, &l, false, scratch);
    for (int64_t row = 0; row < l.n && status == 0; row += l.rows) {
        int64_t rows = l.n - row < l.rows ? l.n - row : l.rows;
        status = logits(c, &l, row, rows, err);
        if (status == 0)
            cuda_loss_rows(c->stream, rows, l.words, l.logits,
                           (const int32_t *)l.targets->remote + row, l.smoothing,
                           t->remote_aux + row, l.each + row);
    }
    cuda_loss_mean(c->stream, l.n, l.each, l.valid, t->remote);
    return status;
}

static int loss_grad_tile(struct cuda_state *c, const struct loss *l, const struct ml_tensor *t,
                          int64_t row, int64_t rows, struct ml_error *err)
{
    const struct loss_attr *attr = ml_attr((struct ml_tensor *)t, struct loss_attr);
    float *dh = attr->want_h ? t->remote : NULL;
    float *dw = attr->want_w ? (float *)t->remote + (dh ? l->n * l->d : 0) : NULL;
    struct cuda_product p = {
        .batches = 1, .a = l->half, .type = l->type, .c_type = CUDA_F32, .n = l->d, .alpha = 1.0f};
    int status = logits(c, l, row, rows, err);
    if (status == 0)
        cuda_loss_grad_rows(c->stream, rows, l->words, (struct cuda_numbers){l->half, l->type},
                            l->logits, (const int32_t *)l->targets->remote + row, l->smoothing,
                            t->src[0]->remote_aux + row, t->src[4]->remote, l->valid);
    if (status == 0 && dh) {
        p.m = rows;
        p.k = l->words;
        p.b = l->all_w;
        p.c = dh + row * l->d;
        status = cuda_product_run(c, &p, err);
    }
    if (status == 0 && dw) {
        p.m = l->words;
        p.k = rows;
        p.ta = true;
        p.b = row_of(l, row);
        p.c = dw;
        p.beta = row > 0 ? 1.0f : 0.0f;
        status = cuda_product_run(c, &p, err);
    }
    return status;
}

static int cross_entropy_grad_run(struct cuda_state *c, struct ml_tensor *t, char *scratch,
                                  struct ml_error *err)
{
    struct loss l = loss_of(t, true);
    int status = 0;
    loss_begin(c, &l, true, scratch);
    for (int64_t row = 0; row < l.n && status == 0; row += l.rows)
        status = loss_grad_tile(c, &l, t, row, l.n - row < l.rows ? l.n - row : l.rows, err);
    return status;
}

const struct cuda_op cuda_op_cross_entropy = {loss_supports, loss_scratch, cross_entropy_run};
const struct cuda_op cuda_op_cross_entropy_grad = {loss_supports, loss_scratch,
                                                   cross_entropy_grad_run};
