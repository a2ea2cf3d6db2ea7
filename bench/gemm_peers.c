/* Matrix products of transformers of 10M to 120M parameters beside OpenBLAS (f32) and oneDNN (f32,
 * bf16, int8): each linear layer forward (X W^T), its gradients (dX = dY W; dW += dY^T X),
 * attention's batches of small products, and the few rows of decoding.
 *
 *     gemm_peers [--threads N] [--only f32|bf16|int8] [--group 384|512|768|heads|rows] [--rounds N]
 *                [--product NAME] [--isa NAME] [--cold] [--json FILE] [--how]
 *
 * One process; sides take turns call by call, the first one changes with each round; medians. One
 * thread is timed by the processor time of the process, several by the clock, with a pause before
 * each turn in which the other side's workers stop spinning, and an untimed call that wakes one's
 * own. Products under a millisecond are called several times a turn. oneDNN has matrix B in the
 * layout that it likes best, made before (where B is weights), or as it lies in memory, whichever
 * runs faster; its instruction set is limited by ONEDNN_MAX_CPU_ISA. In batches OpenBLAS runs
 * one-threaded products on our pool, as we do. All sides' results are compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/progress.h"
#include "base/rng.h"
#include "bench/peers.h"
#include "kernel/gemm_i8.h"
#include "kernel/peak.h"

#define COLD_BYTES  ((size_t)96 << 20) /* read and written before a cold call */
#define PAUSE_US    12000
#define TURN        1e-3 /* seconds that a turn takes at least */
#define ROUNDS_MOST 101

enum side { OURS, OPENBLAS, ONEDNN, SIDES };

static const char *const side_names[SIDES] = {"ours", "OpenBLAS", "oneDNN"};

enum type { F32, BF16, I8, TYPES };

static const char *const type_names[TYPES] = {"f32", "bf16", "int8"};

/* X W^T, dY W, dW += dY^T X. */
enum layout { FORWARD, GRAD_INPUT, GRAD_WEIGHT, LAYOUTS };

static const char *const layout_names[LAYOUTS] = {"fwd", "dX", "dW"};

/* A linear layer that sees `tokens` rows: in to out numbers; or a batch of m x k by k x n. */
struct product {
    const char *group, *name;
    int64_t tokens, out, in, batch;
};

static const struct product products[] = {
    {"384", "qkv", 4096, 1152, 384, 1},  {"384", "o", 4096, 384, 384, 1},
    {"384", "up", 4096, 1024, 384, 1},   {"384", "down", 4096, 384, 1024, 1},
    {"384", "up", 4096, 1536, 384, 1},   {"384", "down", 4096, 384, 1536, 1},
    {"512", "qkv", 4096, 1536, 512, 1},  {"512", "o", 4096, 512, 512, 1},
    {"512", "up", 4096, 1408, 512, 1},   {"512", "down", 4096, 512, 1408, 1},
    {"512", "head", 4096, 6400, 512, 1}, {"768", "qkv", 256, 2304, 768, 1},
    {"768", "o", 256, 768, 768, 1},      {"768", "up", 256, 2048, 768, 1},
    {"768", "down", 256, 768, 2048, 1},  {"768", "up", 256, 3072, 768, 1},
    {"768", "down", 256, 768, 3072, 1},  {"768", "head", 256, 50257, 768, 1},
    {"heads", "T64", 64, 64, 64, 48},    {"heads", "T256", 256, 256, 64, 48},
    {"heads", "T512", 512, 512, 64, 24}, {"rows", "up", 1, 1536, 384, 1},
    {"rows", "up", 8, 1536, 384, 1},     {"rows", "qkv", 1, 2304, 768, 1},
    {"rows", "up", 1, 3072, 768, 1},     {"rows", "up", 2, 3072, 768, 1},
    {"rows", "up", 4, 3072, 768, 1},     {"rows", "up", 8, 3072, 768, 1},
    {"rows", "up", 16, 3072, 768, 1},    {"rows", "down", 1, 768, 3072, 1},
    {"rows", "down", 8, 768, 3072, 1},   {"rows", "head", 1, 50257, 768, 1},
    {"rows", "head", 8, 50257, 768, 1},  {"rows", "head", 16, 50257, 768, 1},
};

