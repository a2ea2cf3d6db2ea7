/* Reverse-mode differentiation: the gradient is more of the same graph. */
#include <assert.h>

#include "base/fail.h"
#include "tensor/op.h"
#include "tensor/ops.h"

static void accumulate(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *d)
{
    if (d == &g->poison || !ml_wants_grad(t))
        return;
    if (d->dtype != t->dtype || ml_count(d) != ml_count(t)) {
        char have[96], want[96];
        ml_fail(&g->error, ML_ERR_SHAPE, "the gradient of %s is %s but should be %s",
                t->name ? t->name : "?", ml_shape_text(d, have, sizeof have),
                ml_shape_text(t, want, sizeof want));
        return;
    }
    t->grad = t->grad ? ml_add(g, t->grad, d) : d;
}

static void step_back(struct ml_graph *g, struct ml_tensor *t)
{
    if (!t->grad || !ml_wants_grad(t) || (t->flags & ML_LEAF) || g->error.code)
        return;
    const struct ml_op *op = ml_op_get(t->op);
    if (!op->backward) {
        ml_fail(&g->error, ML_ERR_UNSUPPORTED, "%s: no gradient flows through this op", op->name);
        return;
    }
    struct ml_tensor *dsrc[ML_MAX_SRC] = {NULL};
    op->backward(g, t, t->grad, dsrc);
    for (int i = 0; i < t->nsrc; i++)
        if (t->src[i] && dsrc[i])
            accumulate(g, t->src[i], dsrc[i]);
}

/* The block's nodes once more, after everything that was built so far: what its backward reads is
 * then computed anew, and the originals live no longer than the forward pass needs them. `first`
 * and `last` are ids. Uses `grad` of the originals to find their copies, as those are done by then.
 */
static void recompute_block(struct ml_graph *g, int first, int last)
{
    struct ml_tensor **copies =
        ml_arena_calloc(g->arena, (size_t)(last - first + 1), sizeof *copies);
    if (!copies) {
        ml_fail(&g->error, ML_ERR_MEMORY, "out of memory while differentiating");
        return;
    }
    for (int id = first; id <= last && !g->error.code; id++) {
        const struct ml_tensor *original = g->nodes[id];
        struct ml_tensor *src[ML_MAX_SRC];
        if (original->flags & ML_LEAF) {
            copies[id - first] = g->nodes[id];
            continue;
        }
        for (int i = 0; i < original->nsrc; i++) {
            struct ml_tensor *s = original->src[i];
            src[i] = s && s->id >= first && s->id <= last ? copies[s->id - first] : s;
        }
        struct ml_tensor *copy =
            ml_node(g, original->op, src, original->nsrc, original->attr, ML_ATTR_BYTES);
        if (copy != &g->poison)
            copy->grad = original->grad;
        copies[id - first] = copy;
    }
    for (int id = last; id >= first && !g->error.code; id--)
        step_back(g, copies[id - first]);
}

int ml_grad(struct ml_graph *g, struct ml_tensor *loss, struct ml_tensor *const *wrt, int n,
            struct ml_tensor **grads)
{
    for (int i = 0; i < n; i++)
        grads[i] = &g->poison;
    if (g->error.code)
        return g->error.code;
    assert(g->block == 0);
    if (ml_count(loss) != 1)
        return ml_fail(&g->error, ML_ERR_SHAPE, "a gradient needs a scalar loss, not %lld numbers",
                       (long long)ml_count(loss));
    for (int id = 0; id < g->count; id++)
        g->nodes[id]->grad = NULL;
    loss->grad = ml_fill(g, loss->dtype, loss->ndim, loss->dim, 1.0f);
    for (int id = loss->id; id >= 0 && !g->error.code;) {
        int block = g->nodes[id]->block;
        int first = id;
        while (block && first > 0 && g->nodes[first - 1]->block == block)
            first--;
        if (block)
            recompute_block(g, first, id);
        else
            step_back(g, g->nodes[id]);
        id = first - 1;
    }
    for (int i = 0; i < n && !g->error.code; i++)
        grads[i] = wrt[i]->grad ? ml_reshape(g, wrt[i]->grad, wrt[i]->ndim, wrt[i]->dim)
                                : ml_fill(g, wrt[i]->dtype, wrt[i]->ndim, wrt[i]->dim, 0.0f);
    return g->error.code;
}
