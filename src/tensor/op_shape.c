/* Ops that move numbers without computing: permute, broadcast, concat, slice. They work on elements
 * of 2 or 4 bytes, whatever those mean. */
#include "base/fail.h"
#include "tensor/op.h"
#include "tensor/op_attr.h"
#include "tensor/ops.h"
#include "tensor/walk.h"

#define PIECE 32768 /* elements that one task moves at least, where there are so many */

static int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t grain_of(int64_t width)
{
    return width >= PIECE ? 1 : PIECE / (width > 0 ? width : 1);
}

static int64_t no_flops(const struct ml_tensor *t)
{
    return 0;
}

/* ---- out = x read with other strides: permute and broadcast ---- */

struct gather {
    struct ml_walk outer; /* of the rows of the result */
    int64_t run, pieces;  /* length of a row; pieces of at most PIECE in it */
    int64_t stride;       /* 1: a row is adjacent in x; 0: it is one number repeated */
    size_t size;          /* bytes of an element */
    char *dst;
    const char *src;
};

static void repeat(char *dst, const char *src, int64_t n, size_t size)
{
    if (size == 4) {
        uint32_t value;
        memcpy(&value, src, sizeof value);
        for (int64_t i = 0; i < n; i++)
            memcpy(dst + 4 * i, &value, sizeof value);
    } else {
        uint16_t value;
        memcpy(&value, src, sizeof value);
        for (int64_t i = 0; i < n; i++)
            memcpy(dst + 2 * i, &value, sizeof value);
    }
}

static void gather_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct gather *s = arg;
    struct ml_walk w = s->outer;
    ml_walk_seek(&w, begin / s->pieces);
    for (int64_t u = begin; u < end; u++) {
        int64_t at = u % s->pieces * PIECE, n = min_i64(PIECE, s->run - at);
        char *dst = s->dst + (size_t)(u / s->pieces * s->run + at) * s->size;
        const char *src = s->src + (size_t)(w.offset + at * s->stride) * s->size;
        if (s->stride)
            memcpy(dst, src, (size_t)n * s->size);
        else
            repeat(dst, src, n, s->size);
        if (u % s->pieces == s->pieces - 1)
            ml_walk_next(&w);
    }
}

#define TILE  32   /* a square of both orders that stays in the first cache */
#define STRIP 1024 /* columns that a task takes */

struct turn {
    struct ml_walk from, to; /* the dimensions outside of the turned matrix, in x and the result */
    int64_t rows, cols;      /* of the turned matrix in the result */
    int64_t row_out, col_in; /* strides; within a row the result is adjacent, within a column x */
    int64_t row_blocks, col_strips;
    size_t size;
    char *dst;
    const char *src;
};

static void turn_tile(const struct turn *s, char *dst, const char *src, int64_t rows, int64_t cols)
{
    if (s->size == 4) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++)
                memcpy(dst + 4 * (r * s->row_out + c), src + 4 * (r + c * s->col_in), 4);
    } else {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++)
                memcpy(dst + 2 * (r * s->row_out + c), src + 2 * (r + c * s->col_in), 2);
    }
}

static void turn_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct turn *s = arg;
    for (int64_t u = begin; u < end; u++) {
        struct ml_walk from = s->from, to = s->to;
        int64_t strip = u % s->col_strips, block = u / s->col_strips % s->row_blocks;
        ml_walk_seek(&from, u / s->col_strips / s->row_blocks);
        ml_walk_seek(&to, u / s->col_strips / s->row_blocks);
        int64_t r = block * TILE, rows = min_i64(TILE, s->rows - r);
        int64_t c_end = min_i64(s->cols, (strip + 1) * STRIP);
        for (int64_t c = strip * STRIP; c < c_end; c += TILE) {
            char *dst = s->dst + (size_t)(to.offset + r * s->row_out + c) * s->size;
            const char *src = s->src + (size_t)(from.offset + r + c * s->col_in) * s->size;
            turn_tile(s, dst, src, rows, min_i64(TILE, c_end - c));
        }
    }
}

