/* The list of ops: enum ml_op_id, the table in op.c and the declarations all come from it. Each row
 * itself, `const struct ml_op ml_op_NAME`, stands in the op_*.c file named here. */
#ifndef ML_TENSOR_OP_ROWS_H
#define ML_TENSOR_OP_ROWS_H

#define ML_OP_ROWS(X)                                                                              \
    /* op.c */                                                                                     \
    X(POISON, poison)                                                                              \
    X(LEAF, leaf)                                                                                  \
    /* op_view.c */                                                                                \
    X(RESHAPE, reshape)                                                                            \
    X(VIEW, view)                                                                                  \
    X(CAST, cast)                                                                                  \
    /* op_shape.c, op_pad.c */                                                                     \
    X(PERMUTE, permute)                                                                            \
    X(CONCAT, concat)                                                                              \
    X(SLICE, slice)                                                                                \
    X(PAD, pad)                                                                                    \
    X(PAD_GRAD, pad_grad)                                                                          \
    X(BROADCAST, broadcast)                                                                        \
    /* op_elementwise.c */                                                                         \
    X(UNARY, unary)                                                                                \
    X(UNARY_GRAD, unary_grad)                                                                      \
    X(BINARY, binary)                                                                              \
    X(AFFINE, affine)                                                                              \
    X(SWIGLU, swiglu)                                                                              \
    X(SWIGLU_GRAD, swiglu_grad)                                                                    \
    X(DROPOUT, dropout)                                                                            \
    X(FILL, fill)                                                                                  \
    /* op_reduce.c */                                                                              \
    X(REDUCE, reduce)                                                                              \
    X(REDUCE_MAX_GRAD, reduce_max_grad)                                                            \
    X(SUM_TO, sum_to)                                                                              \
    /* op_matmul.c */                                                                              \
    X(MATMUL, matmul)                                                                              \
    X(LINEAR, linear)                                                                              \
    /* op_norm.c */                                                                                \
    X(RMSNORM, rmsnorm)                                                                            \
    X(RMSNORM_GRAD, rmsnorm_grad)                                                                  \
    X(LAYERNORM, layernorm)                                                                        \
    X(LAYERNORM_GRAD, layernorm_grad)                                                              \
    X(GROUPNORM, groupnorm)                                                                        \
    X(GROUPNORM_GRAD, groupnorm_grad)                                                              \
    X(SOFTMAX, softmax)                                                                            \
    X(SOFTMAX_GRAD, softmax_grad)                                                                  \
    /* op_attention.c */                                                                           \
    X(ATTENTION, attention)                                                                        \
    X(ATTENTION_GRAD, attention_grad)                                                              \
    X(CACHE_WRITE, cache_write)                                                                    \
    /* op_token.c */                                                                               \
    X(EMBEDDING, embedding)                                                                        \
    X(EMBEDDING_GRAD, embedding_grad)                                                              \
    X(ROPE, rope)                                                                                  \
    /* op_loss.c */                                                                                \
    X(CROSS_ENTROPY, cross_entropy)                                                                \
    X(CROSS_ENTROPY_GRAD, cross_entropy_grad)                                                      \
    X(MSE, mse)                                                                                    \
    X(MSE_GRAD, mse_grad)                                                                          \
    /* op_conv.c: 1D is 2D with height 1 */                                                        \
    X(CONV2D, conv2d)                                                                              \
    X(CONV2D_DX, conv2d_dx)                                                                        \
    X(CONV2D_DW, conv2d_dw)                                                                        \
    /* op_image.c */                                                                               \
    X(UPSAMPLE, upsample)                                                                          \
    X(UPSAMPLE_GRAD, upsample_grad)

enum ml_op_id {
#define ML_OP_ID(ID, name) ML_OP_##ID,
    ML_OP_ROWS(ML_OP_ID)
#undef ML_OP_ID
        ML_OP_COUNT
};

struct ml_op;
#define ML_OP_DECLARE(ID, name) extern const struct ml_op ml_op_##name;
ML_OP_ROWS(ML_OP_DECLARE)
#undef ML_OP_DECLARE

#endif
