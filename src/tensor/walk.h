/* Walking a tensor's memory in an order that is not its own: up to ML_MAX_DIMS dimensions with
 * strides in elements, simplified so that the loops inside are as long as they can be. */
#ifndef ML_TENSOR_WALK_H
#define ML_TENSOR_WALK_H

#include "tensor/tensor.h"

struct ml_walk {
    int ndim;
    int64_t dim[ML_MAX_DIMS], stride[ML_MAX_DIMS], at[ML_MAX_DIMS];
    int64_t offset; /* sum of at * stride */
};

/* Appends a dimension inside those that are there. Dimensions of length 1 vanish, and one that
 * continues the last in memory is merged with it. */
static inline void ml_walk_push(struct ml_walk *w, int64_t dim, int64_t stride)
{
    if (dim == 1)
        return;
    int last = w->ndim - 1;
    if (w->ndim > 0 && w->stride[last] == dim * stride) {
        w->dim[last] *= dim;
        w->stride[last] = stride;
        return;
    }
    w->dim[w->ndim] = dim;
    w->stride[w->ndim++] = stride;
}

static inline int64_t ml_walk_count(const struct ml_walk *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->ndim; i++)
        count *= w->dim[i];
    return count;
}

/* To the index-th place, the last dimension running fastest. All dimensions are positive. */
static inline void ml_walk_seek(struct ml_walk *w, int64_t index)
{
    w->offset = 0;
    for (int i = w->ndim - 1; i >= 0; i--) {
        w->at[i] = index % w->dim[i];
        index /= w->dim[i];
        w->offset += w->at[i] * w->stride[i];
    }
}

static inline void ml_walk_next(struct ml_walk *w)
{
    for (int i = w->ndim - 1; i >= 0; i--) {
        w->offset += w->stride[i];
        if (++w->at[i] < w->dim[i])
            return;
        w->offset -= w->dim[i] * w->stride[i];
        w->at[i] = 0;
    }
}

#endif
