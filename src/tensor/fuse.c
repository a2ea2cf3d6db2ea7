#include "tensor/fuse.h"

#include "tensor/op.h"

static bool reads(const struct ml_tensor *t, const struct ml_tensor *what)
{
    for (int i = 0; i < t->nsrc; i++)
        if (t->src[i] == what)
            return true;
    return false;
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

void ml_fuse(struct ml_tensor *const *steps, int count, bool here)
{
    for (int step = 0; step < count; step++)
        steps[step]->flags &= ~(unsigned)ML_DEFERRED;
    for (int step = 0; step < count && here; step++)
        if (steps[step]->op == ML_OP_CROSS_ENTROPY_GRAD)
            defer_loss(steps, step);
}
