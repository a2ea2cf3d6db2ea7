/* conv2d_dw: dw[o, k] = sum over places of dy[o, place] * columns[k, place], with k = (c, i, j).
 * Tasks take channels of x and all of dy's; where these are too few, the places are cut into
 * `parts` too, each summed on its own and all added in order at the end. */
#include "tensor/op_conv.h"

#define TILE      512 /* places multiplied at a time */
#define WIDTH     128 /* columns (channels times taps) that a task takes, about */
#define TASK_MACS (1 << 18)
#define MIN_TASKS 16

struct push {
    const struct ml_run *run;
    const struct ml_tensor *t, *x, *y;
    struct ml_conv_sizes z;
    struct ml_conv_axis axis[2];
    int64_t taps, places;     /* of the kernel; of y */
    int64_t tiles, steps;     /* of one image; of the whole batch */
    int64_t channels, blocks; /* of x in one task; tasks for one group */
    int64_t parts, per_part;  /* of the steps */
    bool straight;            /* one tap, stride 1: x is the matrix */
    float *partial;           /* [parts - 1, weights]: part 0 goes to the result */
    size_t partial_bytes, column_bytes, gemm_bytes;
};

static struct ml_gemm gemm_of(const struct push *p, int64_t channels, int64_t n)
{
    return (struct ml_gemm){
        .m = p->z.og,
        .n = channels * p->taps,
        .k = n,
        .a = {NULL, p->y->dtype, p->places, 1},
        .b = {NULL, p->x->dtype, 1, p->straight ? p->places : n},
        .c_dtype = ML_F32,
        .c_row = p->z.cg * p->taps,
        .bf16 = p->x->dtype == ML_BF16 && p->y->dtype == ML_BF16,
    };
}

static void push_init(struct push *p, const struct ml_kernels *k, const struct ml_tensor *t)
{
    const struct ml_conv_attr *a = ml_attr(t, struct ml_conv_attr);
    memset(p, 0, sizeof *p);
    p->t = t;
    p->x = t->src[0];
    p->y = t->src[1];
    ml_conv_sizes(&p->z, t);
    p->straight = true;
    for (int d = 0; d < 2; d++) {
        p->axis[d] = ml_conv_axis_forward(a, &p->z, d);
        p->straight = p->straight && p->z.kernel[d] == 1 && a->stride[d] == 1 && a->padding[d] == 0;
    }
    p->taps = p->z.kernel[0] * p->z.kernel[1];
    p->places = p->z.out[0] * p->z.out[1];
    p->tiles = (p->places + TILE - 1) / TILE;
    p->steps = p->z.n * p->tiles;
    int64_t blocks = p->z.cg * p->taps / WIDTH;
    blocks = blocks < 1 ? 1 : blocks < p->z.cg ? blocks : p->z.cg;
    p->channels = blocks > 0 ? (p->z.cg + blocks - 1) / blocks : 1;
    p->blocks = (p->z.cg + p->channels - 1) / p->channels;
    int64_t macs = p->z.n * p->places * ml_count(t), tasks = p->z.groups * p->blocks;
    int64_t want = macs / TASK_MACS < MIN_TASKS ? macs / TASK_MACS + 1 : MIN_TASKS;
    p->parts = tasks > 0 && tasks < want ? (want + tasks - 1) / tasks : 1;
    p->parts = p->parts < p->steps ? p->parts : p->steps > 0 ? p->steps : 1;
    p->per_part = (p->steps + p->parts - 1) / p->parts;
    p->partial_bytes = ml_conv_align((size_t)(p->parts - 1) * ml_bytes(t));
    int64_t tile = p->places < TILE ? p->places : TILE;
    if (!p->straight)
        p->column_bytes =
            ml_conv_align((size_t)(p->channels * p->taps * tile) * ml_dtype_size(p->x->dtype));
    int64_t c[2] = {p->channels, p->z.cg - (p->blocks - 1) * p->channels};
    int64_t n[2] = {tile, p->places - (p->tiles - 1) * TILE};
    for (int i = 0; i < 4; i++) { /* sizes are not monotone */
        struct ml_gemm g = gemm_of(p, c[i / 2], n[i % 2]);
        size_t bytes = ml_conv_align(ml_gemm_scratch(k, &g, 1));
        p->gemm_bytes = p->gemm_bytes > bytes ? p->gemm_bytes : bytes;
    }
}

size_t ml_conv_dw_scratch(const struct ml_kernels *k, const struct ml_tensor *t, int threads)
{
    struct push p;
    push_init(&p, k, t);
    return p.partial_bytes + (size_t)threads * (p.column_bytes + p.gemm_bytes);
}

static void push_task(void *arg, int64_t task, int worker)
{
    const struct push *p = arg;
    const struct ml_conv_sizes *z = &p->z;
    char *scratch = (char *)p->run->scratch + p->partial_bytes +
                    (size_t)worker * (p->column_bytes + p->gemm_bytes);
    int64_t part = task % p->parts, block = task / p->parts % p->blocks;
    int64_t group = task / p->parts / p->blocks, c = block * p->channels;
    int64_t channels = z->cg - c < p->channels ? z->cg - c : p->channels;
    float *out = part == 0 ? p->t->data : p->partial + (part - 1) * ml_count(p->t);
    out += (group * z->og * z->cg + c) * p->taps;
    size_t x_size = ml_dtype_size(p->x->dtype), y_size = ml_dtype_size(p->y->dtype);
    int64_t end = (part + 1) * p->per_part < p->steps ? (part + 1) * p->per_part : p->steps;
    for (int64_t step = part * p->per_part; step < end; step++) {
        int64_t image = step / p->tiles, first = step % p->tiles * TILE;
        int64_t n = p->places - first < TILE ? p->places - first : TILE;
        int64_t x_at = (image * z->c + group * z->cg + c) * z->in[0] * z->in[1];
        int64_t y_at = (image * z->o + group * z->og) * p->places + first;
        const char *x = (const char *)p->x->data + (size_t)x_at * x_size;
        struct ml_gemm g = gemm_of(p, channels, n);
        g.a.data = (const char *)p->y->data + (size_t)y_at * y_size;
        g.b.data = scratch;
        if (p->straight)
            g.b.data = x + (size_t)first * x_size;
        else
            ml_conv_columns(scratch, x, channels, x_size, p->axis, first, n);
        g.c = out;
        g.accumulate = step > part * p->per_part;
        ml_gemm_run(p->run->k, &g, NULL, scratch + p->column_bytes);
    }
}

static void add_parts(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct push *p = arg;
    float *out = p->t->data;
    for (int64_t part = 1; part < p->parts; part++)
        p->run->k->binary[ML_BINARY_ADD](end - begin, out + begin, out + begin,
                                         p->partial + (part - 1) * ml_count(p->t) + begin);
}

void ml_conv_dw_forward(struct ml_run *run, struct ml_tensor *t)
{
    struct push p;
    push_init(&p, run->k, t);
    p.run = run;
    p.partial = run->scratch;
    if (p.steps == 0) { /* an empty batch */
        memset(t->data, 0, ml_bytes(t));
        return;
    }
    /* so that no part is empty */
    p.parts = (p.steps + p.per_part - 1) / p.per_part;
    ml_pool_run(run->pool, p.z.groups * p.blocks * p.parts, push_task, &p);
    if (p.parts > 1)
        ml_parallel(run, ml_count(t), ML_CHUNK, add_parts, &p);
}
