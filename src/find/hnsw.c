#include "find/hnsw.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/rng.h"
#include "find/index_bytes.h"

#define MAGIC "MLHNSW1"

int ml_hnsw_init(struct ml_hnsw *h, const struct ml_vector_set *set, int m, int breadth,
                 uint64_t seed)
{
    *h = (struct ml_hnsw){
        .set = set, .m = m ? m : 16, .breadth = breadth ? breadth : 200, .seed = seed, .top = -1};
    return 0;
}

void ml_hnsw_clear(struct ml_hnsw *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->count; i++)
        ml_mem_free(h->upper[i]);
    ml_mem_free(h->links);
    ml_mem_free(h->upper);
    ml_mem_free(h->level);
    ml_mem_free(h->seen);
    h->links = NULL;
    h->upper = NULL;
    h->level = NULL;
    h->seen = NULL;
    h->count = h->capacity = 0;
    h->top = -1;
}

/* ---- where links lie ---- */

static size_t width_of(const struct ml_hnsw *h, int level)
{
    return 1 + (size_t)(level == 0 ? 2 * h->m : h->m);
}

static uint32_t *links_of(const struct ml_hnsw *h, uint32_t row, int level)
{
    return level == 0 ? h->links + row * width_of(h, 0)
                      : h->upper[row] + (size_t)(level - 1) * width_of(h, 1);
}

static float similarity(const struct ml_hnsw *h, const int8_t *q, float scale, uint32_t row)
{
    const struct ml_vector_set *s = h->set;
    int32_t dot;
    s->kernels.i8_dots(1, s->stride, &dot, s->rows + row * (size_t)s->stride, s->stride, q);
    return (float)dot * scale * s->scale[row];
}

/* ---- searching ---- */

/* Candidates, the best on top: the opposite of ml_near_heap. */
struct queue {
    struct ml_near *items;
    size_t count, capacity;
};

static bool better(struct ml_near a, struct ml_near b)
{
    return a.cosine > b.cosine || (a.cosine == b.cosine && a.row < b.row);
}

static int push(struct queue *q, struct ml_near item, struct ml_error *err)
{
    if (q->count == q->capacity) {
        size_t capacity = q->capacity ? 2 * q->capacity : 512;
        struct ml_near *grown = ml_mem_realloc(q->items, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
        q->items = grown;
        q->capacity = capacity;
    }
    size_t at = q->count++;
    q->items[at] = item;
    for (size_t up; at > 0 && better(item, q->items[up = (at - 1) / 2]); at = up) {
        q->items[at] = q->items[up];
        q->items[up] = item;
    }
    return 0;
}

static struct ml_near pop(struct queue *q)
{
    struct ml_near best = q->items[0], item = q->items[--q->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < q->count && better(q->items[child + 1], q->items[child]))
            child++;
        if (child >= q->count || !better(q->items[child], item))
            break;
        q->items[at] = q->items[child];
        at = child;
    }
    q->items[at] = item;
    return best;
}

/* From the entry down to `level`, at each step to the best neighbour. */
static struct ml_near descend(const struct ml_hnsw *h, const int8_t *q, float scale, int level)
{
    struct ml_near at = {h->entry, similarity(h, q, scale, h->entry)};
    for (int l = h->top; l > level; l--)
        for (bool moved = true; moved;) {
            const uint32_t *links = links_of(h, at.row, l);
            moved = false;
            for (uint32_t i = 1; i <= links[0]; i++) {
                struct ml_near next = {links[i], similarity(h, q, scale, links[i])};
                if (better(next, at)) {
                    at = next;
                    moved = true;
                }
            }
        }
    return at;
}

static void begin_search(struct ml_hnsw *h)
{
    if (++h->search == 0) { /* after 2^32 searches */
        memset(h->seen, 0, h->capacity * sizeof *h->seen);
        h->search = 1;
    }
}

