/* How fast the kernels are: every slot in GB/s from L1 and from memory, and the matrix product in
 * GFLOP/s with its share of the processor's peak, which is measured in the same run. Best of many
 * rounds, as neighbours only slow a machine down.
 *
 *     bench_kernels [--isa ref|avx2|avx512|avx512-vnni|avx512-bf16|amx] [--threads N] [--only
 * slots|gemm] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/progress.h"
#include "base/rng.h"
#include "kernel/gemm.h"
#include "kernel/peak.h"

struct bench {
    struct ml_kernels k;
    struct ml_pool *pool;
    double peak[2]; /* f32, bf16: flop/s of all threads */
};

struct slots {
    const struct ml_kernels *k;
    int64_t n; /* floats per buffer */
    float *p[6];
    ml_bf16 *half; /* [2 n]: as many bytes */
    int which;
    float sink; /* keeps results alive */
};

typedef void slot_fn(struct slots *s);

static void slot_unary(struct slots *s)
{
    s->k->unary[s->which](s->n, s->p[0], s->p[1]);
}

static void slot_unary_grad(struct slots *s)
{
    s->k->unary_grad[s->which](s->n, s->p[0], s->p[2], s->p[1]);
}

static void slot_binary(struct slots *s)
{
    s->k->binary[s->which](s->n, s->p[0], s->p[1], s->p[2]);
}

static void slot_binary_scalar(struct slots *s)
{
    s->k->binary_scalar[s->which](s->n, s->p[0], s->p[1], 1.5f);
}

static void slot_affine(struct slots *s)
{
    s->k->affine(s->n, s->p[0], s->p[1], 2.0f, 0.5f);
}

static void slot_axpy(struct slots *s)
{
    s->k->axpy(s->n, s->p[0], 1e-6f, s->p[1]);
}

static void slot_mul_add(struct slots *s)
{
    s->k->mul_add(s->n, s->p[3], s->p[1], s->p[2]);
}

static void slot_fill(struct slots *s)
{
    s->k->fill(s->n, s->p[0], 1.0f);
}

static void slot_swiglu(struct slots *s)
{
    s->k->swiglu(s->n, s->p[0], s->p[1], s->p[2]);
}

static void slot_swiglu_grad(struct slots *s)
{
    s->k->swiglu_grad(s->n, s->p[0], s->p[3], s->p[2], s->p[1], s->p[4]);
}

static void slot_sum(struct slots *s)
{
    s->sink += s->k->sum(s->n, s->p[1]);
}

static void slot_dot(struct slots *s)
{
    s->sink += s->k->dot(s->n, s->p[1], s->p[2]);
}

static void slot_max(struct slots *s)
{
    s->sink += s->k->max(s->n, s->p[1]);
}

static void slot_softmax(struct slots *s)
{
    s->sink += s->k->softmax(s->n, s->p[0], s->p[1], 0.5f);
}

static void slot_exp_shift(struct slots *s)
{
    s->k->exp_shift(s->n, s->p[0], s->p[1], 0.5f, 3.0f);
}

static void slot_softmax_grad(struct slots *s)
{
    s->k->softmax_grad(s->n, s->p[0], s->p[1], s->p[2]);
}

static void slot_rmsnorm(struct slots *s)
{
    s->sink += s->k->rmsnorm(s->n, s->p[0], s->p[1], s->p[2], 1e-5f);
}

static void slot_rmsnorm_grad(struct slots *s)
{
    s->k->rmsnorm_grad(s->n, s->p[0], s->p[3], s->p[1], s->p[2], s->p[4], 1.0f);
}

static void slot_layernorm(struct slots *s)
{
    float stats[2];
    s->k->layernorm(s->n, s->p[0], s->p[1], s->p[2], s->p[4], 1e-5f, stats);
    s->sink += stats[0];
}

static void slot_layernorm_grad(struct slots *s)
{
    const float stats[2] = {0.0f, 1.0f};
    s->k->layernorm_grad(s->n, s->p[0], s->p[3], s->p[5], s->p[1], s->p[2], s->p[4], stats);
}

