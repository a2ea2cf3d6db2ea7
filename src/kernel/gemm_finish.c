#include <string.h>

#include "kernel/gemm_parts.h"

void ml_gemm_out_init(struct ml_gemm_out *out, const struct ml_gemm *g)
{
    *out = (struct ml_gemm_out){
        .c = g->c,
        .c_dtype = g->c_dtype,
        .c_row = g->c_row,
        .base = g->accumulate ? g->c : g->base.data,
        .base_dtype = g->accumulate ? ML_F32 : g->base.dtype,
        .base_row = g->accumulate ? g->c_row : g->base.row,
        .alpha = g->alpha == 0.0f ? 1.0f : g->alpha,
        .bias = g->bias,
        .act = g->act,
    };
}

/* Adds n numbers of the base at (row, col). */
static void add_base(const struct ml_kernels *k, const struct ml_gemm_out *out, float *sums,
                     int64_t row, int64_t col, int64_t n)
{
    int64_t at = row * out->base_row + col;
    if (out->base_dtype == ML_F32) {
        k->binary[ML_BINARY_ADD](n, sums, sums, (const float *)out->base + at);
        return;
    }
    float some[256];
    for (int64_t i = 0; i < n; i += 256) {
        int64_t m = n - i < 256 ? n - i : 256;
        k->bf16_to_f32(m, some, (const ml_bf16 *)out->base + at + i);
        k->binary[ML_BINARY_ADD](m, sums + i, sums + i, some);
    }
}

void ml_gemm_finish(const struct ml_kernels *k, const struct ml_gemm_out *out, float *sums,
                    int64_t ld, int64_t row, int64_t rows, int64_t col, int64_t cols)
{
    void (*add)(int64_t, float *, const float *, const float *) = k->binary[ML_BINARY_ADD];
    if (out->alpha != 1.0f)
        k->binary_scalar[ML_BINARY_MUL](rows * ld, sums, sums, out->alpha);
    for (int64_t i = 0; i < rows && out->base; i++)
        add_base(k, out, sums + i * ld, row + i, col, cols);
    for (int64_t i = 0; i < rows && out->bias; i++)
        add(cols, sums + i * ld, sums + i * ld, out->bias + col);
    if (out->act != ML_ACT_NONE)
        k->unary[ml_act_unary(out->act)](rows * ld, sums, sums);
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = (row + i) * out->c_row + col;
        if (out->c_dtype == ML_BF16)
            k->f32_to_bf16(cols, (ml_bf16 *)out->c + at, sums + i * ld);
        else
            memcpy((float *)out->c + at, sums + i * ld, (size_t)cols * sizeof(float));
    }
}

void ml_gemm_finish_rows(const struct ml_kernels *k, const struct ml_gemm_out *out, int64_t row,
                         int64_t end, int64_t col, int64_t cols)
{
    for (; row < end; row++) {
        float *c = (float *)out->c + row * out->c_row + col;
        if (out->base && out->base != out->c)
            add_base(k, out, c, row, col, cols);
        if (out->bias)
            k->binary[ML_BINARY_ADD](cols, c, c, out->bias + col);
        if (out->act != ML_ACT_NONE)
            k->unary[ml_act_unary(out->act)](cols, c, c);
    }
}
