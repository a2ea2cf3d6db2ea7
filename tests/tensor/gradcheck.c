#include "gradcheck.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tensor/mirror.h"
#include "tensor/ops.h"
#include "tensor/plan.h"
#include "test_device.h"

/* One built graph with its inputs. */
struct bench {
    const struct check *c;
    struct ml_arena arena;
    struct ml_graph graph;
    struct ml_device *device;
    bool on_cpu;                              /* whatever MALIANG_TEST_DEVICE says */
    struct ml_tensor *leaf[CHECK_MAX_INPUTS]; /* what the caller sees: f32, bf16 or i32 */
    float *value[CHECK_MAX_INPUTS];           /* f32 numbers behind float leaves */
    struct ml_tensor *out;                    /* f32 */
    struct ml_tensor *projection;             /* leaf, shape of out */
    struct ml_tensor *grad[CHECK_MAX_INPUTS]; /* f32; NULL: none */
    struct ml_plan *plan;
};

static int64_t input_count(const struct check_input *in)
{
    int64_t count = 1;
    for (int i = 0; i < in->ndim; i++)
        count *= in->dim[i];
    return count;
}

static void random_numbers(float *out, int64_t n, const struct check_input *in, uint64_t seed,
                           uint64_t stream)
{
    struct ml_rng rng;
    ml_rng_init(&rng, seed, stream);
    float scale = in->scale != 0 ? in->scale : 1.0f;
    for (int64_t i = 0; i < n; i++) {
        float x = ml_rng_normal(&rng) * scale + in->shift;
        if (in->avoid > 0 && fabsf(x) < in->avoid)
            x = x < 0 ? x - in->avoid : x + in->avoid;
        out[i] = x;
    }
}

static void make_leaf(struct bench *b, int i, bool bf16)
{
    const struct check_input *in = &b->c->in[i];
    int64_t n = input_count(in);
    if (in->dtype == ML_I32) {
        void *data = ml_arena_alloc(&b->arena, (size_t)n * sizeof(int32_t) + 1);
        assert_non_null(data);
        assert_non_null(in->data);
        memcpy(data, in->data, (size_t)n * sizeof(int32_t));
        b->leaf[i] = ml_leaf(&b->graph, in->name, ML_I32, in->ndim, in->dim, data);
        return;
    }
    float *value = ml_arena_alloc(&b->arena, (size_t)n * sizeof(float) + 1);
    assert_non_null(value);
    if (in->data)
        memcpy(value, in->data, (size_t)n * sizeof(float));
    else
        random_numbers(value, n, in, b->c->seed + 1, (uint64_t)i);
    b->value[i] = value;
    void *data = value;
    if (bf16) {
        ml_bf16 *half = ml_arena_alloc(&b->arena, (size_t)n * sizeof *half + 1);
        assert_non_null(half);
        for (int64_t e = 0; e < n; e++)
            half[e] = ml_f32_to_bf16(value[e]);
        data = half;
    }
    enum ml_dtype dtype = bf16 ? ML_BF16 : ML_F32;
    b->leaf[i] = in->fixed ? ml_leaf(&b->graph, in->name, dtype, in->ndim, in->dim, data)
                           : ml_leaf_param(&b->graph, in->name, dtype, in->ndim, in->dim, data);
}

/* Leaves and the output, not yet planned. */
static void bench_build(struct bench *b, const struct check *c, unsigned as_bf16)
{
    memset(b, 0, sizeof *b);
    b->c = c;
    ml_arena_init(&b->arena, 0);
    ml_graph_init(&b->graph, &b->arena);
    b->graph.compute = as_bf16 ? ML_BF16 : ML_F32;
    for (int i = 0; i < c->n; i++)
        make_leaf(b, i, as_bf16 >> i & 1u);
    b->out = ml_cast(&b->graph, c->build(&b->graph, b->leaf, c->arg), ML_F32);
}

/* Appends loss and gradients and plans. projection NULL: random. */
static void bench_plan(struct bench *b, bool gradients, int threads, const float *projection)
{
    struct ml_error err = {0};
    struct ml_graph *g = &b->graph;
    struct ml_tensor *outputs[CHECK_MAX_INPUTS + 1] = {b->out};
    int n = 1;
    if (b->graph.error.code)
        fail_msg("graph: %s", b->graph.error.message);
    if (gradients) {
        int64_t count = ml_count(b->out);
        float *numbers = ml_arena_alloc(&b->arena, (size_t)count * sizeof(float) + 1);
        assert_non_null(numbers);
        if (projection)
            memcpy(numbers, projection, (size_t)count * sizeof(float));
        else
            random_numbers(numbers, count, &(struct check_input){.scale = 1}, b->c->seed + 1, 99);
        b->projection = ml_leaf(g, "projection", ML_F32, b->out->ndim, b->out->dim, numbers);
        struct ml_tensor *loss = ml_sum_all(g, ml_mul(g, b->out, b->projection));
        struct ml_tensor *wrt[CHECK_MAX_INPUTS], *grads[CHECK_MAX_INPUTS];
        int wanted = 0;
        for (int i = 0; i < b->c->n; i++)
            if (b->leaf[i]->flags & ML_PARAM)
                wrt[wanted++] = b->leaf[i];
        if (ml_grad(g, loss, wrt, wanted, grads) != 0)
            fail_msg("ml_grad: %s", g->error.message);
        for (int i = 0, w = 0; i < b->c->n; i++)
            if (b->leaf[i]->flags & ML_PARAM)
                outputs[n++] = b->grad[i] = ml_cast(g, grads[w++], ML_F32);
    }
    assert_int_equal(ml_device_new(&b->device, threads, ML_ISA_COUNT - 1, &err), 0);
    if (!b->on_cpu && test_device_attach(b->device, &err) != 0)
        fail_msg("%s", err.message);
    if (ml_plan_new(&b->plan, g, outputs, n, b->device, &err) != 0)
        fail_msg("ml_plan_new: %s", err.message);
}