/* The best of a level that can be reached, in found (its `most` is the breadth); algorithm 2. */
static int search_level(struct ml_hnsw *h, const int8_t *q, float scale, struct ml_near from,
                        int level, struct queue *open, struct ml_near_heap *found,
                        struct ml_error *err)
{
    begin_search(h);
    open->count = 0;
    h->seen[from.row] = h->search;
    ml_near_heap_put(found, from);
    int status = push(open, from, err);
    while (status == 0 && open->count) {
        struct ml_near at = pop(open);
        if (found->count == found->most && better(found->items[0], at))
            break;
        const uint32_t *links = links_of(h, at.row, level);
        for (uint32_t i = 1; status == 0 && i <= links[0]; i++) {
            if (h->seen[links[i]] == h->search)
                continue;
            h->seen[links[i]] = h->search;
            struct ml_near next = {links[i], similarity(h, q, scale, links[i])};
            if (found->count == found->most && !better(next, found->items[0]))
                continue;
            ml_near_heap_put(found, next);
            status = push(open, next, err);
        }
    }
    return status;
}

int ml_hnsw_search(struct ml_hnsw *h, const float *x, int k, int breadth, struct ml_near *out,
                   int *found, struct ml_error *err)
{
    float scale;
    int most = breadth > k ? breadth : k > 100 || breadth ? k : 100;
    *found = 0;
    if (h->top < 0)
        return 0;
    int8_t *q = ml_mem_alloc((size_t)h->set->stride);
    struct ml_near_heap heap = {.most = most};
    struct queue open = {0};
    heap.items = ml_mem_calloc((size_t)most, sizeof *heap.items);
    int status = q && heap.items ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
    if (status == 0) {
        ml_vector_quantise(h->set, x, q, &scale);
        status = search_level(h, q, scale, descend(h, q, scale, 0), 0, &open, &heap, err);
    }
    if (status == 0) {
        ml_near_heap_sort(&heap);
        *found = heap.count < k ? heap.count : k;
        memcpy(out, heap.items, (size_t)*found * sizeof *out);
    }
    ml_mem_free(q);
    ml_mem_free(heap.items);
    ml_mem_free(open.items);
    return status;
}

/* ---- building ---- */

/* Of candidates (best first), those that are nearer to the row than to any one chosen before, so
 * that links lead into all directions (algorithm 4); then the nearest others. */
static uint32_t choose(const struct ml_hnsw *h, const struct ml_near *from, int count, int most,
                       uint32_t *out)
{
    uint32_t chosen = 0;
    for (int i = 0; i < count && chosen < (uint32_t)most; i++) {
        const int8_t *row = h->set->rows + from[i].row * (size_t)h->set->stride;
        bool apart = true;
        for (uint32_t k = 0; apart && k < chosen; k++)
            apart = similarity(h, row, h->set->scale[from[i].row], out[k]) <= from[i].cosine;
        if (apart)
            out[chosen++] = from[i].row;
    }
    for (int i = 0; i < count && chosen < (uint32_t)most; i++) {
        bool there = false;
        for (uint32_t k = 0; !there && k < chosen; k++)
            there = out[k] == from[i].row;
        if (!there)
            out[chosen++] = from[i].row;
    }
    return chosen;
}

/* A link back; when the row has too many, the best are chosen anew. */
static void link_back(struct ml_hnsw *h, uint32_t row, uint32_t to, int level)
{
    uint32_t *links = links_of(h, row, level);
    uint32_t most = (uint32_t)width_of(h, level) - 1;
    if (links[0] < most) {
        links[++links[0]] = to;
        return;
    }
    struct ml_near items[129];
    struct ml_near_heap heap = {.items = items, .most = (int)most + 1};
    const int8_t *q = h->set->rows + row * (size_t)h->set->stride;
    float scale = h->set->scale[row];
    for (uint32_t i = 1; i <= links[0]; i++)
        ml_near_heap_put(&heap, (struct ml_near){links[i], similarity(h, q, scale, links[i])});
    ml_near_heap_put(&heap, (struct ml_near){to, similarity(h, q, scale, to)});
    ml_near_heap_sort(&heap);
    links[0] = choose(h, items, heap.count, (int)most, links + 1);
}

