#include "tensor/attention_tile.h"

#include <math.h>

#include "base/arena.h"

#define TILE_ROWS 64
#define TILE_KEYS 128

int64_t panel_round(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

void attention_init(struct attention *a, const struct ml_kernels *k,
                    struct ml_tensor *const *sources, const struct attention_attr *attr)
{
    const struct ml_tensor *q = sources[ATT_Q], *key = sources[ATT_K];
    bool bf16 = q->dtype == ML_BF16 && ml_kernels_have_bf16(k);
    *a = (struct attention){
        .k = k,
        .gemm = bf16 ? &k->gemm_bf16 : &k->gemm_f32,
        .q = q,
        .key = key,
        .value = sources[ATT_V],
        .batch = q->dim[0],
        .queries = q->dim[1],
        .keys = key->dim[1],
        .q_heads = q->dim[2],
        .kv_heads = key->dim[2],
        .features = q->dim[3],
        .group = q->dim[2] / key->dim[2],
        .causal = attr->causal,
        .scale = attr->scale,
        .segments = sources[ATT_SEGMENTS] ? sources[ATT_SEGMENTS]->data : NULL,
        .length = sources[ATT_LENGTH] ? sources[ATT_LENGTH]->data : NULL,
        .positions = sources[ATT_POSITIONS] ? sources[ATT_POSITIONS]->data : NULL,
    };
    a->tile_queries = a->group < TILE_ROWS ? TILE_ROWS / a->group : 1;
    if (a->tile_queries > a->queries)
        a->tile_queries = a->queries > 0 ? a->queries : 1;
    a->tile_rows = a->tile_queries * a->group;
    /* Tiles of keys are whole panels, and an even number of keys for pairs of bf16. */
    a->tile_keys = panel_round(TILE_KEYS, 2 * a->gemm->nr);
    a->padded_rows = panel_round(a->tile_rows, a->gemm->mr);
    a->padded_features = panel_round(a->features, a->gemm->nr);
}

int64_t attention_visible_end(const struct attention *a, int64_t b, int64_t t)
{
    int64_t end = a->keys;
    if (a->length && a->length[b] < end)
        end = a->length[b];
    if (a->causal) {
        int64_t position =
            a->positions ? a->positions[b * a->queries + t] : t + a->keys - a->queries;
        if (position + 1 < end)
            end = position + 1;
    }
    return end > 0 ? end : 0;
}

int64_t attention_batch_end(const struct attention *a, int64_t b)
{
    int64_t end = 0;
    for (int64_t t = 0; t < a->queries; t++) {
        int64_t own = attention_visible_end(a, b, t);
        end = own > end ? own : end;
    }
    return end;
}

bool attention_segments_meet(const struct attention *a, int64_t b, int64_t t0, int64_t nt,
                             int64_t key0, int64_t nk)
{
    if (!a->segments)
        return true;
    const int32_t *row = a->segments + b * a->queries;
    int32_t low = row[t0], high = row[t0];
    for (int64_t t = t0 + 1; t < t0 + nt; t++) {
        low = row[t] < low ? row[t] : low;
        high = row[t] > high ? row[t] : high;
    }
    for (int64_t j = key0; j < key0 + nk; j++)
        if (row[j] >= low && row[j] <= high)
            return true;
    return false;
}

void attention_mask_segments(const struct attention *a, int64_t b, int64_t t, int64_t key0,
                             int64_t n, float *scores)
{
    if (!a->segments)
        return;
    const int32_t *row = a->segments + b * a->queries;
    int32_t own = row[t];
    for (int64_t j = 0; j < n; j++)
        scores[j] = row[key0 + j] == own ? scores[j] : -INFINITY;
}

void attention_gather(const struct attention *a, const struct ml_tensor *x, int64_t b, int64_t h0,
                      int64_t t0, int64_t nt, void *rows)
{
    size_t element = ml_dtype_size(x->dtype), bytes = (size_t)(a->group * a->features) * element;
    for (int64_t i = 0; i < nt; i++) {
        int64_t at = ((b * a->queries + t0 + i) * a->q_heads + h0) * a->features;
        memcpy((char *)rows + (size_t)i * bytes, (const char *)x->data + (size_t)at * element,
               bytes);
    }
}

struct ml_matrix attention_head(const struct ml_tensor *x, int64_t b, int64_t head, int64_t key0)
{
    int64_t heads = x->dim[2], d = x->dim[3];
    int64_t at = ((b * x->dim[1] + key0) * heads + head) * d;
    return (struct ml_matrix){
        .data = (const char *)x->data + (size_t)at * ml_dtype_size(x->dtype),
        .dtype = x->dtype,
        .row = heads * d,
        .col = 1,
    };
}

size_t panel_bytes(const struct ml_gemm_kernel *g, int width, int64_t k)
{
    size_t bytes = (size_t)(width * panel_round(k, g->kr)) * g->element;
    return (bytes + ML_ALIGN - 1) / ML_ALIGN * ML_ALIGN;
}

size_t panels_a_bytes(const struct ml_gemm_kernel *g, int64_t rows, int64_t k)
{
    return (size_t)((rows + g->mr - 1) / g->mr) * panel_bytes(g, g->mr, k);
}

size_t panels_b_bytes(const struct ml_gemm_kernel *g, int64_t cols, int64_t k)
{
    return (size_t)((cols + g->nr - 1) / g->nr) * panel_bytes(g, g->nr, k);
}

static const void *element_at(const struct ml_matrix *m, int64_t offset)
{
    return (const char *)m->data + offset * (int64_t)ml_dtype_size(m->dtype);
}

void panels_a(const struct ml_gemm_kernel *g, void *out, const struct ml_matrix *m, int64_t rows,
              int64_t k)
{
    size_t step = panel_bytes(g, g->mr, k);
    char *panel = out;
    for (int64_t i = 0; i < rows; i += g->mr, panel += step)
        g->pack_a(panel, element_at(m, i * m->row), m->dtype, m->row, m->col,
                  rows - i < g->mr ? rows - i : g->mr, k);
}

void panels_b(const struct ml_gemm_kernel *g, void *out, const struct ml_matrix *m, int64_t k,
              int64_t cols, int64_t stride)
{
    size_t step = panel_bytes(g, g->nr, stride);
    char *panel = out;
    for (int64_t j = 0; j < cols; j += g->nr, panel += step)
        g->pack_b(panel, element_at(m, j * m->col), m->dtype, m->col, m->row,
                  cols - j < g->nr ? cols - j : g->nr, k);
}

void panels_multiply(const struct ml_gemm_kernel *g, const struct panel_product *p)
{
    size_t a_step = panel_bytes(g, g->mr, p->k), b_step = panel_bytes(g, g->nr, p->b_stride);
    const char *b = p->b;
    for (int64_t j = 0; j < p->n; j += g->nr, b += b_step) {
        const char *a = p->a;
        for (int64_t i = 0; i < p->m; i += g->mr, a += a_step)
            g->tile(p->k, a, b, p->c + i * p->c_row + j, p->c_row, p->accumulate);
    }
}