static void bench_run(struct bench *b)
{
    struct ml_error err = {0};
    for (int i = 0; i < b->c->n; i++) /* whoever moved an input did not say so */
        ml_mirror_host_changed(b->device, b->leaf[i]->data);
    if (ml_run(b->plan, 7, &err) != 0)
        fail_msg("ml_run: %s", err.message);
}

static void bench_clear(struct bench *b)
{
    ml_plan_free(b->plan);
    ml_device_free(b->device);
    ml_arena_clear(&b->arena);
}

static float *copy_numbers(const struct ml_tensor *t)
{
    size_t bytes = (size_t)ml_count(t) * sizeof(float);
    float *copy = ml_mem_alloc(bytes + 1);
    assert_non_null(copy);
    memcpy(copy, t->data, bytes);
    return copy;
}

static void collect(const struct bench *b, struct check_result *result)
{
    memset(result, 0, sizeof *result);
    result->count = ml_count(b->out);
    result->out = copy_numbers(b->out);
    for (int i = 0; i < b->c->n; i++) {
        if (!b->grad[i])
            continue;
        result->grad_count[i] = ml_count(b->grad[i]);
        result->grad[i] = copy_numbers(b->grad[i]);
    }
}

static void run_on(const struct check *c, unsigned as_bf16, int threads, const float *projection,
                   bool on_cpu, struct check_result *result)
{
    struct bench b;
    bench_build(&b, c, as_bf16);
    b.on_cpu = on_cpu;
    bench_plan(&b, true, threads, projection);
    bench_run(&b);
    collect(&b, result);
    bench_clear(&b);
}

static void run_as(const struct check *c, unsigned as_bf16, int threads, const float *projection,
                   struct check_result *result)
{
    run_on(c, as_bf16, threads, projection, false, result);
}

void check_run(const struct check *c, int threads, const float *projection,
               struct check_result *result)
{
    run_as(c, 0, threads, projection, result);
}

void check_result_clear(struct check_result *result)
{
    ml_mem_free(result->out);
    for (int i = 0; i < CHECK_MAX_INPUTS; i++)
        ml_mem_free(result->grad[i]);
    memset(result, 0, sizeof *result);
}

double check_max_difference(const float *a, const float *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= worst))
            worst = isnan(d) ? (double)INFINITY : d;
    }
    return worst;
}

/* sum((out(x + h) - out(x - h)) * projection) / 2h, in double. */
static double slope(struct bench *forward, float *x, float h, const float *projection, float *plus)
{
    float kept = *x;
    int64_t n = ml_count(forward->out);
    *x = kept + h;
    float high = *x;
    bench_run(forward);
    memcpy(plus, forward->out->data, (size_t)n * sizeof(float));
    *x = kept - h;
    float low = *x;
    bench_run(forward);
    const float *minus = forward->out->data;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((double)plus[i] - (double)minus[i]) * (double)projection[i];
    *x = kept;
    return sum / ((double)high - (double)low);
}

static double root_mean_square(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return n ? sqrt(sum / (double)n) : 0;
}

static void check_input_gradient(struct bench *full, struct bench *forward, int i, float *plus)
{
    const struct check *c = full->c;
    const float *grad = full->grad[i]->data, *projection = full->projection->data;
    int64_t n = ml_count(full->grad[i]);
    int64_t samples = c->samples ? c->samples : 64;
    double tolerance = c->tolerance > 0 ? c->tolerance : 1e-3;
    float h = c->step > 0 ? c->step : 1e-2f;
    double rms = root_mean_square(grad, n);
    int64_t stride = n > samples ? n / samples : 1;
    if (stride > 1 && stride % 2 == 0) /* odd strides visit every column of even-width tensors */
        stride++;
    for (int64_t e = 0; e < n; e += stride) {
        float *x = &forward->value[i][e];
        double near = slope(forward, x, h, projection, plus);
        double far = slope(forward, x, 2 * h, projection, plus);
        double numeric = (4 * near - far) / 3, ours = (double)grad[e];
        double scale = fmax(fmax(fabs(numeric), fabs(ours)), rms);
        if (!(fabs(numeric - ours) <= tolerance * scale + 1e-6))
            fail_msg("gradient of %s[%lld]: %.7g, numeric %.7g (rms %.3g)", c->in[i].name,
                     (long long)e, ours, numeric, rms);
    }
}

