/* For ops whose gradient has several results: they come packed in one flat f32 tensor [d0 | d1 |
 * ...] and are taken out as views. And for scratch that is cut into pieces. */
#ifndef ML_TENSOR_OP_PACKED_H
#define ML_TENSOR_OP_PACKED_H

#include "base/arena.h"
#include "tensor/graph.h"
#include "tensor/ops.h"

/* `like`'s gradient: its shape and dtype, `offset` elements into packed. */
static inline struct ml_tensor *ml_packed_part(struct ml_graph *g, struct ml_tensor *packed,
                                               int64_t offset, const struct ml_tensor *like)
{
    return ml_cast(g, ml_view(g, packed, offset, like->ndim, like->dim), like->dtype);
}

/* Reserves `bytes` in a layout that is `*total` bytes long so far; returns the piece's offset. */
static inline size_t ml_scratch_piece(size_t *total, size_t bytes)
{
    size_t at = *total;
    *total += (bytes + ML_ALIGN - 1) / ML_ALIGN * ML_ALIGN;
    return at;
}

#endif
