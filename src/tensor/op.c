/* The table of ops and what all forwards share. */
#include "tensor/op.h"

#include <assert.h>

static int shape_none(struct ml_graph *g, struct ml_tensor *t)
{
    (void)g;
    (void)t;
    return 0;
}

static void forward_none(struct ml_run *run, struct ml_tensor *t)
{
    (void)run;
    (void)t;
}

const struct ml_op ml_op_poison = {
    .name = "poison",
    .what = "the result of a mistake",
    .shape = shape_none,
    .forward = forward_none,
};

const struct ml_op ml_op_leaf = {
    .name = "leaf",
    .what = "numbers from outside: a parameter, an input, a cache",
    .shape = shape_none,
    .forward = forward_none,
};

const struct ml_op *ml_op_get(int op)
{
    static const struct ml_op *const rows[ML_OP_COUNT] = {
#define ML_OP_ENTRY(ID, name) [ML_OP_##ID] = &ml_op_##name,
        ML_OP_ROWS(ML_OP_ENTRY)
#undef ML_OP_ENTRY
    };
    assert(op >= 0 && op < ML_OP_COUNT);
    return rows[op];
}

const float *ml_load(const struct ml_kernels *k, const struct ml_tensor *t, int64_t offset,
                     int64_t n, float *buffer)
{
    switch (t->dtype) {
    case ML_BF16:
        k->bf16_to_f32(n, buffer, (const ml_bf16 *)t->data + offset);
        return buffer;
    case ML_F16:
        k->f16_to_f32(n, buffer, (const uint16_t *)t->data + offset);
        return buffer;
    default:
        return (const float *)t->data + offset;
    }
}

float *ml_store_begin(const struct ml_tensor *t, int64_t offset, float *buffer)
{
    return t->dtype == ML_F32 ? (float *)t->data + offset : buffer;
}

void ml_store_end(const struct ml_kernels *k, const struct ml_tensor *t, int64_t offset, int64_t n,
                  const float *buffer)
{
    if (t->dtype == ML_BF16)
        k->f32_to_bf16(n, (ml_bf16 *)t->data + offset, buffer);
    else if (t->dtype == ML_F16)
        k->f32_to_f16(n, (uint16_t *)t->data + offset, buffer);
}

struct range_task {
    int64_t n, grain;
    ml_range_fn *fn;
    void *arg;
};

static void run_range(void *arg, int64_t task, int worker)
{
    const struct range_task *r = arg;
    int64_t begin = task * r->grain;
    int64_t end = begin + r->grain < r->n ? begin + r->grain : r->n;
    r->fn(r->arg, begin, end, worker);
}

void ml_parallel(struct ml_run *run, int64_t n, int64_t grain, ml_range_fn *fn, void *arg)
{
    struct range_task r = {n, grain, fn, arg};
    if (n > 0)
        ml_pool_run(run->pool, (n + grain - 1) / grain, run_range, &r);
}