struct options {
    const char *only, *group, *product, *json;
    int threads, rounds;
    enum ml_isa isa;
    bool cold, how;
};

/* Ratios of one peer in one number format. */
struct summary {
    double logs, worst;
    int count;
};

struct bench {
    struct options o;
    struct ml_kernels k;
    struct ml_pool *pool;
    bool have[SIDES];
    char about[SIDES][96];
    unsigned char *cold;
    unsigned sink;
    FILE *json;
    int rows;
    struct summary summary[TYPES][SIDES];
};

/* One row of the table while it is measured. */
struct row {
    const struct product *product;
    enum layout layout;
    enum type type;
    struct peer_problem p;
    void *a, *b, *c, *scratch;
    size_t scratch_each;
    struct ml_i8_weights w; /* int8: packed weights, and our product of them */
    struct ml_gemm_i8 i8;
    void *w_memory, *i8_numbers;
    struct peer_onednn *onednn;
    double seconds[SIDES]; /* median of a call; 0: not there */
    double apart[SIDES];   /* largest difference from our result, relative to its largest number */
};

static double now(const struct bench *b)
{
    struct timespec t;
    clock_gettime(b->o.threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double flops_of(const struct row *r)
{
    const struct ml_gemm *g = &r->p.g;
    return 2.0 * (double)g->m * (double)g->n * (double)g->k * (double)r->p.batch;
}

struct batch {
    const struct bench *b;
    const struct row *r;
    enum side side;
};

/* Product `task` of a batch, on one thread. */
static void batch_task(void *arg, int64_t task, int worker)
{
    const struct batch *t = arg;
    struct ml_gemm g = t->r->p.g;
    size_t in = ml_dtype_size(g.a.dtype), out = ml_dtype_size(g.c_dtype);
    g.a.data = (const char *)g.a.data + (size_t)(task * g.m * g.k) * in;
    g.b.data = (const char *)g.b.data + (size_t)(task * g.k * g.n) * in;
    g.c = (char *)g.c + (size_t)(task * g.m * g.n) * out;
    if (t->side == OURS)
        ml_gemm_run(&t->b->k, &g, NULL,
                    (char *)t->r->scratch + (size_t)worker * t->r->scratch_each);
    else
        peer_openblas_run(&g);
}

static void run(const struct bench *b, struct row *r, enum side side)
{
    struct batch batch = {b, r, side};
    if (side == ONEDNN)
        peer_onednn_run(r->onednn);
    else if (r->p.batch > 1)
        ml_pool_run(b->pool, r->p.batch, batch_task, &batch);
    else if (side == OURS && r->type == I8)
        ml_gemm_i8_run(&b->k, &r->i8, b->pool, r->scratch);
    else if (side == OURS)
        ml_gemm_run(&b->k, &r->p.g, b->pool, r->scratch);
    else
        peer_openblas_run(&r->p.g);
}

static void fill(void *to, int64_t n, enum ml_dtype type, uint64_t seed)
{
    struct ml_rng rng;
    ml_rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < n; i++) {
        float x = (float)ml_rng_u32(&rng) * 0x1p-32f - 0.5f;
        if (type == ML_BF16)
            ((ml_bf16 *)to)[i] = ml_f32_to_bf16(x);
        else
            ((float *)to)[i] = x;
    }
}

static size_t c_bytes(const struct row *r)
{
    return (size_t)(r->p.batch * r->p.g.m * r->p.g.n) * ml_dtype_size(r->p.g.c_dtype);
}

/* The shape, and where each number of the matrices lies. */
static void row_shape(struct row *r)
{
    const struct product *p = r->product;
    struct ml_gemm *g = &r->p.g;
    enum ml_dtype type = r->type == BF16 ? ML_BF16 : ML_F32;
    *g = (struct ml_gemm){.m = p->tokens, .n = p->out, .k = p->in, .bf16 = r->type == BF16};
    if (r->layout == GRAD_INPUT) {
        g->n = p->in;
        g->k = p->out;
    }
    if (r->layout == GRAD_WEIGHT) {
        g->m = p->out;
        g->n = p->in;
        g->k = p->tokens;
        g->accumulate = p->batch == 1;
    }
    g->a = (struct ml_matrix){NULL, type, g->k, 1};
    g->b = (struct ml_matrix){NULL, type, g->n, 1};
    if (r->layout == FORWARD)
        g->b = (struct ml_matrix){NULL, type, 1, g->k};
    if (r->layout == GRAD_WEIGHT)
        g->a = (struct ml_matrix){NULL, type, 1, g->m};
    g->c_dtype = r->layout == GRAD_WEIGHT ? ML_F32 : type;
    g->c_row = g->n;
    r->p.batch = p->batch;
}

static void row_free(struct row *r)
{
    peer_onednn_free(r->onednn);
    ml_mem_free(r->a);
    ml_mem_free(r->b);
    ml_mem_free(r->c);
    ml_mem_free(r->scratch);
    ml_mem_free(r->w_memory);
    ml_mem_free(r->i8_numbers);
}

/* Both sides get activations that are quantised already (u8, scale 1, no zero point) and weights in
 * the layout that each likes best, made before. Activations of 7 bits: without VNNI oneDNN's sums
 * of pairs overflow 16 bits with more, ours are exact. */
static bool row_init_i8(const struct bench *b, struct row *r)
{
    const struct ml_gemm *g = &r->p.g;
    size_t an = (size_t)(g->m * g->k), bn = (size_t)(g->n * g->k);
    r->a = ml_mem_alloc(an);
    r->b = ml_mem_alloc(bn);
    r->w_memory = ml_mem_alloc(ml_i8_weights_size(&b->k, g->n, g->k));
    float *scale = r->i8_numbers = ml_mem_calloc((size_t)(g->n + 2 * g->m), sizeof(float));
    if (!r->a || !r->b || !r->w_memory || !scale)
        return false;
    struct ml_rng rng;
    ml_rng_init(&rng, 1, 0);
    for (size_t i = 0; i < an; i++)
        ((uint8_t *)r->a)[i] = (uint8_t)ml_rng_below(&rng, 128);
    for (size_t i = 0; i < bn; i++)
        ((int8_t *)r->b)[i] = (int8_t)((int)ml_rng_below(&rng, 255) - 127);
    for (int64_t i = 0; i < g->n + g->m; i++)
        scale[i] = i < g->n ? 0.001f * (float)(1 + i % 7) : 1.0f;
    ml_i8_weights_pack(&b->k, &r->w, r->w_memory, g->n, g->k, r->b, g->k, scale);
    r->i8 = (struct ml_gemm_i8){.m = g->m,
                                .a = {.data = r->a,
                                      .row = g->k,
                                      .scale = scale + g->n,
                                      .zero = (const int32_t *)(scale + g->n + g->m)},
                                .w = &r->w,
                                .c = r->c,
                                .c_dtype = ML_F32,
                                .c_row = g->n};
    r->p.i8_a = r->a;
    r->p.i8_w = r->b;
    r->p.i8_scale = scale;
    r->scratch = ml_mem_alloc(ml_gemm_i8_scratch(&b->k, &r->i8, b->o.threads) + 64);
    return r->scratch != NULL;
}

/* The faster of oneDNN's two ways. */
static struct peer_onednn *onednn_best(const struct bench *b, struct row *r)
{
    struct peer_onednn *way[2];
    double least[2] = {1e9, 1e9};
    bool stays = r->layout != GRAD_WEIGHT && r->p.batch == 1; /* B is weights */
    for (int i = 0; i < 2; i++)
        way[i] = i == 0 || stays ? peer_onednn_new(&r->p, i == 1) : NULL;
    if (!way[0] || !way[1])
        return way[0] ? way[0] : way[1];
    for (int round = 0; round < 6; round++) {
        double start = now(b);
        peer_onednn_run(way[round & 1]);
        double took = now(b) - start;
        least[round & 1] = took < least[round & 1] ? took : least[round & 1];
    }
    int best = least[1] < least[0];
    peer_onednn_free(way[!best]);
    return way[best];
}

static bool row_init(const struct bench *b, struct row *r)
{
    row_shape(r);
    struct ml_gemm *g = &r->p.g;
    int64_t batch = r->p.batch, an = batch * g->m * g->k, bn = batch * g->k * g->n;
    size_t element = ml_dtype_size(g->a.dtype);
    bool batched = batch > 1;
    r->c = ml_mem_calloc(c_bytes(r), 1);
    if (r->type == I8) {
        g->c = r->c;
        if (!r->c || !row_init_i8(b, r))
            return false;
        if (b->have[ONEDNN])
            r->onednn = onednn_best(b, r);
        return true;
    }
    r->scratch_each = (ml_gemm_scratch(&b->k, g, batched ? 1 : b->o.threads) + 127) / 64 * 64;
    r->a = ml_mem_alloc((size_t)an * element);
    r->b = ml_mem_alloc((size_t)bn * element);
    r->scratch = ml_mem_alloc(r->scratch_each * (size_t)(batched ? b->o.threads : 1));
    if (!r->a || !r->b || !r->c || !r->scratch)
        return false;
    fill(r->a, an, g->a.dtype, 1);
    fill(r->b, bn, g->b.dtype, 2);
    g->a.data = r->a;
    g->b.data = r->b;
    g->c = r->c;
    if (b->have[ONEDNN])
        r->onednn = onednn_best(b, r);
    return true;
}

static bool takes_part(const struct bench *b, const struct row *r, enum side side)
{
    if (side == ONEDNN)
        return r->onednn != NULL;
    return side == OURS || (b->have[OPENBLAS] && r->type == F32);
}

static float c_at(const struct row *r, const void *c, size_t i)
{
    return r->p.g.c_dtype == ML_BF16 ? ml_bf16_to_f32(((const ml_bf16 *)c)[i])
                                     : ((const float *)c)[i];
}

/* One untimed call a side from a cleared C; how far each result is from ours. */
static bool compare(const struct bench *b, struct row *r)
{
    size_t bytes = c_bytes(r), n = bytes / ml_dtype_size(r->p.g.c_dtype);
    void *ours = ml_mem_alloc(bytes);
    if (!ours)
        return false;
    bool good = true;
    for (enum side s = OURS; s < SIDES; s++) {
        if (!takes_part(b, r, s))
            continue;
        memset(r->c, 0, bytes);
        run(b, r, s);
        if (s == OURS)
            memcpy(ours, r->c, bytes);
        double most = 0, apart = 0;
        for (size_t i = 0; i < n; i++) {
            double x = c_at(r, ours, i), d = fabs(x - c_at(r, r->c, i));
            most = fabs(x) > most ? fabs(x) : most;
            apart = d > apart || isnan(d) ? d : apart;
        }
        r->apart[s] = apart / most;
        good &= r->apart[s] <= (r->type == BF16 ? 0.02 : 1e-4);
    }
    ml_mem_free(ours);
    return good;
}

/* Everything out of the caches. */
static void make_cold(struct bench *b)
{
    for (size_t i = 0; i < COLD_BYTES; i += 64)
        b->sink += b->cold[i]++;
}

static double turn(struct bench *b, struct row *r, enum side side, int calls)
{
    if (b->o.cold) {
        make_cold(b);
    } else if (b->o.threads > 1) {
        usleep(PAUSE_US);
        run(b, r, side);
    }
    double start = now(b);
    for (int i = 0; i < calls; i++)
        run(b, r, side);
    return (now(b) - start) / calls;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct bench *b, struct row *r)
{
    double took[SIDES][ROUNDS_MOST];
    double start = now(b);
    run(b, r, OURS);
    double guess = now(b) - start;
    int calls = b->o.cold ? 1 : (int)(TURN / (guess > 1e-7 ? guess : 1e-7)) + 1;
    for (int i = 0; i < b->o.rounds; i++)
        for (int s = 0; s < SIDES; s++) {
            enum side side = (enum side)((s + i) % SIDES);
            if (takes_part(b, r, side))
                took[side][i] = turn(b, r, side, calls);
        }
    for (enum side s = OURS; s < SIDES; s++) {
        if (!takes_part(b, r, s))
            continue;
        qsort(took[s], (size_t)b->o.rounds, sizeof(double), by_size);
        r->seconds[s] = took[s][b->o.rounds / 2];
    }
}

static void json_row(struct bench *b, const struct row *r)
{
    const struct ml_gemm *g = &r->p.g;
    fprintf(b->json,
            "%s\n{\"type\": \"%s\", \"group\": \"%s\", \"product\": \"%s\", \"layout\": \"%s\", "
            "\"batch\": %lld, \"m\": %lld, \"n\": %lld, \"k\": %lld",
            b->rows++ ? "," : "", type_names[r->type], r->product->group, r->product->name,
            layout_names[r->layout], (long long)r->p.batch, (long long)g->m, (long long)g->n,
            (long long)g->k);
    for (enum side s = OURS; s < SIDES; s++)
        if (r->seconds[s] > 0)
            fprintf(b->json, ", \"%s_us\": %.3f, \"%s_apart\": %.2g", side_names[s],
                    r->seconds[s] * 1e6, side_names[s], r->apart[s]);
    if (r->onednn)
        fprintf(b->json, ", \"how\": \"%s\"", peer_onednn_how(r->onednn));
    fprintf(b->json, "}");
}

static void report(struct bench *b, const struct row *r)
{
    const struct ml_gemm *g = &r->p.g;
    double flops = flops_of(r);
    printf("%-5s%-5s%-3s %5lld %5lld %5lld %8.1f", r->product->group, r->product->name,
           layout_names[r->layout], (long long)g->m, (long long)g->n, (long long)g->k,
           flops / r->seconds[OURS] * 1e-9);
    for (enum side s = OPENBLAS; s < SIDES; s++) {
        if (r->seconds[s] <= 0) {
            printf("  %15s", "-");
            continue;
        }
        double ratio = r->seconds[s] / r->seconds[OURS];
        printf("  %8.1f %5.2fx", flops / r->seconds[s] * 1e-9, ratio);
        struct summary *sum = &b->summary[r->type][s];
        sum->logs += log(ratio);
        sum->worst = !sum->count || ratio < sum->worst ? ratio : sum->worst;
        sum->count++;
    }
    printf("\n");
    if (b->o.how && r->onednn)
        printf("     oneDNN: %s\n", peer_onednn_how(r->onednn));
    fflush(stdout);
    if (b->json)
        json_row(b, r);
}

static int run_row(struct bench *b, const struct product *p, enum layout layout, enum type type)
{
    struct row r = {.product = p, .layout = layout, .type = type};
    int failed = 1;
    if (!row_init(b, &r)) {
        fprintf(stderr, "gemm_peers: out of memory\n");
    } else if (!compare(b, &r)) {
        fprintf(stderr, "gemm_peers: results differ: %s %s, %.2g from OpenBLAS, %.2g from oneDNN\n",
                p->name, layout_names[layout], r.apart[OPENBLAS], r.apart[ONEDNN]);
    } else {
        measure(b, &r);
        report(b, &r);
        failed = 0;
    }
    row_free(&r);
    return failed;
}

/* Decoding has no gradients; attention is Q K^T and P V, which are `fwd` and `dX` by their layout.
 */
static bool wanted(const struct bench *b, const struct product *p, enum layout layout,
                   enum type type)
{
    if (type == I8 && (layout != FORWARD || p->batch > 1)) /* training stays in floating point */
        return false;
    if (b->o.group && strcmp(b->o.group, p->group))
        return false;
    if (b->o.product && strcmp(b->o.product, p->name))
        return false;
    return layout == FORWARD || (strcmp(p->group, "rows") && p->batch == 1) ||
           (layout == GRAD_INPUT && p->batch > 1);
}

static int run_type(struct bench *b, enum type type)
{
    printf("%s: GFLOP/s; ratios above 1: we are faster\n", type_names[type]);
    printf("%-13s %5s %5s %5s %8s", "product", "m", "n", "k", "ours");
    printf("  %8s %6s  %8s %6s\n", "OpenBLAS", "ratio", "oneDNN", "ratio");
    int failed = 0;
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        for (enum layout l = FORWARD; l < LAYOUTS; l++)
            if (wanted(b, &products[i], l, type)) {
                if (products[i].batch > 1 && b->have[OPENBLAS])
                    peer_openblas_threads(1);
                failed |= run_row(b, &products[i], l, type);
                if (b->have[OPENBLAS])
                    peer_openblas_threads(b->o.threads);
            }
    for (enum side s = OPENBLAS; s < SIDES; s++) {
        const struct summary *sum = &b->summary[type][s];
        if (sum->count)
            printf("%s beside %s, %d products: geometric mean %.3fx, worst %.2fx\n",
                   type_names[type], side_names[s], sum->count, exp(sum->logs / sum->count),
                   sum->worst);
    }
    return failed;
}

static int usage(void)
{
    fprintf(stderr, "usage: gemm_peers [--threads N] [--only f32|bf16|int8] "
                    "[--group 384|512|768|heads|rows]\n"
                    "                  [--product NAME] [--rounds N] [--isa NAME] [--cold] "
                    "[--json FILE] [--how]\n");
    return 2;
}

static bool parse_value(struct options *o, const char *name, const char *value)
{
    if (!strcmp(name, "--threads")) {
        o->threads = atoi(value);
    } else if (!strcmp(name, "--rounds")) {
        o->rounds = atoi(value);
    } else if (!strcmp(name, "--only")) {
        o->only = value;
    } else if (!strcmp(name, "--group")) {
        o->group = value;
    } else if (!strcmp(name, "--product")) {
        o->product = value;
    } else if (!strcmp(name, "--json")) {
        o->json = value;
    } else if (!strcmp(name, "--isa")) {
        for (o->isa = ML_ISA_REF; o->isa < ML_ISA_COUNT; o->isa++)
            if (!strcmp(value, ml_isa_name(o->isa)))
                return true;
        return false;
    } else {
        return false;
    }
    return true;
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--cold"))
            o->cold = true;
        else if (!strcmp(argv[i], "--how"))
            o->how = true;
        else if (i + 1 < argc && parse_value(o, argv[i], argv[i + 1]))
            i++;
        else
            return false;
    }
    return o->threads >= 1 && o->rounds >= 1 && o->rounds <= ROUNDS_MOST;
}

