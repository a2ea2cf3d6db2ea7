/* Registering, allocating, initialising and using parameters. */
#include "nn/param.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "kernel/gemm.h"

#define NAME_BYTES 256

void ml_params_init(struct ml_params *params, struct ml_arena *arena)
{
    memset(params, 0, sizeof *params);
    params->arena = arena;
}

static int grow(struct ml_params *params)
{
    if (params->count < params->capacity)
        return 0;
    int capacity = params->capacity ? params->capacity * 2 : 64;
    struct ml_param **items =
        ml_arena_alloc(params->arena, (size_t)capacity * sizeof(struct ml_param *));
    if (!items)
        return ml_fail(&params->error, ML_ERR_MEMORY, "no memory for %d parameters", capacity);
    if (params->count)
        memcpy(items, params->items, (size_t)params->count * sizeof(struct ml_param *));
    params->items = items;
    params->capacity = capacity;
    return 0;
}

static int check_spec(struct ml_params *params, const struct ml_param_spec *spec, const char *name)
{
    if (spec->ndim < 1 || spec->ndim > ML_MAX_DIMS)
        return ml_fail(&params->error, ML_ERR_SHAPE,
                       "parameter %s has %d dimensions, 1 to %d are possible", name, spec->ndim,
                       ML_MAX_DIMS);
    int64_t count = 1;
    for (int i = 0; i < spec->ndim; i++) {
        if (spec->dim[i] < 1 || spec->dim[i] > INT64_MAX / 16 / count)
            return ml_fail(&params->error, ML_ERR_SHAPE, "parameter %s: dimension %d is %lld", name,
                           i, (long long)spec->dim[i]);
        count *= spec->dim[i];
    }
    if (ml_param_find(params, name))
        return ml_fail(&params->error, ML_ERR_ARG, "parameter %s is registered twice", name);
    return 0;
}

struct ml_param *ml_param_add(struct ml_params *params, const struct ml_param_spec *spec,
                              const char *format, ...)
{
    char name[NAME_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (length < 0 || length >= NAME_BYTES)
        ml_fail(&params->error, ML_ERR_LIMIT, "a parameter's name is longer than %d bytes",
                NAME_BYTES - 1);
    if (params->error.code || check_spec(params, spec, name) < 0 || grow(params) < 0)
        return &params->dummy; /* the report comes from ml_params_allocate */
    struct ml_param *param = ml_arena_calloc(params->arena, 1, sizeof *param);
    char *copy = ml_arena_strdup(params->arena, name);
    if (!param || !copy) {
        ml_fail(&params->error, ML_ERR_MEMORY, "no memory for parameter %s", name);
        return &params->dummy;
    }
    param->name = copy;
    param->kind = spec->kind;
    param->init = spec->init;
    param->init_std = spec->init_std;
    param->ndim = spec->ndim;
    memcpy(param->dim, spec->dim, sizeof param->dim);
    params->items[params->count++] = param;
    return param;
}

struct ml_param *ml_param_find(const struct ml_params *params, const char *name)
{
    for (int i = 0; i < params->count; i++)
        if (strcmp(params->items[i]->name, name) == 0)
            return params->items[i];
    return NULL;
}

int64_t ml_param_count(const struct ml_param *param)
{
    int64_t count = 1;
    for (int i = 0; i < param->ndim; i++)
        count *= param->dim[i];
    return count;
}

int64_t ml_params_count(const struct ml_params *params)
{
    int64_t count = 0;
    for (int i = 0; i < params->count; i++)
        count += ml_param_count(params->items[i]);
    return count;
}

int ml_params_allocate(struct ml_params *params, enum ml_dtype dtype, struct ml_error *err)
{
    if (params->error.code)
        return ml_fail(err, params->error.code, "%s", params->error.message);
    for (int i = 0; i < params->count; i++) {
        struct ml_param *param = params->items[i];
        if (param->data)
            continue;
        int64_t count = ml_param_count(param);
        void *data = ml_arena_calloc(params->arena, (size_t)count, ml_dtype_size(dtype));
        if (!data)
            return ml_fail(err, ML_ERR_MEMORY, "no memory for parameter %s (%lld numbers of %s)",
                           param->name, (long long)count, ml_dtype_name(dtype));
        param->data = data;
        param->dtype = dtype;
    }
    return 0;
}

/* FNV-1a: the stream of a parameter's random numbers follows from its name, so the numbers do not
 * depend on how many parameters were registered before it. */
static uint64_t name_stream(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

void ml_params_randomize(struct ml_params *params, uint64_t seed)
{
    for (int i = 0; i < params->count; i++) {
        struct ml_param *param = params->items[i];
        if (param->dtype != ML_F32 || !param->data)
            continue;
        float *data = param->data;
        int64_t count = ml_param_count(param);
        struct ml_rng rng;
        ml_rng_init(&rng, seed, name_stream(param->name));
        for (int64_t k = 0; k < count; k++)
            data[k] = param->init == ML_INIT_NORMAL ? param->init_std * ml_rng_normal(&rng)
                      : param->init == ML_INIT_ONE  ? 1.0f
                                                    : 0.0f;
    }
}

/* The leaf that g already has for this parameter. The cached one is trusted only when it stands in
 * g's list with this parameter's memory: a graph may be rebuilt at the same address. */
static struct ml_tensor *known_leaf(const struct ml_graph *g, const struct ml_param *param)
{
    if (param->graph == g && param->leaf_id < g->count && g->nodes[param->leaf_id] == param->leaf &&
        param->leaf->name == param->name && param->leaf->data == param->data)
        return param->leaf;
    if (param->graph == g || !param->data)
        return NULL;
    for (int i = 0; i < g->count; i++)
        if ((g->nodes[i]->flags & ML_LEAF) && g->nodes[i]->data == param->data)
            return g->nodes[i];
    return NULL;
}

int ml_params_pack(struct ml_params *params, const struct ml_kernels *k, struct ml_error *err)
{
    size_t most = 0;
    for (int i = 0; i < params->count; i++) {
        const struct ml_param *p = params->items[i];
        size_t bytes = p->ndim == 2 ? ml_gemm_panels_pack_scratch(k, p->dim[1]) : 0;
        most = bytes > most ? bytes : most;
    }
    void *scratch = most ? ml_mem_alloc(most) : NULL;
    if (most && !scratch)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory to pack the model's weights");
    for (int i = 0; i < params->count; i++) {
        struct ml_param *p = params->items[i];
        if (p->ndim == 2 && !p->panels) {
            ml_gemm_panels_pack(k, p->data, p->dtype, p->dim[0], p->dim[1], scratch);
            p->panels = true;
        }
    }
    ml_mem_free(scratch);
    return 0;
}

struct ml_tensor *ml_use(struct ml_graph *g, struct ml_param *param)
{
    struct ml_tensor *leaf = known_leaf(g, param);
    if (!leaf)
        leaf =
            param->dtype == ML_F32 && !param->panels
                ? ml_leaf_param(g, param->name, param->dtype, param->ndim, param->dim, param->data)
                : ml_leaf(g, param->name, param->dtype, param->ndim, param->dim, param->data);
    if (param->panels)
        leaf->flags |= ML_PANELS;
    param->graph = g;
    param->leaf = leaf;
    param->leaf_id = leaf->id;
    return leaf;
}
