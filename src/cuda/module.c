/* The accelerator "cuda": memory, running ops, and what training does outside of graphs. All work
 * is queued on one stream. */
#include <string.h>

#include "base/arena.h"
#include "cuda/cuda.h"
#include "cuda/module.h"

int cuda_check(cudaError_t status, const char *what, struct ml_error *err)
{
    if (status == cudaSuccess)
        return 0;
    if (status == cudaErrorMemoryAllocation)
        return ml_fail(err, ML_ERR_MEMORY,
                       "out of memory on the GPU (%s): use a smaller batch or context, or turn "
                       "recompute on",
                       what);
    return ml_fail(err, ML_ERR_STATE, "cuda: %s failed: %s", what, cudaGetErrorString(status));
}

/* ---- memory ---- */

static int cuda_alloc(void *state, void **memory, size_t bytes, struct ml_error *err)
{
    (void)state;
    *memory = NULL;
    return cuda_check(cudaMalloc(memory, bytes ? bytes : 1), "cudaMalloc", err);
}

static void cuda_release(void *state, void *memory)
{
    (void)state;
    cudaFree(memory); /* waits for what uses it */
}

static int cuda_upload(void *state, void *memory, const void *host, size_t bytes,
                       struct ml_error *err)
{
    struct cuda_state *c = state;
    return cuda_check(cudaMemcpyAsync(memory, host, bytes, cudaMemcpyHostToDevice, c->stream),
                      "a copy to the GPU", err);
}

static int cuda_download(void *state, void *host, const void *memory, size_t bytes,
                         struct ml_error *err)
{
    struct cuda_state *c = state;
    int status = cuda_check(cudaMemcpyAsync(host, memory, bytes, cudaMemcpyDeviceToHost, c->stream),
                            "a copy from the GPU", err);
    return status == 0 ? cuda_check(cudaStreamSynchronize(c->stream), "what ran on the GPU", err)
                       : status;
}

static int cuda_copy(void *state, void *to, const void *from, size_t bytes, struct ml_error *err)
{
    struct cuda_state *c = state;
    return cuda_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, c->stream),
                      "a copy on the GPU", err);
}

/* ---- ops ---- */

static bool cuda_supports(void *state, const struct ml_tensor *t)
{
    const struct cuda_op *op = cuda_op_get(t->op);
    if (!op || ml_count(t) == 0)
        return false;
    for (int s = 0; s < t->nsrc; s++)
        if (t->src[s] && ml_count(t->src[s]) == 0)
            return false;
    return op->supports(state, t);
}

static size_t cuda_scratch(void *state, const struct ml_tensor *t)
{
    (void)state;
    const struct cuda_op *op = cuda_op_get(t->op);
    return op->scratch ? op->scratch(t) : 0;
}

static int cuda_begin(void *state, uint64_t seed, struct ml_error *err)
{
    struct cuda_state *c = state;
    struct cuda_shared clean;
    memset(clean.report, 0xff, sizeof clean.report);
    clean.seed = seed;
    return cuda_upload(c, c->shared, &clean, sizeof clean, err);
}

static int cuda_run(void *state, struct ml_tensor *t, void *scratch, struct ml_error *err)
{
    struct cuda_state *c = state;
    int status = cuda_op_get(t->op)->run(c, t, scratch, err);
    return status == 0 ? cuda_check(cudaGetLastError(), t->name ? t->name : "an op", err) : status;
}

static int cuda_finish(void *state, struct ml_error *err)
{
    static const char *const what[CUDA_REPORTS] = {
        [CUDA_BAD_ID] = "embedding: token id %d at place %lld is outside the table; do tokenizer "
                        "and model belong together?",
        [CUDA_BAD_TARGET] = "cross_entropy: target %d at place %lld is outside the words of the "
                            "head; do tokenizer and model belong together?",
        [CUDA_BAD_POSITION] = "cache_write: position %d (row %lld) is outside the cache; use a "
                              "larger context or a shorter prompt",
    };
    struct cuda_state *c = state;
    struct cuda_shared shared;
    int status = cuda_download(c, &shared, c->shared, sizeof shared, err);
    for (int i = 0; i < CUDA_REPORTS && status == 0; i++) {
        unsigned long long report = shared.report[i];
        char message[256];
        if (report == ~0ull)
            continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(message, sizeof message, what[i], (int)(int32_t)(uint32_t)report,
                 (long long)(report >> 32));
#pragma GCC diagnostic pop
        status = ml_fail(err, ML_ERR_ARG, "%s", message);
    }
    return status;
}

/* ---- training ---- */

static int cuda_adamw_step(void *state, int64_t n, float *w, float *m, float *v, const float *g,
                           const struct ml_adamw_step *s, struct ml_error *err)
{
    struct cuda_state *c = state;
    struct cuda_adamw step = {s->lr,           s->beta1,      s->beta2,       s->eps,
                              s->weight_decay, s->grad_scale, s->correction1, s->correction2};
    cuda_adamw(c->stream, n, w, m, v, g, &step);
    return cuda_check(cudaGetLastError(), "adamw", err);
}

