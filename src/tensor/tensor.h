/* A tensor is a node of a graph: its shape, how it is computed, and, after planning, where its
 * numbers are. Row-major and contiguous, always: dim[0] is the slowest. */
#ifndef ML_TENSOR_TENSOR_H
#define ML_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/dtype.h"

#define ML_MAX_DIMS   6
#define ML_MAX_SRC    8
#define ML_ATTR_BYTES 128

enum ml_tensor_flag {
    ML_LEAF = 1,       /* data comes from outside (parameter, input, cache) */
    ML_PARAM = 2,      /* a leaf that wants a gradient */
    ML_NEEDS_GRAD = 4, /* depends on a parameter */
    ML_ALIAS = 8,      /* shares the memory of src[0] (reshape, view, in-place write) */
    ML_EFFECT = 16,    /* writes into a leaf: runs even when nothing reads it */
    ML_DEFERRED = 32,  /* a later step computes it, too (fuse.h) */
    ML_INSIDE = 128,   /* a later step computes it and keeps its numbers to itself (fuse.h) */
    ML_PANELS = 64, /* a leaf [n,k] packed for products (kernel/gemm.h): for x w' and rows alone */
};

struct ml_tensor {
    enum ml_dtype dtype;
    int op; /* enum ml_op_id */
    int ndim;
    int64_t dim[ML_MAX_DIMS];
    int nsrc;
    struct ml_tensor *src[ML_MAX_SRC]; /* a NULL source is an absent option (no bias) */
    _Alignas(
        8) unsigned char attr[ML_ATTR_BYTES]; /* the op's own settings: ml_attr(t, struct ...) */
    unsigned flags;
    int id;    /* position in the graph */
    int block; /* recompute block it was built in, 0 for none */
    const char *name;
    void *data;   /* leaf: set by its owner; others: set by the plan */
    float *aux;   /* what the forward keeps for the backward (row statistics), set by the plan */
    void *remote; /* data and aux on an accelerator, set by its plan when running */
    float *remote_aux;
    struct ml_tensor *grad; /* scratch of ml_grad */
    struct ml_tensor *with; /* an earlier step that is computed with this one (fuse.h), or NULL */
    int64_t aux_count;      /* floats, set by the op's shape rule */
};

#define ml_attr(t, type) ((type *)(void *)(t)->attr)

int64_t ml_count(const struct ml_tensor *t); /* elements */
size_t ml_bytes(const struct ml_tensor *t);
int64_t ml_rows(const struct ml_tensor *t);  /* product of all but the last dimension */
int64_t ml_width(const struct ml_tensor *t); /* the last dimension; 1 for a scalar */
bool ml_same_shape(const struct ml_tensor *a, const struct ml_tensor *b);
/* "[16,256,384] bf16": writes at most n bytes, returns buffer. */
char *ml_shape_text(const struct ml_tensor *t, char *buffer, size_t n);

#endif
