/* The settings of each op, as they lie in a node's attr: read by the op's own file and by devices
 * that run the op another way (src/cuda). The constructors in ops.h fill them in. */
#ifndef ML_TENSOR_OP_ATTR_H
#define ML_TENSOR_OP_ATTR_H

#include "tensor/ops.h"

/* op_elementwise.c */
struct affine_attr {
    float scale, shift;
};

struct dropout_attr {
    float p;
    uint32_t stream;
};

struct fill_attr {
    int dtype, ndim;
    int64_t dim[ML_MAX_DIMS];
    float value;
};

/* op_image.c */
struct upsample_attr {
    int kind; /* enum ml_upsample */
    int scale[2];
};

/* op_loss.c */
struct loss_attr {
    float smoothing;
    bool want_h, want_w; /* of the gradient */
};

/* op_norm.c */
struct norm_attr {
    float eps;
    int groups;
    bool silu;           /* of groupnorm: y = silu(norm) */
    bool want_w, want_b; /* of a gradient op */
};

/* op_pad.c */
struct pad_attr {
    int axis, mode; /* enum ml_pad_mode */
    int64_t before, after;
};

/* op_reduce.c */
struct reduce_attr {
    int kind; /* enum ml_reduce */
    unsigned axes;
    int dtype;                /* of the result */
    int ndim;                 /* sum_to: the shape of the result */
    int64_t dim[ML_MAX_DIMS]; /* likewise */
};

/* op_shape.c */
struct permute_attr {
    int order[ML_MAX_DIMS];
};

struct broadcast_attr {
    int ndim;
    int64_t dim[ML_MAX_DIMS];
};

struct slice_attr {
    int axis;
    int64_t start, length; /* concat uses the axis alone */
};

/* op_token.c */
struct rope_attr {
    struct ml_rope rope; /* defaults filled in by the shape rule */
    float sign;
};

/* op_view.c */
struct view_attr {
    int64_t offset; /* elements */
    int ndim;
    int64_t dim[ML_MAX_DIMS];
};

/* op_attention.c */
struct attention_attr {
    bool causal;
    float scale;
};

#endif
