/* A graph of tensors in the order in which they are computed. Built once for a set of shapes, then
 * planned (plan.h) and run many times.
 *
 * Errors are sticky: the first mistake is kept in graph->error with the op's name and shapes, every
 * later call returns a poisoned tensor, and ml_plan_new reports it. Model code checks nothing. */
#ifndef ML_TENSOR_GRAPH_H
#define ML_TENSOR_GRAPH_H

#include "base/arena.h"
#include "tensor/tensor.h"

struct ml_graph {
    struct ml_arena *arena; /* owns nodes; outlives the graph */
    struct ml_tensor **nodes;
    int count, capacity;
    int block, blocks;     /* current recompute block (0: none) and how many were opened */
    enum ml_dtype compute; /* dtype of activations: ML_F32 or ML_BF16 */
    bool training;         /* dropout is on */
    uint32_t draws;        /* random nodes so far: each gets its own stream */
    struct ml_error error;
    struct ml_tensor poison; /* what every call returns once there is an error */
};

void ml_graph_init(struct ml_graph *g, struct ml_arena *arena);

/* Leaves. data may be NULL and set (t->data) before running. dims are copied. */
struct ml_tensor *ml_leaf(struct ml_graph *g, const char *name, enum ml_dtype dtype, int ndim,
                          const int64_t *dims, void *data);
struct ml_tensor *ml_leaf_param(struct ml_graph *g, const char *name, enum ml_dtype dtype, int ndim,
                                const int64_t *dims, void *data);

/* Everything built between begin and end is computed again in the backward pass instead of being
 * kept (gradient checkpointing, Chen et al., arXiv:1604.06174). Blocks do not nest. */
void ml_block_begin(struct ml_graph *g);
void ml_block_end(struct ml_graph *g);

/* Appends the backward graph of the scalar `loss`; grads[i] becomes the gradient of wrt[i] (same
 * shape, same dtype; zeros where the loss does not depend on it). */
int ml_grad(struct ml_graph *g, struct ml_tensor *loss, struct ml_tensor *const *wrt, int n,
            struct ml_tensor **grads);

/* For op files: a new node with n sources (NULL allowed), not yet shaped; poisoned once the graph
 * has an error. attr may be NULL. Runs the op's shape rule. */
struct ml_tensor *ml_node(struct ml_graph *g, int op, struct ml_tensor *const *src, int n,
                          const void *attr, size_t attr_bytes);
/* For shape rules: "op_name: message" with the sources' shapes appended. Returns ML_ERR_SHAPE. */
int ml_shape_fail(struct ml_graph *g, const struct ml_tensor *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One line a node, for people. */
int ml_graph_print(const struct ml_graph *g, struct ml_buffer *out, struct ml_error *err);

#endif