static void slot_rotate(struct slots *s)
{
    s->k->rotate(s->n, s->p[0], s->p[3], s->p[1], s->p[2], s->p[4], s->p[5]);
}

static void slot_rotate_pairs(struct slots *s)
{
    s->k->rotate_pairs(s->n / 2, s->p[0], s->p[1], s->p[2], s->p[4]);
}

static void slot_bf16_to_f32(struct slots *s)
{
    s->k->bf16_to_f32(s->n, s->p[0], s->half);
}

static void slot_f32_to_bf16(struct slots *s)
{
    s->k->f32_to_bf16(s->n, (ml_bf16 *)s->p[0], s->p[1]);
}

static void slot_f16_to_f32(struct slots *s)
{
    s->k->f16_to_f32(s->n, s->p[0], (const uint16_t *)s->p[1]);
}

static void slot_f32_to_f16(struct slots *s)
{
    s->k->f32_to_f16(s->n, (uint16_t *)s->p[0], s->p[1]);
}

/* W of n floats as rows of 512 (f32), or of 1,024 in as many bytes (bf16). */
static void slot_gemv(struct slots *s)
{
    s->k->gemv(1, s->n / 512, 512, s->p[0], 0, s->p[1], ML_F32, 512, s->p[2], 0);
}

static void slot_gemv_bf16(struct slots *s)
{
    s->k->gemv(1, s->n / 512, 1024, s->p[0], 0, s->half, ML_BF16, 1024, s->p[2], 0);
}

/* W of n floats as packed panels, 512 deep where n is enough for one. */
static void slot_panels(struct slots *s)
{
    int64_t width = s->k->gemm_f32.nr, deep = s->n / width < 512 ? s->n / width : 512;
    s->k->panels(1, s->n / deep / width, deep, s->p[0], 0, s->p[1], ML_F32, s->p[2], 0);
}

/* The same for eight rows. */
static void slot_panels_8(struct slots *s)
{
    int64_t width = s->k->gemm_f32.nr, deep = s->n / width < 512 ? s->n / width : 512;
    int64_t count = s->n / deep / width;
    deep = deep < s->n / 8 ? deep : s->n / 8;
    s->k->panels(8, count, deep, s->p[0], count * width, s->p[1], ML_F32, s->p[2], deep);
}

static void slot_adamw(struct slots *s)
{
    const struct ml_adamw_step step = {1e-9f, 0.9f, 0.99f, 1e-8f, 0.1f, 1.0f, 0.5f, 0.5f};
    s->k->adamw(s->n, s->p[3], s->p[4], s->p[5], s->p[2], &step);
}

/* Bytes that a slot reads and writes for each float of n. */
static const struct {
    const char *name;
    slot_fn *fn;
    double bytes;
} slots[] = {
    {"affine", slot_affine, 8},
    {"axpy", slot_axpy, 12},
    {"mul_add", slot_mul_add, 16},
    {"fill", slot_fill, 4},
    {"swiglu", slot_swiglu, 12},
    {"swiglu_grad", slot_swiglu_grad, 20},
    {"sum", slot_sum, 4},
    {"dot", slot_dot, 8},
    {"max", slot_max, 4},
    {"softmax", slot_softmax, 8},
    {"exp_shift", slot_exp_shift, 8},
    {"softmax_grad", slot_softmax_grad, 12},
    {"rmsnorm", slot_rmsnorm, 12},
    {"rmsnorm_grad", slot_rmsnorm_grad, 24},
    {"layernorm", slot_layernorm, 16},
    {"layernorm_grad", slot_layernorm_grad, 32},
    {"rotate", slot_rotate, 24},
    {"rotate_pairs", slot_rotate_pairs, 12},
    {"bf16_to_f32", slot_bf16_to_f32, 6},
    {"f32_to_bf16", slot_f32_to_bf16, 6},
    {"f16_to_f32", slot_f16_to_f32, 6},
    {"f32_to_f16", slot_f32_to_f16, 6},
    {"gemv f32", slot_gemv, 4},
    {"gemv bf16", slot_gemv_bf16, 4},
    {"panels f32", slot_panels, 4},
    {"panels f32, 8 rows", slot_panels_8, 4},
    {"adamw", slot_adamw, 28},
};