/* Geometric: level l with probability m^-l. */
static int draw_level(const struct ml_hnsw *h, uint32_t row)
{
    struct ml_rng rng;
    ml_rng_init(&rng, h->seed, row);
    double level = -log(1 - ml_rng_double(&rng)) / log(h->m);
    return level < ML_HNSW_LEVELS - 1 ? (int)level : ML_HNSW_LEVELS - 1;
}

static int grow(struct ml_hnsw *h, size_t count, struct ml_error *err)
{
    if (count <= h->capacity)
        return 0;
    size_t capacity = count;
    uint32_t *links = ml_mem_realloc(h->links, capacity * width_of(h, 0) * sizeof *links);
    if (links)
        h->links = links;
    uint32_t **upper = ml_mem_realloc(h->upper, capacity * sizeof *upper);
    if (upper)
        h->upper = upper;
    uint8_t *level = ml_mem_realloc(h->level, capacity);
    if (level)
        h->level = level;
    uint32_t *seen = ml_mem_realloc(h->seen, capacity * sizeof *seen);
    if (seen)
        h->seen = seen;
    if (!links || !upper || !level || !seen)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for an index of %zu vectors", count);
    memset(h->seen + h->capacity, 0, (capacity - h->capacity) * sizeof *seen);
    h->capacity = capacity;
    return 0;
}

/* Room for the row's links; it counts from here on. */
static int add_node(struct ml_hnsw *h, uint32_t row, int level, struct ml_error *err)
{
    h->upper[row] = NULL;
    h->level[row] = (uint8_t)level;
    if (level > 0) {
        h->upper[row] = ml_mem_calloc((size_t)level * width_of(h, 1), sizeof(uint32_t));
        if (!h->upper[row])
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for an index of vectors");
    }
    links_of(h, row, 0)[0] = 0;
    h->count = row + 1;
    return 0;
}

static int insert(struct ml_hnsw *h, uint32_t row, struct queue *open, struct ml_near *items,
                  struct ml_error *err)
{
    int level = draw_level(h, row);
    const int8_t *q = h->set->rows + row * (size_t)h->set->stride;
    float scale = h->set->scale[row];
    int status = add_node(h, row, level, err);
    if (status || h->top < 0) {
        h->entry = status ? h->entry : row;
        h->top = status ? h->top : level;
        return status;
    }
    struct ml_near from = descend(h, q, scale, level);
    for (int l = level < h->top ? level : h->top; status == 0 && l >= 0; l--) {
        struct ml_near_heap heap = {.items = items, .most = h->breadth};
        status = search_level(h, q, scale, from, l, open, &heap, err);
        if (status)
            break;
        ml_near_heap_sort(&heap);
        uint32_t *links = links_of(h, row, l);
        links[0] = choose(h, items, heap.count, h->m, links + 1);
        for (uint32_t i = 1; i <= links[0]; i++)
            link_back(h, links[i], row, l);
        from = items[0];
    }
    if (status == 0 && level > h->top) {
        h->top = level;
        h->entry = row;
    }
    return status;
}

int ml_hnsw_update(struct ml_hnsw *h, const volatile int *cancel, struct ml_error *err)
{
    struct queue open = {0};
    struct ml_near *items = ml_mem_calloc((size_t)h->breadth, sizeof *items);
    int status = items ? grow(h, h->set->count, err)
                       : ml_fail(err, ML_ERR_MEMORY, "out of memory for an index of vectors");
    while (status == 0 && h->count < h->set->count) {
        status = cancel && *cancel ? ml_fail(err, ML_ERR_CANCELLED, "stopped while indexing")
                                   : insert(h, (uint32_t)h->count, &open, items, err);
    }
    ml_mem_free(open.items);
    ml_mem_free(items);
    return status;
}