static int open_sides(struct bench *b)
{
    struct ml_error err = {0};
    ml_kernels_init(&b->k, b->o.isa);
    if (ml_pool_new(&b->pool, b->o.threads, &err)) {
        fprintf(stderr, "gemm_peers: %s\n", err.message);
        return 1;
    }
    b->have[OPENBLAS] = peer_openblas_open(b->o.threads, b->about[OPENBLAS], sizeof b->about[0]);
    b->have[ONEDNN] = peer_onednn_open(b->o.threads, b->about[ONEDNN], sizeof b->about[0]);
    printf("ours: %s, %d thread(s), %s time, %d rounds%s; peak %.1f GFLOP/s f32", b->k.name,
           b->o.threads, b->o.threads == 1 ? "processor" : "wall clock", b->o.rounds,
           b->o.cold ? ", cold caches" : "", ml_peak_flops(&b->k, false, b->pool) * 1e-9);
    if (ml_kernels_have_bf16(&b->k))
        printf(", %.1f bf16", ml_peak_flops(&b->k, true, b->pool) * 1e-9);
    printf("\n");
    for (enum side s = OPENBLAS; s < SIDES; s++)
        printf("%s: %s\n", side_names[s], b->have[s] ? b->about[s] : "not here");
    if (b->o.cold && !(b->cold = ml_mem_calloc(COLD_BYTES, 1))) {
        fprintf(stderr, "gemm_peers: out of memory\n");
        return 1;
    }
    if (b->o.json && !(b->json = fopen(b->o.json, "w"))) {
        perror(b->o.json);
        return 1;
    }
    if (b->json)
        fprintf(b->json,
                "{\"isa\": \"%s\", \"threads\": %d, \"rounds\": %d, \"cold\": %s,\n"
                "\"OpenBLAS\": \"%s\", \"oneDNN\": \"%s\",\n\"products\": [",
                b->k.name, b->o.threads, b->o.rounds, b->o.cold ? "true" : "false",
                b->about[OPENBLAS], b->about[ONEDNN]);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench b = {.o = {.threads = 1, .rounds = 7, .isa = ML_ISA_COUNT - 1}};
    if (!parse(&b.o, argc, argv))
        return usage();
    int failed = open_sides(&b);
    for (enum type t = F32; t < TYPES && !failed; t++) {
        if (b.o.only && strcmp(b.o.only, type_names[t]))
            continue;
        if (t == BF16 && !ml_kernels_have_bf16(&b.k))
            printf("bf16: this processor (or --isa) has no bf16 arithmetic\n");
        else
            failed |= run_type(&b, t);
    }
    if (b.json && (fprintf(b.json, "]}\n") < 0 || fclose(b.json) != 0))
        failed = 1;
    ml_mem_free(b.cold);
    ml_pool_free(b.pool);
    return failed;
}