static const char *const unary_names[ML_UNARY_COUNT] = {
    "neg",  "abs",     "square", "sqrt",  "exp",        "log",  "sin",      "cos",
    "tanh", "sigmoid", "relu",   "relu2", "leaky_relu", "gelu", "gelu_erf", "silu",
};

static const char *const binary_names[ML_BINARY_COUNT] = {"add", "sub", "mul", "div", "max", "min"};

/* Seconds of one call: the best of rounds of many calls, for about a twentieth of a second. */
static double slot_seconds(struct slots *s, slot_fn *fn)
{
    int calls = (int)(200000 / s->n) + 1;
    double best = 1e9, end = ml_time() + 0.05;
    do {
        double start = ml_time();
        for (int i = 0; i < calls; i++)
            fn(s);
        double each = (ml_time() - start) / calls;
        best = each < best ? each : best;
    } while (ml_time() < end);
    return best;
}

static void slot_print(struct slots *s, const char *name, const char *suffix, slot_fn *fn,
                       double bytes)
{
    static const int64_t sizes[] = {1024, 1 << 22}; /* 4 KB in L1; 16 MB a buffer */
    printf("%s%s%*s", name, suffix, (int)(20 - strlen(name) - strlen(suffix)), "");
    for (int i = 0; i < 2; i++) {
        s->n = sizes[i];
        double took = slot_seconds(s, fn);
        printf("  %8.1f GB/s %6.3f ns/float", bytes * (double)s->n / took * 1e-9,
               took * 1e9 / (double)s->n);
    }
    printf("\n");
    fflush(stdout);
}

static int run_slots(const struct bench *b)
{
    struct slots s = {.k = &b->k};
    int64_t most = 1 << 22;
    float *memory = ml_mem_alloc(7 * (size_t)most * sizeof(float));
    if (!memory) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        return 1;
    }
    struct ml_rng rng;
    ml_rng_init(&rng, 1, 0);
    for (int64_t i = 0; i < 6 * most; i++) /* in (0, 1): right for log, sqrt and f16 alike */
        memory[i] = 0.01f + 0.9f * (float)ml_rng_u32(&rng) * 0x1p-32f;
    for (int i = 0; i < 6; i++)
        s.p[i] = memory + i * most;
    s.half = (ml_bf16 *)(void *)(memory + 6 * most);
    for (int64_t i = 0; i < 2 * most; i++)
        s.half[i] = ml_f32_to_bf16(memory[i]);
    printf("%-20s  %-31s  %s\n", "slot (one thread)", "in L1 (4 KB a buffer)",
           "in memory (16 MB a buffer)");
    for (s.which = 0; s.which < ML_UNARY_COUNT; s.which++)
        slot_print(&s, unary_names[s.which], "", slot_unary, 8);
    for (s.which = 0; s.which < ML_UNARY_COUNT; s.which++)
        slot_print(&s, unary_names[s.which], " grad", slot_unary_grad, 12);
    for (s.which = 0; s.which < ML_BINARY_COUNT; s.which++) {
        slot_print(&s, binary_names[s.which], "", slot_binary, 12);
        slot_print(&s, binary_names[s.which], " scalar", slot_binary_scalar, 8);
    }
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        slot_print(&s, slots[i].name, "", slots[i].fn, slots[i].bytes);
    ml_mem_free(memory);
    return 0;
}

/* x W^T, dY W, dY^T X: the three products of a linear layer, and attention's. */
enum layout { FORWARD, GRAD_INPUT, GRAD_WEIGHT };

struct shape {
    const char *name;
    enum layout layout;
    int64_t m, n, k;
    enum ml_act act;
    bool alone; /* on the calling thread, as inside a task */
};

