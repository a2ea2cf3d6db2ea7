#include "test_device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "cuda/cuda.h"
#include "tensor/op.h"

struct mirror {
    struct ml_device *device;
    bool refuse_all;
    uint64_t seed;
    struct mirror_counts counts;
};

static void mirror_close(void *state)
{
    ml_mem_free(state);
}

static int mirror_alloc(void *state, void **memory, size_t bytes, struct ml_error *err)
{
    *memory = ml_mem_alloc(bytes + 1);
    if (!*memory)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory on the mirror");
    memset(*memory, 0xff, bytes);
    return 0;
}

static void mirror_release(void *state, void *memory)
{
    ml_mem_free(memory);
}

static int mirror_upload(void *state, void *memory, const void *host, size_t bytes,
                         struct ml_error *err)
{
    ((struct mirror *)state)->counts.uploads++;
    memcpy(memory, host, bytes);
    return 0;
}

static int mirror_download(void *state, void *host, const void *memory, size_t bytes,
                           struct ml_error *err)
{
    ((struct mirror *)state)->counts.downloads++;
    memcpy(host, memory, bytes);
    return 0;
}

static int mirror_copy(void *state, void *to, const void *from, size_t bytes, struct ml_error *err)
{
    memcpy(to, from, bytes);
    return 0;
}

static bool mirror_supports(void *state, const struct ml_tensor *t)
{
    return !((struct mirror *)state)->refuse_all && t->id % 4 != 3;
}

static size_t mirror_scratch(void *state, const struct ml_tensor *t)
{
    const struct ml_device *device = ((struct mirror *)state)->device;
    const struct ml_op *op = ml_op_get(t->op);
    return op->scratch ? op->scratch(&device->kernels, t, ml_pool_threads(device->pool)) : 0;
}

static int mirror_begin(void *state, uint64_t seed, struct ml_error *err)
{
    ((struct mirror *)state)->seed = seed;
    return 0;
}

static void swap(struct ml_tensor *t)
{
    void *data = t->data;
    float *aux = t->aux;
    t->data = t->remote;
    t->aux = t->remote_aux;
    t->remote = data;
    t->remote_aux = aux;
}

/* Each tensor once, though it may be several sources. */
static void swap_all(struct ml_tensor *t)
{
    swap(t);
    for (int s = 0; s < t->nsrc; s++) {
        bool again = !t->src[s] || t->src[s] == t;
        for (int o = 0; o < s; o++)
            again |= t->src[o] == t->src[s];
        if (!again)
            swap(t->src[s]);
    }
}

static int mirror_run(void *state, struct ml_tensor *t, void *scratch, struct ml_error *err)
{
    struct mirror *m = state;
    struct ml_error failure = {0};
    struct ml_run run = {
        .k = &m->device->kernels,
        .pool = m->device->pool,
        .threads = ml_pool_threads(m->device->pool),
        .scratch = scratch,
        .seed = m->seed,
        .err = &failure,
    };
    m->counts.runs++;
    swap_all(t);
    ml_op_get(t->op)->forward(&run, t);
    swap_all(t);
    if (!(t->flags & ML_ALIAS)) /* nobody may read the host's side of what ran here */
        memset(t->data, 0xff, ml_bytes(t));
    return failure.code ? ml_fail(err, failure.code, "%s", failure.message) : 0;
}

static int mirror_finish(void *state, struct ml_error *err)
{
    return 0;
}

static int mirror_adamw(void *state, int64_t n, float *w, float *m, float *v, const float *g,
                        const struct ml_adamw_step *step, struct ml_error *err)
{
    ((struct mirror *)state)->device->kernels.adamw(n, w, m, v, g, step);
    return 0;
}

static int mirror_square_sum(void *state, int count, const float *const *x, const int64_t *n,
                             double *out, struct ml_error *err)
{
    *out = 0;
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < n[k]; i++)
            *out += (double)x[k][i] * (double)x[k][i];
    return 0;
}

static int mirror_mix(void *state, int64_t n, float *y, float a, const float *x, float b,
                      struct ml_error *err)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = b != 0 ? a * x[i] + b * y[i] : a * x[i];
    return 0;
}

static int64_t inside(const struct ml_muon_step *s, int64_t i)
{
    return s->tall ? i % s->cols * s->rows + i / s->cols : i;
}

static int mirror_muon_begin(void *state, const struct ml_muon_step *s, struct ml_error *err)
{
    double sum = 0;
    for (int64_t i = 0; i < s->rows * s->cols; i++) {
        float g = s->grad[i] * s->grad_scale, m = s->mu * s->momentum[i] + g;
        s->momentum[i] = m;
        s->x[inside(s, i)] = g + s->mu * m;
        sum += (double)(g + s->mu * m) * (double)(g + s->mu * m);
    }
    for (int64_t i = 0; i < s->rows * s->cols; i++)
        s->x[i] *= (float)(1.0 / (sqrt(sum) + 1e-7));
    return 0;
}

static int mirror_muon_end(void *state, const struct ml_muon_step *s, struct ml_error *err)
{
    for (int64_t i = 0; i < s->rows * s->cols; i++)
        s->weight[i] = s->weight[i] * s->keep - s->step * s->y[inside(s, i)];
    return 0;
}

static const struct ml_accelerator accelerator = {
    .name = "mirror",
    .close = mirror_close,
    .alloc = mirror_alloc,
    .release = mirror_release,
    .upload = mirror_upload,
    .download = mirror_download,
    .copy = mirror_copy,
    .supports = mirror_supports,
    .scratch = mirror_scratch,
    .begin = mirror_begin,
    .run = mirror_run,
    .finish = mirror_finish,
    .adamw = mirror_adamw,
    .square_sum = mirror_square_sum,
    .mix = mirror_mix,
    .muon_begin = mirror_muon_begin,
    .muon_end = mirror_muon_end,
};

int mirror_attach(struct ml_device *device, bool refuse_all, struct ml_error *err)
{
    struct mirror *m = ml_mem_calloc(1, sizeof *m);
    if (!m)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for the mirror");
    m->device = device;
    m->refuse_all = refuse_all;
    return ml_device_attach(device, &accelerator, m, err);
}

struct mirror_counts mirror_count(const struct ml_device *device)
{
    return ((const struct mirror *)device->state)->counts;
}

const char *test_device_name(void)
{
    const char *name = getenv("MALIANG_TEST_DEVICE");
    return name && name[0] ? name : "cpu";
}

int test_device_attach(struct ml_device *device, struct ml_error *err)
{
    const char *name = test_device_name();
    if (strcmp(name, "mirror") == 0)
        return mirror_attach(device, false, err);
    if (strcmp(name, "cuda") == 0)
        return ml_cuda_attach(device, err);
    return strcmp(name, "cpu") == 0
               ? 0
               : ml_fail(err, ML_ERR_ARG, "MALIANG_TEST_DEVICE: there is no device \"%s\"", name);
}

/* Before any test: without the device there is nothing to test, which meson calls 77. */
__attribute__((constructor)) static void skip_without_device(void)
{
    struct ml_device *device = NULL;
    struct ml_error err = {0};
    int status = ml_device_new(&device, 1, ML_ISA_REF, &err);
    if (status == 0)
        status = test_device_attach(device, &err);
    ml_device_free(device);
    if (status == 0)
        return;
    printf("skipped: %s\n", err.message);
    exit(77);
}
