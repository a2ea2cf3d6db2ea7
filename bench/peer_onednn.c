#include "bench/peers.h"

#if defined(ML_HAVE_ONEDNN)

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

/* Descriptors of memory are structures in oneDNN 2 and handles in oneDNN 3. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t layout_ref;
#define REF(md) (md)
#else
typedef const dnnl_memory_desc_t *layout_ref;
#define REF(md) (&(md))
#endif

static dnnl_engine_t engine;
static dnnl_stream_t stream;

#define MOST_ARGS 5

struct peer_onednn {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[MOST_ARGS];
    int n_args;
    char how[64];
};

static const char *isa_name(int isa)
{
    static const struct {
        int isa;
        const char *name;
    } names[] = {
        {0x1, "SSE4.1"},        {0x3, "AVX"},     {0x7, "AVX2"},
        {0x407, "AVX2-VNNI"},   {0x27, "AVX512"}, {0x67, "AVX512-VNNI"},
        {0xe7, "AVX512-BF16"},  {0x3e7, "AMX"},   {0x1ef, "AVX512-FP16"},
        {0x1e7, "AVX512-FP16"}, {0xfef, "AMX"},   {0x0, "everything it has"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].isa == isa)
            return names[i].name;
    return NULL;
}

bool peer_onednn_open(int threads, char *about, size_t size)
{
    void (*set_threads)(int);
    void *found = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&set_threads, &found, sizeof found);
    if (set_threads)
        set_threads(threads);
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&stream, engine, dnnl_stream_in_order) != dnnl_success)
        return false;
    const dnnl_version_t *v = dnnl_version();
    int isa = (int)dnnl_get_effective_cpu_isa();
    char number[16];
    snprintf(number, sizeof number, "0x%x", (unsigned)isa);
    snprintf(about, size, "%d.%d.%d, instruction set %s%s", v->major, v->minor, v->patch,
             isa_name(isa) ? isa_name(isa) : number, set_threads ? "" : ", threads not settable");
    return true;
}

static dnnl_data_type_t type_of(enum ml_dtype t)
{
    return t == ML_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* One matrix, or a batch of them; strides NULL: any layout that oneDNN likes. */
static dnnl_memory_desc_t layout(int64_t batch, int64_t rows, int64_t cols, dnnl_data_type_t type,
                                 bool any, int64_t row, int64_t col)
{
    dnnl_memory_desc_t md;
    memset(&md, 0, sizeof md);
    dnnl_dims_t dims = {batch, rows, cols}, strides = {rows * cols, row, col};
    int skip = batch == 1; /* a plain matrix has two dimensions */
#if DNNL_VERSION_MAJOR >= 3
    if (any)
        dnnl_memory_desc_create_with_tag(&md, 3 - skip, dims + skip, type, dnnl_format_tag_any);
    else
        dnnl_memory_desc_create_with_strides(&md, 3 - skip, dims + skip, type, strides + skip);
#else
    if (any)
        dnnl_memory_desc_init_by_tag(&md, 3 - skip, dims + skip, type, dnnl_format_tag_any);
    else
        dnnl_memory_desc_init_by_strides(&md, 3 - skip, dims + skip, type, strides + skip);
#endif
    return md;
}

static void layout_free(dnnl_memory_desc_t md)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_destroy(md);
#else
    (void)md;
#endif
}

static dnnl_memory_t add_arg(struct peer_onednn *o, int arg, layout_ref md, const void *data)
{
    dnnl_memory_t memory = NULL;
    void *handle = data ? (void *)(uintptr_t)data : DNNL_MEMORY_ALLOCATE;
    dnnl_memory_create(&memory, md, engine, handle);
    o->args[o->n_args++] = (dnnl_exec_arg_t){arg, memory};
    return memory;
}

/* Accumulation, and for int8 one scale a column of C. */
static dnnl_primitive_attr_t attributes(const struct peer_problem *p)
{
    dnnl_primitive_attr_t attr;
    dnnl_primitive_attr_create(&attr);
    if (p->g.accumulate) {
        dnnl_post_ops_t ops;
        dnnl_post_ops_create(&ops);
#if DNNL_VERSION_MAJOR >= 3
        dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_f32);
#else
        dnnl_post_ops_append_sum(ops, 1.0f);
#endif
        dnnl_primitive_attr_set_post_ops(attr, ops);
        dnnl_post_ops_destroy(ops);
    }
    if (p->i8_a) {
#if DNNL_VERSION_MAJOR >= 3
        dnnl_primitive_attr_set_scales_mask(attr, DNNL_ARG_WEIGHTS, 1 << 1);
#else
        dnnl_primitive_attr_set_output_scales(attr, p->g.n, 1 << 1, p->i8_scale);
#endif
    }
    return attr;
}

