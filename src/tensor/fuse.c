#include "tensor/fuse.h"

#include "kernel/gemm.h"

static bool reads(const struct ml_tensor *t, const struct ml_tensor *what)
{
    for (int i = 0; i < t->nsrc; i++)
        if (t->src[i] == what)
            return true;
    return false;
}

bool ml_reads_numbers(const struct ml_tensor *t, int s)
{
    return !(t->op == ML_OP_RMSNORM_GRAD && s == 0);
}

int ml_fused_op(const struct ml_tensor *t)
{
    for (int i = 0; i < t->nsrc; i++)
        if (t->src[i] && t->src[i]->flags & ML_INSIDE && t->src[i]->op == ML_OP_LINEAR)
            return ML_OP_LINEAR;
    return t->op;
}

/* A loss is left to its gradient when nothing reads it before: then the logits are made once.
 * cross_entropy, ..., cross_entropy_grad  ->  (nothing), ..., both */
static void defer_loss(struct ml_tensor *const *steps, int gradient)
{
    struct ml_tensor *loss = steps[gradient]->src[0];
    if (loss->flags & ML_DEFERRED || !ml_loss_fits_whole(loss))
        return; /* a second gradient of the same loss takes the plain way */
    for (int step = gradient - 1; step >= 0 && steps[step] != loss; step--)
        if (reads(steps[step], loss))
            return;
    loss->flags |= ML_DEFERRED;
}

/* Whether `t` alone reads what `inner` (of op `op`) computes. */
static bool only_reader(const struct ml_tensor *inner, int op, const int *readers)
{
    unsigned taken = ML_LEAF | ML_INSIDE | ML_DEFERRED | ML_EFFECT;
    return inner && inner->op == op && !(inner->flags & taken) && !inner->with &&
           readers[inner->id] == 1;
}

/* linear, add  ->  (nothing), add with the product in it */
static void join_residual(const struct ml_tensor *add, const int *readers)
{
    struct ml_tensor *base = add->src[0], *linear = add->src[1];
    if (*ml_attr((struct ml_tensor *)add, int) == ML_BINARY_ADD && linear != base &&
        only_reader(linear, ML_OP_LINEAR, readers) && ml_same_shape(base, linear) &&
        base->dtype == linear->dtype && *ml_attr(linear, int) == ML_ACT_NONE)
        linear->flags |= ML_INSIDE;
}

/* rmsnorm, rope  ->  (nothing), both */
static void join_norm(const struct ml_tensor *rope, const int *readers)
{
    struct ml_tensor *norm = rope->src[0];
    if (only_reader(norm, ML_OP_RMSNORM, readers) && ml_same_shape(norm, rope))
        norm->flags |= ML_INSIDE;
}

/* A linear op whose weights are packed. */
static bool is_packed(const struct ml_tensor *t)
{
    return t->op == ML_OP_LINEAR && t->src[1]->flags & ML_PANELS;
}

/* A norm that is read by these products alone is made for them. */
static void take_norm(struct ml_tensor *x, int products, const int *readers)
{
    if (x->op == ML_OP_RMSNORM && !(x->flags & (ML_LEAF | ML_INSIDE)) && readers[x->id] == products)
        x->flags |= ML_INSIDE;
}

/* linear, linear, ..., one after the other with the same source  ->  the last does all.
 * Returns the step behind them. */
static int join_products(struct ml_tensor *const *steps, int count, int step, const int *readers)
{
    struct ml_tensor *first = steps[step];
    int end = step + 1;
    while (end < count && end - step < ML_GEMM_TOGETHER && is_packed(steps[end]) &&
           steps[end]->src[0] == first->src[0] && !(steps[end]->flags & ML_INSIDE))
        end++;
    for (int i = step + 1; i < end; i++) {
        steps[i]->with = steps[i - 1];
        steps[i - 1]->flags |= ML_DEFERRED;
    }
    take_norm(first->src[0], end - step, readers);
    return end;
}

/* linear, linear, swiglu  ->  (nothing), (nothing), all three */
static void join_gate(const struct ml_tensor *swiglu, const int *readers)
{
    struct ml_tensor *gate = swiglu->src[0], *up = swiglu->src[1];
    if (gate == up || !only_reader(gate, ML_OP_LINEAR, readers) ||
        !only_reader(up, ML_OP_LINEAR, readers) || !is_packed(gate) || !is_packed(up) ||
        gate->src[0] != up->src[0] || *ml_attr(gate, int) != ML_ACT_NONE ||
        *ml_attr(up, int) != ML_ACT_NONE || gate->src[2] || up->src[2])
        return;
    gate->flags |= ML_INSIDE;
    up->flags |= ML_INSIDE;
    take_norm(gate->src[0], 2, readers);
}

void ml_fuse(struct ml_tensor *const *steps, int count, const int *readers, bool here)
{
    for (int step = 0; step < count; step++) {
        steps[step]->flags &= ~(unsigned)(ML_DEFERRED | ML_INSIDE);
        steps[step]->with = NULL;
    }
    for (int step = 0; step < count && here; step++) {
        if (steps[step]->op == ML_OP_CROSS_ENTROPY_GRAD)
            defer_loss(steps, step);
        else if (steps[step]->op == ML_OP_BINARY)
            join_residual(steps[step], readers);
        else if (steps[step]->op == ML_OP_ROPE)
            join_norm(steps[step], readers);
        else if (steps[step]->op == ML_OP_SWIGLU)
            join_gate(steps[step], readers);
    }
    for (int step = 0; step < count && here;)
        if (is_packed(steps[step]) && !(steps[step]->flags & ML_INSIDE))
            step = join_products(steps, count, step, readers);
        else
            step++;
}