/* Room for the partial sums of so many arrays, and their total. */
static int reserve_sums(struct cuda_state *c, int arrays, struct ml_error *err)
{
    if (arrays <= c->sums_arrays)
        return 0;
    void *memory = NULL;
    int status =
        cuda_alloc(c, &memory, ((size_t)arrays * CUDA_SUM_BLOCKS + 1) * sizeof(double), err);
    if (status != 0)
        return status;
    cuda_release(c, c->sums);
    c->sums = memory;
    c->sums_arrays = arrays;
    return 0;
}

/* sums[0] = the total; the partial sums follow it. */
static int queue_squares(struct cuda_state *c, int count, const float *const *x, const int64_t *n,
                         struct ml_error *err)
{
    int status = reserve_sums(c, count, err);
    for (int i = 0; i < count && status == 0; i++)
        cuda_squares(c->stream, n[i], x[i], c->sums + 1 + (size_t)i * CUDA_SUM_BLOCKS);
    if (status == 0)
        cuda_sum_doubles(c->stream, (int64_t)count * CUDA_SUM_BLOCKS, c->sums + 1, c->sums);
    return status == 0 ? cuda_check(cudaGetLastError(), "a sum of squares", err) : status;
}

static int cuda_square_sum(void *state, int count, const float *const *x, const int64_t *n,
                           double *out, struct ml_error *err)
{
    struct cuda_state *c = state;
    int status = queue_squares(c, count, x, n, err);
    return status == 0 ? cuda_download(c, out, c->sums, sizeof *out, err) : status;
}

static int cuda_mix_step(void *state, int64_t n, float *y, float a, const float *x, float b,
                         struct ml_error *err)
{
    struct cuda_state *c = state;
    cuda_mix(c->stream, n, y, a, x, b);
    return cuda_check(cudaGetLastError(), "mix", err);
}

static int cuda_muon_begin(void *state, const struct ml_muon_step *s, struct ml_error *err)
{
    struct cuda_state *c = state;
    const float *x = s->x;
    int64_t n = s->rows * s->cols;
    cuda_muon_momentum(c->stream, s->rows, s->cols, s->tall, s->x, s->momentum, s->grad, s->mu,
                       s->grad_scale);
    int status = queue_squares(c, 1, &x, &n, err);
    if (status == 0)
        cuda_muon_normalise(c->stream, n, s->x, c->sums);
    return status == 0 ? cuda_check(cudaGetLastError(), "muon", err) : status;
}

static int cuda_muon_end(void *state, const struct ml_muon_step *s, struct ml_error *err)
{
    struct cuda_state *c = state;
    cuda_muon_apply(c->stream, s->rows, s->cols, s->tall, s->weight, s->y, s->keep, s->step);
    return cuda_check(cudaGetLastError(), "muon", err);
}

/* ---- open and close ---- */

static void cuda_close(void *state)
{
    struct cuda_state *c = state;
    cuda_product_close(c);
    cudaFree(c->sums);
    cudaFree(c->shared);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    ml_mem_free(c);
}

static const struct ml_accelerator accelerator = {
    .name = "cuda",
    .bf16 = true,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .upload = cuda_upload,
    .download = cuda_download,
    .copy = cuda_copy,
    .supports = cuda_supports,
    .scratch = cuda_scratch,
    .begin = cuda_begin,
    .run = cuda_run,
    .finish = cuda_finish,
    .adamw = cuda_adamw_step,
    .square_sum = cuda_square_sum,
    .mix = cuda_mix_step,
    .muon_begin = cuda_muon_begin,
    .muon_end = cuda_muon_end,
};

static int find_gpu(struct ml_error *err)
{
    int count = 0;
    struct cudaDeviceProp properties;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
        return ml_fail(err, ML_ERR_UNSUPPORTED, "no CUDA device: %s",
                       status != cudaSuccess ? cudaGetErrorString(status) : "none is there");
    status = cudaGetDeviceProperties(&properties, 0);
    if (status != cudaSuccess)
        return ml_fail(err, ML_ERR_UNSUPPORTED, "no CUDA device: %s", cudaGetErrorString(status));
    if (properties.major < 8)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "no CUDA device: %s is of compute capability %d.%d, 8.0 is the least",
                       properties.name, properties.major, properties.minor);
    return 0;
}

int ml_cuda_module_open(int revision, const struct ml_accelerator **out, void **state,
                        struct ml_error *err);

__attribute__((visibility("default"))) int ml_cuda_module_open(int revision,
                                                               const struct ml_accelerator **out,
                                                               void **state, struct ml_error *err)
{
    if (revision != ML_CUDA_REVISION)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "no CUDA device: libmaliang-cuda.so is of another version");
    int status = find_gpu(err);
    if (status != 0)
        return status;
    struct cuda_state *c = ml_mem_calloc(1, sizeof *c);
    if (!c)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a device");
    void *shared = NULL;
    status = cuda_check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking),
                        "cudaStreamCreate", err);
    if (status == 0)
        status = cuda_alloc(c, &shared, sizeof *c->shared, err);
    c->shared = shared;
    if (status == 0)
        status = cuda_begin(c, 0, err);
    if (status == 0)
        status = cuda_product_open(c, err);
    if (status != 0) {
        cuda_close(c);
        return status;
    }
    *out = &accelerator;
    *state = c;
    return 0;
}