static const struct shape shapes[] = {
    {"forward", FORWARD, 4096, 384, 384, ML_ACT_NONE, false},
    {"forward", FORWARD, 4096, 1152, 384, ML_ACT_NONE, false},
    {"forward", FORWARD, 4096, 1024, 384, ML_ACT_NONE, false},
    {"forward", FORWARD, 4096, 384, 1536, ML_ACT_NONE, false},
    {"forward+gelu", FORWARD, 4096, 1536, 384, ML_ACT_GELU, false},
    {"dX", GRAD_INPUT, 4096, 384, 384, ML_ACT_NONE, false},
    {"dX", GRAD_INPUT, 4096, 384, 1152, ML_ACT_NONE, false},
    {"dX", GRAD_INPUT, 4096, 1536, 384, ML_ACT_NONE, false},
    {"dW", GRAD_WEIGHT, 384, 384, 4096, ML_ACT_NONE, false},
    {"dW", GRAD_WEIGHT, 1152, 384, 4096, ML_ACT_NONE, false},
    {"dW", GRAD_WEIGHT, 384, 1536, 4096, ML_ACT_NONE, false},
    {"forward", FORWARD, 4096, 3072, 768, ML_ACT_NONE, false},
    {"dX", GRAD_INPUT, 4096, 768, 3072, ML_ACT_NONE, false},
    {"dW", GRAD_WEIGHT, 3072, 768, 4096, ML_ACT_NONE, false},
    {"head", FORWARD, 1024, 6400, 384, ML_ACT_NONE, false},
    {"head", FORWARD, 512, 50304, 384, ML_ACT_NONE, false},
    {"head dX", GRAD_INPUT, 512, 384, 50304, ML_ACT_NONE, false},
    {"head dW", GRAD_WEIGHT, 50304, 384, 512, ML_ACT_NONE, false},
    {"attention QK", FORWARD, 64, 64, 64, ML_ACT_NONE, true},
    {"attention PV", GRAD_INPUT, 64, 64, 64, ML_ACT_NONE, true},
    {"attention QK", FORWARD, 256, 256, 64, ML_ACT_NONE, true},
    {"rows 1", FORWARD, 1, 1536, 384, ML_ACT_NONE, false},
    {"rows 1", FORWARD, 1, 50304, 768, ML_ACT_NONE, false},
    {"rows 8", FORWARD, 8, 1536, 384, ML_ACT_NONE, false},
    {"rows 16", FORWARD, 16, 1536, 384, ML_ACT_NONE, false},
    {"rows 64", FORWARD, 64, 1536, 384, ML_ACT_NONE, false},
};

static void fill_half_open(const struct bench *b, void *to, int64_t n, bool bf16)
{
    struct ml_rng rng;
    ml_rng_init(&rng, 2, 0);
    for (int64_t i = 0; i < n; i++) {
        float x = (float)ml_rng_u32(&rng) * 0x1p-32f - 0.5f;
        if (bf16)
            ((ml_bf16 *)to)[i] = ml_f32_to_bf16(x);
        else
            ((float *)to)[i] = x;
    }
}

static double gemm_seconds(const struct bench *b, const struct ml_gemm *g, struct ml_pool *pool,
                           void *scratch)
{
    double flops = 2.0 * (double)g->m * (double)g->n * (double)g->k;
    int calls = (int)(2e7 / flops) + 1;
    double best = 1e9, end = ml_time() + 0.4;
    do {
        double start = ml_time();
        for (int i = 0; i < calls; i++)
            ml_gemm_run(&b->k, g, pool, scratch);
        double each = (ml_time() - start) / calls;
        best = each < best ? each : best;
    } while (ml_time() < end);
    return best;
}

