/* An op is one row: name, shape rule, forward, backward, flops. Printing, checking, testing and
 * documentation iterate the rows. An op with a backward has a numeric gradient check
 * (tests/tensor/), or it does not land. The rows stand in the op_*.c files; op.c lists them. */
#ifndef ML_TENSOR_OP_H
#define ML_TENSOR_OP_H

#include "kernel/gemm.h"
#include "tensor/device.h"
#include "tensor/graph.h"
#include "tensor/op_rows.h"

/* What a forward may use. */
struct ml_run {
    const struct ml_kernels *k;
    struct ml_pool *pool;
    int threads;
    void *scratch;        /* as many bytes as the op's scratch() asked for; 64-byte aligned */
    uint64_t seed;        /* of this run: dropout and the like */
    struct ml_error *err; /* set by a forward that meets bad data (a token id out of range) */
};

struct ml_op {
    const char *name;
    const char *what; /* one line for people */
    int min_src, max_src;
    /* Sets dtype, ndim, dim, aux_count of t from its sources and attributes; 0, or
     * ml_shape_fail(...). */
    int (*shape)(struct ml_graph *g, struct ml_tensor *t);
    /* Computes t->data (and t->aux) from the sources. */
    void (*forward)(struct ml_run *run, struct ml_tensor *t);
    /* Appends nodes; sets dsrc[i] to the gradient of src[i], or leaves it NULL where there is none
     * or ml_wants_grad(t->src[i]) is false. NULL: no gradient flows through this op. */
    void (*backward)(struct ml_graph *g, struct ml_tensor *t, struct ml_tensor *dt,
                     struct ml_tensor **dsrc);
    int64_t (*flops)(const struct ml_tensor *t); /* NULL: one per element */
    size_t (*scratch)(const struct ml_kernels *k, const struct ml_tensor *t,
                      int threads); /* NULL: 0 */
    unsigned in_place; /* bit i: the output may overwrite source i when nothing else needs it */
};

const struct ml_op *ml_op_get(int op); /* never NULL for a valid id */
static inline bool ml_wants_grad(const struct ml_tensor *t)
{
    return t && (t->flags & ML_NEEDS_GRAD);
}

/* Rows of numbers in any dtype as f32: returns src itself where it is f32, else converts n elements
 * starting at element `offset` into buffer. */
const float *ml_load(const struct ml_kernels *k, const struct ml_tensor *t, int64_t offset,
                     int64_t n, float *buffer);
/* Where to write n f32 results for elements [offset, offset + n): the tensor itself or buffer... */
float *ml_store_begin(const struct ml_tensor *t, int64_t offset, float *buffer);
/* ...and the conversion back, after they were written there. */
void ml_store_end(const struct ml_kernels *k, const struct ml_tensor *t, int64_t offset, int64_t n,
                  const float *buffer);

/* Calls fn on [0, n) in ranges of `grain` over the pool: boundaries depend on n and grain alone. */
typedef void ml_range_fn(void *arg, int64_t begin, int64_t end, int worker);
void ml_parallel(struct ml_run *run, int64_t n, int64_t grain, ml_range_fn *fn, void *arg);

#define ML_CHUNK 1024 /* elements that elementwise loops convert at a time */

#endif