/* ---- bytes ---- */

int ml_hnsw_put(const struct ml_hnsw *h, struct ml_buffer *out, struct ml_error *err)
{
    const uint64_t head[] = {(uint64_t)h->m, (uint64_t)h->breadth,    h->seed,
                             h->count,       h->count ? h->entry : 0, (uint64_t)(h->top + 1)};
    int status = ml_index_put_text(out, MAGIC, err);
    for (size_t i = 0; status == 0 && i < sizeof head / sizeof head[0]; i++)
        status = ml_index_put_u64(out, head[i], err);
    for (uint32_t row = 0; status == 0 && row < h->count; row++) {
        status = ml_index_put_varint(out, h->level[row], err);
        for (int l = 0; status == 0 && l <= h->level[row]; l++) {
            const uint32_t *links = links_of(h, row, l);
            for (uint32_t i = 0; status == 0 && i <= links[0]; i++)
                status = ml_index_put_varint(out, links[i], err);
        }
    }
    return status;
}

static int get_node(struct ml_hnsw *h, struct ml_index_reader *r, uint32_t row,
                    struct ml_error *err)
{
    uint64_t level = ml_index_varint(r);
    if (r->bad || level >= ML_HNSW_LEVELS)
        return ml_index_refuse(r, err);
    int status = add_node(h, row, (int)level, err);
    for (int l = 0; status == 0 && l <= (int)level; l++) {
        uint32_t *links = links_of(h, row, l);
        uint64_t n = ml_index_varint(r);
        if (n >= width_of(h, l))
            return ml_index_refuse(r, err);
        links[0] = (uint32_t)n;
        for (uint64_t i = 1; i <= n; i++) {
            uint64_t to = ml_index_varint(r);
            if (r->bad || to >= h->capacity)
                return ml_index_refuse(r, err);
            links[i] = (uint32_t)to;
        }
    }
    return status == 0 && r->bad ? ml_index_refuse(r, err) : status;
}

/* A link on a level leads to a row that has that level. */
static bool levels_fit(const struct ml_hnsw *h)
{
    for (uint32_t row = 0; row < h->count; row++)
        for (int l = 1; l <= h->level[row]; l++) {
            const uint32_t *links = links_of(h, row, l);
            for (uint32_t i = 1; i <= links[0]; i++)
                if (h->level[links[i]] < l)
                    return false;
        }
    return h->count == 0 ? h->top == -1
                         : h->entry < h->count && h->top >= 0 && h->level[h->entry] == h->top;
}

int ml_hnsw_get(struct ml_hnsw *h, const struct ml_vector_set *set, const uint8_t *bytes, size_t n,
                const char *name, struct ml_error *err)
{
    struct ml_index_reader r = ml_index_read(bytes, n, name);
    struct ml_hnsw made;
    ml_index_expect(&r, MAGIC);
    uint64_t m = ml_index_u64(&r), breadth = ml_index_u64(&r), seed = ml_index_u64(&r);
    uint64_t count = ml_index_u64(&r), entry = ml_index_u64(&r), top = ml_index_u64(&r);
    if (r.bad || m < 2 || m > 64 || breadth < 1 || breadth > 10000 || count > set->count ||
        count > (uint64_t)(r.end - r.at) || entry >= (count ? count : 1) || top > ML_HNSW_LEVELS)
        return ml_index_refuse(&r, err);
    ml_hnsw_init(&made, set, (int)m, (int)breadth, seed);
    int status = grow(&made, (size_t)count, err);
    for (uint32_t row = 0; status == 0 && row < count; row++)
        status = get_node(&made, &r, row, err);
    made.entry = (uint32_t)entry;
    made.top = (int)top - 1;
    if (status == 0 && (r.at != r.end || !levels_fit(&made)))
        status = ml_index_refuse(&r, err);
    if (status)
        ml_hnsw_clear(&made);
    else
        *h = made;
    return status;
}
