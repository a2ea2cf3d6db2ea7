/* Inside the matrix product: the end of a strip, and the paths of skinny shapes. */
#ifndef ML_KERNEL_GEMM_PARTS_H
#define ML_KERNEL_GEMM_PARTS_H

#include "kernel/gemm.h"

/* What becomes of finished sums: c = act(base + alpha * sum + bias). */
struct ml_gemm_out {
    void *c;
    enum ml_dtype c_dtype;
    int64_t c_row;
    const void *base; /* f32 or bf16 matrix of C's shape that is added, or NULL; may be C itself */
    enum ml_dtype base_dtype;
    int64_t base_row;
    float alpha;
    const float *bias;
    enum ml_act act;
};

void ml_gemm_out_init(struct ml_gemm_out *out, const struct ml_gemm *g);

/* Finishes rows x cols sums (row stride ld >= cols; overwritten, all ld columns) that belong at
 * (row, col) of C. */
void ml_gemm_finish(const struct ml_kernels *k, const struct ml_gemm_out *out, float *sums,
                    int64_t ld, int64_t row, int64_t rows, int64_t col, int64_t cols);

/* Base (another matrix than C), bias and activation alone, on sums that stand in C (f32) already:
 * rows [row, end), cols columns from col. */
void ml_gemm_finish_rows(const struct ml_kernels *k, const struct ml_gemm_out *out, int64_t row,
                         int64_t end, int64_t col, int64_t cols);

/* Shapes for which packing costs more than the product. */
enum ml_skinny {
    ML_SKINNY_NOT,
    ML_SKINNY_ROWS, /* few rows, B's k adjacent: gemv over B, weights [n,k] */
    ML_SKINNY_ADD,  /* few rows, B's n adjacent: sums of scaled rows of B */
    ML_SKINNY_COLS, /* few columns, A's k adjacent: gemv over A */
};

enum ml_skinny ml_gemm_skinny(const struct ml_gemm *g);
size_t ml_gemm_skinny_scratch(const struct ml_gemm *g, enum ml_skinny kind, int threads);
void ml_gemm_skinny_run(const struct ml_kernels *k, const struct ml_gemm *g, enum ml_skinny kind,
                        struct ml_pool *pool, void *scratch);

/* `rows` rows of k numbers as adjacent f32, from a matrix of any type: rows step, numbers deep
 * elements apart. */
void ml_gemm_as_f32(const struct ml_kernels *k, const struct ml_matrix *x, int64_t rows,
                    int64_t step, int64_t depth, int64_t deep, float *to);

/* gemm_panels.c: B is packed already. */
size_t ml_gemm_panels_scratch(const struct ml_kernels *k, const struct ml_gemm *g, int threads);
void ml_gemm_panels_run(const struct ml_kernels *k, const struct ml_gemm *g, struct ml_pool *pool,
                        void *scratch);

#endif