void check_gradient(const struct check *c)
{
    struct bench full, forward;
    bench_build(&full, c, 0);
    bench_plan(&full, true, 2, NULL);
    bench_run(&full);
    bench_build(&forward, c, 0);
    bench_plan(&forward, false, 1, NULL);
    float *plus = ml_mem_alloc((size_t)ml_count(forward.out) * sizeof(float) + 1);
    assert_non_null(plus);
    for (int i = 0; i < c->n; i++)
        if (full.grad[i])
            check_input_gradient(&full, &forward, i, plus);
    ml_mem_free(plus);
    bench_clear(&forward);
    bench_clear(&full);
}

static void assert_same_bits(const struct check *c, const struct check_result *a,
                             const struct check_result *b)
{
    if (memcmp(a->out, b->out, (size_t)a->count * sizeof(float)) != 0)
        fail_msg("the output depends on the number of threads");
    for (int i = 0; i < c->n; i++)
        if (a->grad[i] && memcmp(a->grad[i], b->grad[i], (size_t)a->grad_count[i] * sizeof(float)))
            fail_msg("the gradient of %s depends on the number of threads", c->in[i].name);
}

void check_threads(const struct check *c)
{
    struct check_result one, four, again;
    check_run(c, 1, NULL, &one);
    check_run(c, 4, NULL, &four);
    check_run(c, 4, NULL, &again);
    assert_same_bits(c, &one, &four);
    assert_same_bits(c, &four, &again);
    check_result_clear(&one);
    check_result_clear(&four);
    check_result_clear(&again);
}

static void compare_scaled(const char *what, const float *a, const float *b, int64_t n,
                           double tolerance)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)a[i]));
    double difference = check_max_difference(a, b, n);
    if (!(difference <= tolerance * largest + 1e-6))
        fail_msg("%s in bf16 is off by %.4g where the largest value is %.4g", what, difference,
                 largest);
}

void check_bf16(const struct check *c, unsigned as_bf16, double tolerance)
{
    struct check_result full, half;
    run_as(c, 0, 2, NULL, &full);
    run_as(c, as_bf16, 2, NULL, &half);
    assert_int_equal(full.count, half.count);
    compare_scaled("the output", full.out, half.out, full.count, tolerance);
    for (int i = 0; i < c->n; i++)
        if (full.grad[i])
            compare_scaled(c->in[i].name, full.grad[i], half.grad[i], full.grad_count[i],
                           tolerance);
    check_result_clear(&full);
    check_result_clear(&half);
}

/* |a - b| / |b|; infinity where one is NaN and the other is not. */
static double relative(const float *a, const float *b, int64_t n)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i]))
            continue;
        double d = (double)a[i] - (double)b[i];
        difference += a[i] == b[i] ? 0 : d * d;
        size += (double)b[i] * (double)b[i];
    }
    if (isnan(difference))
        return INFINITY;
    return difference == 0 ? 0 : size > 0 ? sqrt(difference / size) : INFINITY;
}

void check_device(const struct check *c, unsigned as_bf16)
{
    struct check_result here, there;
    double worst = 0;
    if (strcmp(test_device_name(), "cpu") == 0)
        return;
    run_on(c, as_bf16, 2, NULL, true, &here);
    run_on(c, as_bf16, 2, NULL, false, &there);
    worst = relative(there.out, here.out, here.count);
    print_message("device %s: output %.2e", as_bf16 ? "bf16" : "f32 ", worst);
    for (int i = 0; i < c->n; i++) {
        if (!here.grad[i])
            continue;
        double own = relative(there.grad[i], here.grad[i], here.grad_count[i]);
        print_message(", d %s %.2e", c->in[i].name, own);
        worst = own > worst ? own : worst;
    }
    print_message("\n");
    check_result_clear(&here);
    check_result_clear(&there);
    if (!(worst <= (as_bf16 ? 1e-2 : 1e-5)))
        fail_msg("the device differs from the processor by %.3g", worst);
}

void check_all(const struct check *c, unsigned as_bf16)
{
    check_device(c, 0);
    if (as_bf16)
        check_device(c, as_bf16);
    check_gradient(c);
    check_threads(c);
    check_bf16(c, as_bf16, 0.04);
}

void check_refused(const struct check *c, const char *part)
{
    struct bench b;
    bench_build(&b, c, 0);
    assert_int_equal(b.graph.error.code, ML_ERR_SHAPE);
    if (!strstr(b.graph.error.message, part))
        fail_msg("\"%s\" does not say \"%s\"", b.graph.error.message, part);
    bench_clear(&b);
}

void check_run_fails(const struct check *c, int code)
{
    struct bench b;
    struct ml_error err = {0};
    bench_build(&b, c, 0);
    bench_plan(&b, false, 2, NULL);
    assert_int_equal(ml_run(b.plan, 1, &err), code);
    assert_true(err.message[0] != '\0');
    bench_clear(&b);
}