/* x's innermost dimension lies at `row` of the result, and the result's innermost is another. */
static void run_turn(struct ml_run *run, struct ml_tensor *t, const struct ml_walk *w, int row)
{
    int last = w->ndim - 1;
    struct turn s = {
        .rows = w->dim[row],
        .cols = w->dim[last],
        .col_in = w->stride[last],
        .row_blocks = (w->dim[row] + TILE - 1) / TILE,
        .col_strips = (w->dim[last] + STRIP - 1) / STRIP,
        .size = ml_dtype_size(t->dtype),
        .dst = t->data,
        .src = t->src[0]->data,
    };
    int64_t out[ML_MAX_DIMS] = {0}, stride = 1;
    for (int i = last; i >= 0; i--) {
        out[i] = stride;
        stride *= w->dim[i];
    }
    s.row_out = out[row];
    for (int i = 0; i < last; i++) { /* not ml_walk_push: both walks must keep the same places */
        if (i == row)
            continue;
        int n = s.from.ndim++;
        s.to.ndim = s.from.ndim;
        s.from.dim[n] = s.to.dim[n] = w->dim[i];
        s.from.stride[n] = w->stride[i];
        s.to.stride[n] = out[i];
    }
    int64_t units = ml_walk_count(&s.from) * s.row_blocks * s.col_strips;
    ml_parallel(run, units, grain_of(min_i64(TILE, s.rows) * min_i64(STRIP, s.cols)), turn_range,
                &s);
}

static void run_gather(struct ml_run *run, struct ml_tensor *t, struct ml_walk *w)
{
    int last = w->ndim - 1;
    if (ml_count(t) == 0)
        return;
    if (last >= 0 && w->stride[last] > 1)
        for (int i = 0; i < last; i++)
            if (w->stride[i] == 1) {
                run_turn(run, t, w, i);
                return;
            }
    struct gather s = {
        .run = 1,
        .stride = 1,
        .size = ml_dtype_size(t->dtype),
        .dst = t->data,
        .src = t->src[0]->data,
    };
    if (last >= 0 && w->stride[last] <= 1) {
        s.run = w->dim[last];
        s.stride = w->stride[last];
        w->ndim--;
    }
    s.outer = *w;
    s.pieces = (s.run + PIECE - 1) / PIECE;
    ml_parallel(run, ml_walk_count(w) * s.pieces, grain_of(min_i64(s.run, PIECE)), gather_rows, &s);
}

/* ---- permute ---- */

static int permute_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    const int *order = ml_attr(t, struct permute_attr)->order;
    unsigned seen = 0;
    for (int i = 0; i < x->ndim; i++) {
        if (order[i] < 0 || order[i] >= x->ndim || (seen >> order[i] & 1))
            return ml_shape_fail(g, t, "axis %d stands at place %d of an order of %d axes",
                                 order[i], i, x->ndim);
        seen |= 1u << order[i];
        t->dim[i] = x->dim[order[i]];
    }
    t->dtype = x->dtype;
    t->ndim = x->ndim;
    return 0;
}

static void permute_forward(struct ml_run *run, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    const int *order = ml_attr(t, struct permute_attr)->order;
    int64_t stride[ML_MAX_DIMS], total = 1;
    for (int i = x->ndim - 1; i >= 0; i--) {
        stride[i] = total;
        total *= x->dim[i];
    }
    struct ml_walk w = {0};
    for (int i = 0; i < t->ndim; i++)
        ml_walk_push(&w, t->dim[i], stride[order[i]]);
    run_gather(run, t, &w);
}

static void permute_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                             struct ml_tensor **dsrc)
{
    const int *order = ml_attr(t, struct permute_attr)->order;
    int inverse[ML_MAX_DIMS] = {0};
    for (int i = 0; i < t->ndim; i++)
        inverse[order[i]] = i;
    dsrc[0] = ml_permute(g, dt, inverse);
}

const struct ml_op ml_op_permute = {
    .name = "permute",
    .what = "axes in another order",
    .min_src = 1,
    .max_src = 1,
    .shape = permute_shape,
    .forward = permute_forward,
    .backward = permute_backward,
    .flops = no_flops,
};

struct ml_tensor *ml_permute(struct ml_graph *g, struct ml_tensor *x, const int *order)
{
    struct permute_attr attr = {{0}};
    for (int i = 0; i < x->ndim; i++)
        attr.order[i] = order[i];
    return ml_node(g, ML_OP_PERMUTE, &x, 1, &attr, sizeof attr);
}

struct ml_tensor *ml_transpose(struct ml_graph *g, struct ml_tensor *x, int a, int b)
{
    int order[ML_MAX_DIMS];
    for (int i = 0; i < ML_MAX_DIMS; i++)
        order[i] = i == a ? b : i == b ? a : i;
    if (a < 0 || a >= x->ndim) /* the shape rule names what is wrong */
        order[0] = a;
    else if (b < 0 || b >= x->ndim)
        order[0] = b;
    return ml_permute(g, x, order);
}

/* ---- broadcast ---- */

