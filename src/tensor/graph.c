#include "tensor/graph.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/fail.h"
#include "tensor/op.h"

void ml_graph_init(struct ml_graph *g, struct ml_arena *arena)
{
    memset(g, 0, sizeof *g);
    g->arena = arena;
    g->compute = ML_F32;
    g->poison.op = ML_OP_POISON;
    g->poison.name = "poison";
    g->poison.ndim = 1;
    for (int i = 0; i < ML_MAX_DIMS; i++) /* so that callers may divide by its dimensions */
        g->poison.dim[i] = 1;
}

static struct ml_tensor *out_of_memory(struct ml_graph *g)
{
    ml_fail(&g->error, ML_ERR_MEMORY, "out of memory while building a graph of %d nodes", g->count);
    return &g->poison;
}

/* Appends a zeroed node; NULL when memory is out. */
static struct ml_tensor *append(struct ml_graph *g)
{
    if (g->count == g->capacity) {
        int capacity = g->capacity ? 2 * g->capacity : 256;
        struct ml_tensor **nodes = ml_arena_alloc(g->arena, (size_t)capacity * sizeof *nodes);
        if (!nodes)
            return NULL;
        if (g->count)
            memcpy(nodes, g->nodes, (size_t)g->count * sizeof *nodes);
        g->nodes = nodes;
        g->capacity = capacity;
    }
    struct ml_tensor *t = ml_arena_calloc(g->arena, 1, sizeof *t);
    if (!t)
        return NULL;
    t->id = g->count;
    g->nodes[g->count++] = t;
    return t;
}

struct ml_tensor *ml_leaf(struct ml_graph *g, const char *name, enum ml_dtype dtype, int ndim,
                          const int64_t *dims, void *data)
{
    if (g->error.code)
        return &g->poison;
    if (ndim < 0 || ndim > ML_MAX_DIMS) {
        ml_fail(&g->error, ML_ERR_SHAPE, "leaf %s: %d dimensions, at most %d are possible",
                name ? name : "?", ndim, ML_MAX_DIMS);
        return &g->poison;
    }
    struct ml_tensor *t = append(g);
    if (!t)
        return out_of_memory(g);
    t->op = ML_OP_LEAF;
    t->dtype = dtype;
    t->flags = ML_LEAF;
    t->block = g->block;
    t->name = name;
    t->data = data;
    t->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        t->dim[i] = dims[i];
        if (dims[i] < 0)
            ml_fail(&g->error, ML_ERR_SHAPE, "leaf %s: dimension %d is negative", name, i);
    }
    return g->error.code ? &g->poison : t;
}

struct ml_tensor *ml_leaf_param(struct ml_graph *g, const char *name, enum ml_dtype dtype, int ndim,
                                const int64_t *dims, void *data)
{
    struct ml_tensor *t = ml_leaf(g, name, dtype, ndim, dims, data);
    if (t != &g->poison)
        t->flags |= ML_PARAM | ML_NEEDS_GRAD;
    return t;
}

void ml_block_begin(struct ml_graph *g)
{
    assert(g->block == 0);
    g->block = ++g->blocks;
}

void ml_block_end(struct ml_graph *g)
{
    g->block = 0;
}

struct ml_tensor *ml_node(struct ml_graph *g, int op, struct ml_tensor *const *src, int n,
                          const void *attr, size_t attr_bytes)
{
    assert(n <= ML_MAX_SRC && attr_bytes <= ML_ATTR_BYTES);
    if (g->error.code)
        return &g->poison;
    struct ml_tensor *t = append(g);
    if (!t)
        return out_of_memory(g);
    const struct ml_op *row = ml_op_get(op);
    assert(n >= row->min_src && n <= row->max_src);
    t->op = op;
    t->name = row->name;
    t->block = g->block;
    t->nsrc = n;
    for (int i = 0; i < n; i++) {
        t->src[i] = src[i];
        if (ml_wants_grad(src[i]))
            t->flags |= ML_NEEDS_GRAD;
    }
    if (attr)
        memcpy(t->attr, attr, attr_bytes);
    bool knows_panels = op == ML_OP_LINEAR || op == ML_OP_MATMUL || op == ML_OP_EMBEDDING;
    for (int i = 0; i < n && !knows_panels; i++)
        if (src[i] && src[i]->flags & ML_PANELS) {
            ml_shape_fail(g, t, "packed weights are for products and rows alone");
            return &g->poison;
        }
    if (row->shape(g, t) != 0) {
        if (!g->error.code)
            ml_fail(&g->error, ML_ERR_SHAPE, "%s: shapes do not fit", row->name);
        return &g->poison;
    }
    return t;
}

int ml_shape_fail(struct ml_graph *g, const struct ml_tensor *t, const char *format, ...)
{
    char message[256], shapes[200] = "", one[96];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    size_t at = 0;
    for (int i = 0; i < t->nsrc && at < sizeof shapes; i++) {
        if (!t->src[i])
            continue;
        at += (size_t)snprintf(shapes + at, sizeof shapes - at, "%s%s", at ? " and " : "",
                               ml_shape_text(t->src[i], one, sizeof one));
    }
    return ml_fail(&g->error, ML_ERR_SHAPE, "%s: %s (given %s)", ml_op_get(t->op)->name, message,
                   at ? shapes : "no tensor");
}

int ml_graph_print(const struct ml_graph *g, struct ml_buffer *out, struct ml_error *err)
{
    char shape[96];
    for (int i = 0; i < g->count; i++) {
        const struct ml_tensor *t = g->nodes[i];
        int status = ml_buffer_printf(out, err, "%5d %-20s %-24s", t->id, t->name ? t->name : "",
                                      ml_shape_text(t, shape, sizeof shape));
        for (int s = 0; s < t->nsrc && status == 0; s++)
            if (t->src[s])
                status = ml_buffer_printf(out, err, " %d", t->src[s]->id);
        if (status == 0 && t->block)
            status = ml_buffer_printf(out, err, "  block %d", t->block);
        if (status == 0)
            status = ml_buffer_put(out, "\n", 1, err);
        if (status != 0)
            return status;
    }
    return 0;
}