static void add_scales(struct peer_onednn *o, const struct peer_problem *p)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_t md;
    dnnl_dims_t n = {p->g.n};
    dnnl_memory_desc_create_with_tag(&md, 1, n, dnnl_f32, dnnl_a);
    add_arg(o, DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, md, p->i8_scale);
    layout_free(md);
#else
    (void)o;
    (void)p;
#endif
}

/* Matrix B brought into the layout that was chosen. */
static void reorder_weights(dnnl_memory_t to, layout_ref to_md, layout_ref from_md,
                            const void *data)
{
    dnnl_memory_t from;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t reorder;
    dnnl_memory_create(&from, from_md, engine, (void *)(uintptr_t)data);
    if (dnnl_reorder_primitive_desc_create(&pd, from_md, engine, to_md, engine, NULL) ==
        dnnl_success) {
        dnnl_primitive_create(&reorder, pd);
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        dnnl_primitive_execute(reorder, stream, 2, args);
        dnnl_stream_wait(stream);
        dnnl_primitive_destroy(reorder);
        dnnl_primitive_desc_destroy(pd);
    }
    dnnl_memory_destroy(from);
}

static dnnl_status_t describe(dnnl_primitive_desc_t *pd, dnnl_memory_desc_t a, dnnl_memory_desc_t b,
                              dnnl_memory_desc_t c, dnnl_primitive_attr_t attr)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(pd, engine, a, b, NULL, c, attr);
#else
    dnnl_matmul_desc_t d;
    dnnl_status_t status = dnnl_matmul_desc_init(&d, &a, &b, NULL, &c);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &d, attr, engine, NULL) : status;
#endif
}

struct peer_onednn *peer_onednn_new(const struct peer_problem *p, bool reorder)
{
    struct peer_onednn *o = ml_mem_calloc(1, sizeof *o);
    const struct ml_gemm *g = &p->g;
    bool i8 = p->i8_a != NULL;
    dnnl_data_type_t b_type = i8 ? dnnl_s8 : type_of(g->b.dtype);
    dnnl_memory_desc_t a = layout(p->batch, g->m, g->k, i8 ? dnnl_u8 : type_of(g->a.dtype), false,
                                  i8 ? g->k : g->a.row, i8 ? 1 : g->a.col);
    dnnl_memory_desc_t plain =
        layout(p->batch, g->k, g->n, b_type, false, i8 ? 1 : g->b.row, i8 ? g->k : g->b.col);
    dnnl_memory_desc_t b = layout(p->batch, g->k, g->n, b_type, true, 0, 0);
    dnnl_memory_desc_t c = layout(p->batch, g->m, g->n, type_of(g->c_dtype), false, g->c_row, 1);
    dnnl_primitive_attr_t attr = attributes(p);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = o ? describe(&pd, a, reorder ? b : plain, c, attr) : dnnl_out_of_memory;
    if (status == dnnl_success && dnnl_primitive_create(&o->primitive, pd) == dnnl_success) {
        const char *how = "?";
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&how);
        snprintf(o->how, sizeof o->how, "%s%s", how, reorder ? ", B reordered" : "");
        const void *b_data = i8 ? (const void *)p->i8_w : g->b.data;
        layout_ref chosen = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
        add_arg(o, DNNL_ARG_SRC, REF(a), i8 ? (const void *)p->i8_a : g->a.data);
        dnnl_memory_t w = add_arg(o, DNNL_ARG_WEIGHTS, chosen, reorder ? NULL : b_data);
        add_arg(o, DNNL_ARG_DST, REF(c), g->c);
        if (i8)
            add_scales(o, p);
        if (reorder)
            reorder_weights(w, chosen, REF(plain), b_data);
    } else {
        peer_onednn_free(o);
        o = NULL;
    }
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    layout_free(a);
    layout_free(b);
    layout_free(c);
    layout_free(plain);
    return o;
}

const char *peer_onednn_how(const struct peer_onednn *o)
{
    return o->how;
}

void peer_onednn_run(struct peer_onednn *o)
{
    dnnl_primitive_execute(o->primitive, stream, o->n_args, o->args);
    dnnl_stream_wait(stream);
}

void peer_onednn_free(struct peer_onednn *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->n_args; i++)
        dnnl_memory_destroy(o->args[i].memory);
    if (o->primitive)
        dnnl_primitive_destroy(o->primitive);
    ml_mem_free(o);
}

#else

bool peer_onednn_open(int threads, char *about, size_t size)
{
    return false;
}

struct peer_onednn *peer_onednn_new(const struct peer_problem *p, bool reorder)
{
    return NULL;
}

const char *peer_onednn_how(const struct peer_onednn *o)
{
    return "";
}

void peer_onednn_run(struct peer_onednn *o)
{
}

void peer_onednn_free(struct peer_onednn *o)
{
}

#endif