static int run_shape(const struct bench *b, const struct shape *s, bool bf16)
{
    size_t element = bf16 ? sizeof(ml_bf16) : sizeof(float);
    enum ml_dtype type = bf16 ? ML_BF16 : ML_F32;
    void *a = ml_mem_alloc((size_t)(s->m * s->k) * element);
    void *w = ml_mem_alloc((size_t)(s->k * s->n) * element);
    void *c = ml_mem_alloc((size_t)(s->m * s->n) * sizeof(float));
    struct ml_gemm g = {.m = s->m, .n = s->n, .k = s->k, .c = c, .c_row = s->n};
    g.a = (struct ml_matrix){a, type, s->k, 1};
    g.b = (struct ml_matrix){w, type, s->n, 1};
    if (s->layout == FORWARD)
        g.b = (struct ml_matrix){w, type, 1, s->k};
    if (s->layout == GRAD_WEIGHT)
        g.a = (struct ml_matrix){a, type, 1, s->m};
    g.bf16 = bf16;
    g.c_dtype = bf16 && s->layout != GRAD_WEIGHT ? ML_BF16 : ML_F32;
    g.act = s->act;
    struct ml_pool *pool = s->alone ? NULL : b->pool;
    int threads = ml_pool_threads(pool);
    void *scratch = ml_mem_alloc(ml_gemm_scratch(&b->k, &g, threads) + 1);
    int failed = !a || !w || !c || !scratch;
    if (failed) {
        fprintf(stderr, "bench_kernels: out of memory\n");
    } else {
        fill_half_open(b, a, s->m * s->k, bf16);
        fill_half_open(b, w, s->k * s->n, bf16);
        double took = gemm_seconds(b, &g, pool, scratch);
        double rate = 2.0 * (double)s->m * (double)s->n * (double)s->k / took;
        double peak = b->peak[bf16] * threads / ml_pool_threads(b->pool);
        printf("%-13s %6lld x %6lld x %6lld %-4s %d thread%s %9.1f us %8.1f GFLOP/s %5.1f%%\n",
               s->name, (long long)s->m, (long long)s->n, (long long)s->k, bf16 ? "bf16" : "f32",
               threads, threads == 1 ? " " : "s", took * 1e6, rate * 1e-9, 100 * rate / peak);
        fflush(stdout);
    }
    ml_mem_free(a);
    ml_mem_free(w);
    ml_mem_free(c);
    ml_mem_free(scratch);
    return failed;
}

static int run_gemm(struct bench *b)
{
    for (int i = 0; i < 5; i++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            double peak = ml_peak_flops(&b->k, bf16, b->pool);
            b->peak[bf16] = peak > b->peak[bf16] ? peak : b->peak[bf16];
        }
    printf("%s, %d thread(s): peak %.1f GFLOP/s f32, %.1f bf16 (multiply-adds on registers)\n",
           b->k.name, ml_pool_threads(b->pool), b->peak[0] * 1e-9, b->peak[1] * 1e-9);
    printf("%-13s %6s x %6s x %6s\n", "product", "m", "n", "k");
    int failed = 0;
    for (int bf16 = 0; bf16 <= ml_kernels_have_bf16(&b->k); bf16++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !failed; i++)
            failed = run_shape(b, &shapes[i], bf16);
    return failed;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: bench_kernels [--isa ref|avx2|avx512|avx512-vnni|avx512-bf16|amx] [--threads N] "
        "[--only slots|gemm]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct ml_error err = {0};
    int limit = ML_ISA_COUNT - 1, threads = 0;
    const char *only = "";
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage();
        if (!strcmp(argv[i], "--threads")) {
            threads = atoi(argv[i + 1]);
        } else if (!strcmp(argv[i], "--only")) {
            only = argv[i + 1];
        } else if (!strcmp(argv[i], "--isa")) {
            for (limit = 0; limit < ML_ISA_COUNT; limit++)
                if (!strcmp(argv[i + 1], ml_isa_name((enum ml_isa)limit)))
                    break;
            if (limit == ML_ISA_COUNT)
                return usage();
        } else {
            return usage();
        }
    }
    ml_kernels_init(&b.k, (enum ml_isa)limit);
    if (ml_pool_new(&b.pool, threads, &err)) {
        fprintf(stderr, "bench_kernels: %s\n", err.message);
        return 1;
    }
    int failed = 0;
    if (strcmp(only, "gemm"))
        failed = run_slots(&b);
    if (!failed && strcmp(only, "slots"))
        failed = run_gemm(&b);
    ml_pool_free(b.pool);
    return failed;
}