static int broadcast_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    const struct broadcast_attr *a = ml_attr(t, struct broadcast_attr);
    if (a->ndim > ML_MAX_DIMS || a->ndim < x->ndim)
        return ml_shape_fail(g, t, "cannot become %d dimensions", a->ndim);
    t->dtype = x->dtype;
    t->ndim = a->ndim;
    for (int i = 0; i < a->ndim; i++) {
        int from = i - (a->ndim - x->ndim);
        t->dim[i] = a->dim[i];
        if (a->dim[i] < 0)
            return ml_shape_fail(g, t, "wanted dimension %d is negative", i);
        if (from >= 0 && x->dim[from] != 1 && x->dim[from] != a->dim[i])
            return ml_shape_fail(g, t, "dimension %d has length %lld, wanted is %lld", from,
                                 (long long)x->dim[from], (long long)a->dim[i]);
    }
    return 0;
}

static void broadcast_forward(struct ml_run *run, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    int64_t stride[ML_MAX_DIMS] = {0}, total = 1;
    for (int i = x->ndim - 1; i >= 0; i--) {
        stride[i + t->ndim - x->ndim] = x->dim[i] == 1 ? 0 : total;
        total *= x->dim[i];
    }
    struct ml_walk w = {0};
    for (int i = 0; i < t->ndim; i++)
        ml_walk_push(&w, t->dim[i], stride[i]);
    run_gather(run, t, &w);
}

static void broadcast_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                               struct ml_tensor **dsrc)
{
    dsrc[0] = ml_sum_to(g, dt, t->src[0]);
}

const struct ml_op ml_op_broadcast = {
    .name = "broadcast",
    .what = "repeated along axes of length 1 and new leading axes, as NumPy does",
    .min_src = 1,
    .max_src = 1,
    .shape = broadcast_shape,
    .forward = broadcast_forward,
    .backward = broadcast_backward,
    .flops = no_flops,
};

struct ml_tensor *ml_broadcast(struct ml_graph *g, struct ml_tensor *x, int ndim,
                               const int64_t *dims)
{
    struct broadcast_attr attr = {.ndim = ndim};
    bool same = ndim == x->ndim;
    for (int i = 0; i < ndim && i < ML_MAX_DIMS; i++) {
        attr.dim[i] = dims[i];
        same = same && dims[i] == x->dim[i];
    }
    return same ? x : ml_node(g, ML_OP_BROADCAST, &x, 1, &attr, sizeof attr);
}

/* ---- concat and slice: rows copied between two pitches ---- */

struct copy {
    int64_t rows, width, pieces;  /* elements a row; pieces of at most PIECE in it */
    int64_t dst_pitch, src_pitch; /* elements between rows */
    size_t size;
    char *dst;
    const char *src;
};

static void copy_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const struct copy *s = arg;
    for (int64_t u = begin; u < end; u++) {
        int64_t row = u / s->pieces, at = u % s->pieces * PIECE;
        memcpy(s->dst + (size_t)(row * s->dst_pitch + at) * s->size,
               s->src + (size_t)(row * s->src_pitch + at) * s->size,
               (size_t)min_i64(PIECE, s->width - at) * s->size);
    }
}

static void run_copy(struct ml_run *run, struct copy *s)
{
    if (s->width == 0)
        return;
    if (s->width == s->dst_pitch && s->width == s->src_pitch) {
        s->width *= s->rows;
        s->rows = 1;
    }
    s->pieces = (s->width + PIECE - 1) / PIECE;
    ml_parallel(run, s->rows * s->pieces, grain_of(min_i64(s->width, PIECE)), copy_range, s);
}

/* Elements of the dimensions [begin, end). */
static int64_t span(const struct ml_tensor *t, int begin, int end)
{
    int64_t count = 1;
    for (int i = begin; i < end; i++)
        count *= t->dim[i];
    return count;
}

static int concat_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *first = t->src[0];
    int axis = ml_attr(t, struct slice_attr)->axis;
    if (axis < 0 || axis >= first->ndim)
        return ml_shape_fail(g, t, "axis %d of %d dimensions", axis, first->ndim);
    t->dtype = first->dtype;
    t->ndim = first->ndim;
    memcpy(t->dim, first->dim, sizeof t->dim);
    for (int s = 1; s < t->nsrc; s++) {
        const struct ml_tensor *x = t->src[s];
        if (x->dtype != first->dtype || x->ndim != first->ndim)
            return ml_shape_fail(g, t, "part %d differs in type or number of dimensions", s);
        for (int i = 0; i < x->ndim; i++)
            if (i != axis && x->dim[i] != first->dim[i])
                return ml_shape_fail(g, t, "part %d differs in dimension %d", s, i);
        t->dim[axis] += x->dim[axis];
    }
    return 0;
}

