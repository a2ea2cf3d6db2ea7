#include "find/vector_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "find/index_bytes.h"

#define MAGIC "MLVECS1"

enum { BLOCK = 256 }; /* rows whose products are taken together */

int ml_vector_set_init(struct ml_vector_set *set, int width, struct ml_error *err)
{
    if (width < 1 || width > ML_VECTOR_MAX_WIDTH)
        return ml_fail(err, ML_ERR_ARG, "vectors have 1 to %d numbers, not %d", ML_VECTOR_MAX_WIDTH,
                       width);
    *set = (struct ml_vector_set){.width = width, .stride = (width + 63) / 64 * 64};
    ml_kernels_init(&set->kernels, ML_ISA_COUNT - 1);
    return 0;
}

void ml_vector_set_clear(struct ml_vector_set *set)
{
    if (!set)
        return;
    ml_mem_free(set->rows);
    ml_mem_free(set->scale);
    set->rows = NULL;
    set->scale = NULL;
    set->count = set->capacity = 0;
}

static int reserve(struct ml_vector_set *set, size_t count, struct ml_error *err)
{
    if (count <= set->capacity)
        return 0;
    size_t capacity = count > 2 * set->capacity ? count : 2 * set->capacity;
    capacity = capacity < 1024 ? 1024 : capacity;
    int8_t *rows = ml_mem_realloc(set->rows, capacity * (size_t)set->stride);
    if (rows)
        set->rows = rows;
    float *scale = ml_mem_realloc(set->scale, capacity * sizeof *scale);
    if (scale)
        set->scale = scale;
    if (!rows || !scale)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for %zu vectors", count);
    set->capacity = capacity;
    return 0;
}

void ml_vector_quantise(const struct ml_vector_set *set, const float *x, int8_t *q, float *scale)
{
    float most = 0, square = 0;
    for (int i = 0; i < set->width; i++) {
        square += x[i] * x[i];
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    memset(q, 0, (size_t)set->stride);
    *scale = 0;
    if (!(square > 0) || !isfinite(square))
        return;
    for (int i = 0; i < set->width; i++)
        q[i] = (int8_t)lrintf(x[i] / most * 127);
    /* Of the numbers that are kept, so that a row is exactly as long as any other. */
    int64_t kept = 0;
    for (int i = 0; i < set->width; i++)
        kept += q[i] * q[i];
    *scale = 1 / sqrtf((float)kept);
}

int ml_vector_set_add(struct ml_vector_set *set, const float *x, struct ml_error *err)
{
    int status = set->count >= UINT32_MAX - 1
                     ? ml_fail(err, ML_ERR_LIMIT, "too many vectors for one index")
                     : reserve(set, set->count + 1, err);
    if (status)
        return status;
    ml_vector_quantise(set, x, set->rows + set->count * (size_t)set->stride,
                       &set->scale[set->count]);
    set->count++;
    return 0;
}

/* ---- the k best ---- */

static bool worse(struct ml_near a, struct ml_near b)
{
    return a.cosine < b.cosine || (a.cosine == b.cosine && a.row > b.row);
}

static void sink(struct ml_near *items, int count, int at)
{
    for (;;) {
        int child = 2 * at + 1;
        if (child + 1 < count && worse(items[child + 1], items[child]))
            child++;
        if (child >= count || !worse(items[child], items[at]))
            return;
        struct ml_near item = items[at];
        items[at] = items[child];
        items[child] = item;
        at = child;
    }
}

void ml_near_heap_put(struct ml_near_heap *heap, struct ml_near item)
{
    if (heap->count == heap->most) {
        if (heap->most && worse(heap->items[0], item)) {
            heap->items[0] = item;
            sink(heap->items, heap->count, 0);
        }
        return;
    }
    int at = heap->count++;
    heap->items[at] = item;
    for (int up; at > 0 && worse(item, heap->items[up = (at - 1) / 2]); at = up) {
        heap->items[at] = heap->items[up];
        heap->items[up] = item;
    }
}

static int best_first(const void *a, const void *b)
{
    const struct ml_near *x = a, *y = b;
    return worse(*x, *y) ? 1 : worse(*y, *x) ? -1 : 0;
}

void ml_near_heap_sort(struct ml_near_heap *heap)
{
    qsort(heap->items, (size_t)heap->count, sizeof *heap->items, best_first);
}

int ml_vector_set_search(const struct ml_vector_set *set, const float *x, int k,
                         ml_vector_filter *filter, void *arg, struct ml_near *out, int *found,
                         struct ml_error *err)
{
    struct ml_near_heap heap = {.items = out, .most = k};
    int32_t dots[BLOCK];
    float scale;
    int8_t *q = ml_mem_alloc((size_t)set->stride);
    if (!q)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
    ml_vector_quantise(set, x, q, &scale);
    for (size_t first = 0; first < set->count; first += BLOCK) {
        size_t n = set->count - first < BLOCK ? set->count - first : BLOCK;
        set->kernels.i8_dots((int64_t)n, set->stride, dots, set->rows + first * (size_t)set->stride,
                             set->stride, q);
        for (size_t i = 0; i < n; i++) {
            struct ml_near item = {(uint32_t)(first + i),
                                   (float)dots[i] * scale * set->scale[first + i]};
            if (heap.count == heap.most && !worse(heap.items[0], item))
                continue;
            if (!filter || filter(arg, item.row))
                ml_near_heap_put(&heap, item);
        }
    }
    ml_near_heap_sort(&heap);
    ml_mem_free(q);
    *found = heap.count;
    return 0;
}

/* ---- bytes ---- */

int ml_vector_set_put(const struct ml_vector_set *set, struct ml_buffer *out, struct ml_error *err)
{
    int status = ml_index_put_text(out, MAGIC, err);
    if (status == 0)
        status = ml_index_put_u64(out, (uint64_t)set->width, err);
    if (status == 0)
        status = ml_index_put_u64(out, set->count, err);
    for (size_t i = 0; status == 0 && i < set->count; i++)
        status = ml_buffer_put(out, set->rows + i * (size_t)set->stride, (size_t)set->width, err);
    if (status == 0)
        status = ml_index_put_floats(out, set->scale, set->count, err);
    return status;
}

int ml_vector_set_get(struct ml_vector_set *set, const uint8_t *bytes, size_t n, const char *name,
                      struct ml_error *err)
{
    struct ml_index_reader r = ml_index_read(bytes, n, name);
    struct ml_vector_set made = {0};
    ml_index_expect(&r, MAGIC);
    uint64_t width = ml_index_u64(&r), count = ml_index_u64(&r);
    if (r.bad || width < 1 || width > ML_VECTOR_MAX_WIDTH || count >= UINT32_MAX ||
        (uint64_t)(r.end - r.at) != count * (width + 4))
        return ml_index_refuse(&r, err);
    int status = ml_vector_set_init(&made, (int)width, err);
    if (status == 0)
        status = reserve(&made, (size_t)count + 1, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        memcpy(made.rows + i * (size_t)made.stride, r.at, (size_t)width);
        memset(made.rows + i * (size_t)made.stride + width, 0, (size_t)made.stride - width);
        r.at += width;
    }
    if (status == 0) {
        ml_index_floats(&r, made.scale, (size_t)count);
        made.count = (size_t)count;
        status = r.bad ? ml_index_refuse(&r, err) : 0;
    }
    if (status)
        ml_vector_set_clear(&made);
    else
        *set = made;
    return status;
}
