/* One convolution, forward and both gradients: the best seconds of each, and the scratch beside
 * what im2col would take. bench/conv_torch.py runs it in turns with PyTorch.
 *
 *     bench_conv SHAPE [--threads N] [--seconds X] [--bf16] [--forward]
 *
 * SHAPE is N,C,H,W,O,KH,KW,STRIDE,PADDING,DILATION,GROUPS,TRANSPOSED; H = 1 for one dimension,
 * where stride, padding and dilation are those of W. --forward: gradients are run three times only
 * (for a profiler). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/progress.h"
#include "base/rng.h"
#include "tensor/ops.h"
#include "tensor/plan.h"

enum { N, C, H, W, O, KH, KW, STRIDE, PADDING, DILATION, GROUPS, TRANSPOSED, SHAPE };

struct bench {
    int s[SHAPE];
    struct ml_arena arena;
    struct ml_graph graph;
    struct ml_tensor *out, *grads[3];
    struct ml_plan *forward, *backward;
};

static struct ml_tensor *random_leaf(struct bench *b, const char *name, enum ml_dtype dtype,
                                     int ndim, const int64_t *dim)
{
    int64_t count = 1;
    for (int i = 0; i < ndim; i++)
        count *= dim[i];
    void *data = ml_arena_alloc(&b->arena, (size_t)count * ml_dtype_size(dtype));
    struct ml_rng rng;
    ml_rng_init(&rng, (uint64_t)count, 0);
    for (int64_t i = 0; data && i < count; i++) {
        float x = (float)ml_rng_u32(&rng) * 0x1p-32f - 0.5f;
        if (dtype == ML_F32)
            ((float *)data)[i] = x;
        else
            ((ml_bf16 *)data)[i] = ml_f32_to_bf16(x);
    }
    return ml_leaf(&b->graph, name, dtype, ndim, dim, data);
}

static int build(struct bench *b, struct ml_device *device, bool bf16, struct ml_error *err)
{
    const int *s = b->s;
    bool two = s[H] > 1;
    int64_t o = s[TRANSPOSED] ? s[C] : s[O], in = (s[TRANSPOSED] ? s[O] : s[C]) / s[GROUPS];
    struct ml_conv options = {.stride = {two ? s[STRIDE] : 1, s[STRIDE]},
                              .padding = {two ? s[PADDING] : 0, s[PADDING]},
                              .dilation = {two ? s[DILATION] : 1, s[DILATION]},
                              .groups = s[GROUPS]};
    enum ml_dtype type = bf16 ? ML_BF16 : ML_F32;
    struct ml_graph *g = &b->graph;
    ml_arena_init(&b->arena, 0);
    ml_graph_init(g, &b->arena);
    g->compute = bf16 ? ML_BF16 : ML_F32;
    struct ml_tensor *x = random_leaf(b, "x", type, 4, (int64_t[]){s[N], s[C], s[H], s[W]});
    struct ml_tensor *w = random_leaf(b, "w", ML_F32, 4, (int64_t[]){o, in, s[KH], s[KW]});
    struct ml_tensor *bias = random_leaf(b, "b", ML_F32, 1, (int64_t[]){s[O]});
    struct ml_tensor *leaves[3] = {x, w, bias};
    for (int i = 0; i < 3; i++)
        leaves[i]->flags |= ML_NEEDS_GRAD;
    b->out = s[TRANSPOSED] ? ml_conv2d_transpose(g, x, w, bias, &options)
                           : ml_conv2d(g, x, w, bias, &options);
    struct ml_tensor *dy = random_leaf(b, "dy", type, 4, b->out->dim);
    struct ml_tensor *loss = ml_sum_all(g, ml_mul(g, b->out, dy));
    ml_grad(g, loss, leaves, 3, b->grads);
    int status = ml_plan_new(&b->forward, g, &b->out, 1, device, err);
    return status == 0 ? ml_plan_new(&b->backward, g, b->grads, 3, device, err) : status;
}

static double best_seconds(struct ml_plan *plan, double budget, struct ml_error *err)
{
    double best = INFINITY, begin = ml_time();
    for (int tries = 0; tries < 3 || ml_time() - begin < budget; tries++) {
        double start = ml_time();
        if (ml_run(plan, 1, err) != 0)
            return NAN;
        double took = ml_time() - start;
        best = took < best ? took : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct ml_device *device = NULL;
    struct ml_error err = {0};
    struct ml_plan_stats forward, backward;
    int threads = 1, used = 0;
    double seconds = 0.5;
    bool bf16 = false, forward_only = false;
    char *at = argc > 1 ? argv[1] : NULL;
    for (; at && used < SHAPE; used++, at = *at ? at + 1 : NULL)
        b.s[used] = (int)strtol(at, &at, 10);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--bf16") == 0)
            bf16 = true;
        else if (strcmp(argv[i], "--forward") == 0)
            forward_only = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
        else
            used = 0;
    }
    if (used != SHAPE) {
        fprintf(stderr,
                "usage: bench_conv N,C,H,W,O,KH,KW,STRIDE,PADDING,DILATION,GROUPS,TRANSPOSED "
                "[--threads N] [--seconds X] [--bf16] [--forward]\n");
        return 2;
    }
    int status = ml_device_new(&device, threads, ML_ISA_COUNT - 1, &err);
    if (status == 0)
        status = build(&b, device, bf16, &err);
    if (status == 0) {
        double f = best_seconds(b.forward, seconds, &err),
               g = best_seconds(b.backward, forward_only ? 0 : seconds, &err);
        ml_plan_get_stats(b.forward, &forward);
        ml_plan_get_stats(b.backward, &backward);
        const struct ml_tensor *out = b.out;
        double pixels = b.s[TRANSPOSED]
                            ? (double)b.s[N] * b.s[H] * b.s[W]
                            : (double)out->dim[0] * (double)out->dim[2] * (double)out->dim[3];
        double columns =
            pixels * b.s[KH] * b.s[KW] * (b.s[TRANSPOSED] ? b.s[O] : b.s[C]) * (bf16 ? 2 : 4);
        printf("{\"forward\": %.9f, \"gradients\": %.9f, \"scratch\": %zu, \"scratch_gradients\": "
               "%zu, "
               "\"im2col\": %.0f}\n",
               f, g, forward.scratch_bytes, backward.scratch_bytes, columns);
    } else {
        fprintf(stderr, "bench_conv: %s\n", err.message);
    }
    ml_plan_free(b.forward);
    ml_plan_free(b.backward);
    ml_arena_clear(&b.arena);
    ml_device_free(device);
    return status != 0;
}