static void concat_forward(struct ml_run *run, struct ml_tensor *t)
{
    int axis = ml_attr(t, struct slice_attr)->axis;
    int64_t inner = span(t, axis + 1, t->ndim), at = 0;
    for (int i = 0; i < t->nsrc; i++) {
        struct copy s = {
            .rows = span(t, 0, axis),
            .width = t->src[i]->dim[axis] * inner,
            .dst_pitch = t->dim[axis] * inner,
            .src_pitch = t->src[i]->dim[axis] * inner,
            .size = ml_dtype_size(t->dtype),
            .src = t->src[i]->data,
        };
        s.dst = (char *)t->data + (size_t)at * s.size;
        at += s.width;
        run_copy(run, &s);
    }
}

static void concat_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                            struct ml_tensor **dsrc)
{
    int axis = ml_attr(t, struct slice_attr)->axis;
    int64_t start = 0;
    for (int i = 0; i < t->nsrc; i++) {
        int64_t length = t->src[i]->dim[axis];
        if (ml_wants_grad(t->src[i]))
            dsrc[i] = ml_slice(g, dt, axis, start, length);
        start += length;
    }
}

const struct ml_op ml_op_concat = {
    .name = "concat",
    .what = "several tensors one after the other along an axis",
    .min_src = 1,
    .max_src = ML_MAX_SRC,
    .shape = concat_shape,
    .forward = concat_forward,
    .backward = concat_backward,
    .flops = no_flops,
};

struct ml_tensor *ml_concat(struct ml_graph *g, struct ml_tensor *const *parts, int n, int axis)
{
    struct slice_attr attr = {.axis = axis};
    if (n < 1 || n > ML_MAX_SRC) {
        ml_fail(&g->error, ML_ERR_SHAPE, "concat: %d parts, from 1 to %d are possible", n,
                ML_MAX_SRC);
        return &g->poison;
    }
    return ml_node(g, ML_OP_CONCAT, parts, n, &attr, sizeof attr);
}

static int slice_shape(struct ml_graph *g, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    const struct slice_attr *a = ml_attr(t, struct slice_attr);
    if (a->axis < 0 || a->axis >= x->ndim)
        return ml_shape_fail(g, t, "axis %d of %d dimensions", a->axis, x->ndim);
    if (a->start < 0 || a->length < 0 || a->start > x->dim[a->axis] ||
        a->length > x->dim[a->axis] - a->start)
        return ml_shape_fail(g, t, "%lld from %lld on do not lie within axis %d",
                             (long long)a->length, (long long)a->start, a->axis);
    t->dtype = x->dtype;
    t->ndim = x->ndim;
    memcpy(t->dim, x->dim, sizeof t->dim);
    t->dim[a->axis] = a->length;
    return 0;
}

static void slice_forward(struct ml_run *run, struct ml_tensor *t)
{
    const struct ml_tensor *x = t->src[0];
    const struct slice_attr *a = ml_attr(t, struct slice_attr);
    int64_t inner = span(x, a->axis + 1, x->ndim);
    struct copy s = {
        .rows = span(x, 0, a->axis),
        .width = a->length * inner,
        .dst_pitch = a->length * inner,
        .src_pitch = x->dim[a->axis] * inner,
        .size = ml_dtype_size(t->dtype),
        .dst = t->data,
    };
    s.src = (const char *)x->data + (size_t)(a->start * inner) * s.size;
    run_copy(run, &s);
}

/* What was left out has no influence: zeros stand in its place. */
static void slice_backward(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                           struct ml_tensor **dsrc)
{
    const struct slice_attr *a = ml_attr(t, struct slice_attr);
    int64_t after = t->src[0]->dim[a->axis] - a->start - a->length;
    dsrc[0] = ml_pad(g, dt, a->axis, a->start, after, ML_PAD_ZERO);
}

const struct ml_op ml_op_slice = {
    .name = "slice",
    .what = "a range of one axis",
    .min_src = 1,
    .max_src = 1,
    .shape = slice_shape,
    .forward = slice_forward,
    .backward = slice_backward,
    .flops = no_flops,
};

struct ml_tensor *ml_slice(struct ml_graph *g, struct ml_tensor *x, int axis, int64_t start,
                           int64_t length)
{
    struct slice_attr attr = {.axis = axis, .start = start, .length = length};
    if (axis >= 0 && axis < x->ndim && start == 0 && length == x->dim[axis])
        return x;
    return ml_node(g, ML_OP_SLICE, &x, 1, &attr, sizeof attr);
}
