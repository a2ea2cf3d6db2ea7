/* Plain C for every slot of the kernel table: the meaning that every other variant is tested
 * against, and the fallback on processors without one. */
#ifndef ML_KERNEL_REF_H
#define ML_KERNEL_REF_H

#include "kernel/table.h"

/* Each fills its part of the table. */
void ml_ref_unary(struct ml_kernels *out);
void ml_ref_elementwise(struct ml_kernels *out);
void ml_ref_rows(struct ml_kernels *out);
void ml_ref_convert(struct ml_kernels *out);
void ml_ref_gemm(struct ml_kernels *out);
void ml_ref_gemm_i8(struct ml_kernels *out);
void ml_ref_winograd(struct ml_kernels *out);

/* How numbers from low <= 0 to high >= 0 become 0 ... 255: q = round(x * inverse) + zero. `finite`
 * false, or a range that is infinite: a scale of NaN, and zeros. */
struct ml_u8_scale {
    float scale, inverse;
    int32_t zero;
};
struct ml_u8_scale ml_u8_scale(float low, float high, bool finite);

/* Packing for a panel of any width and any strides (the slow path of every variant): layout
 * [k][width], and [ceil(k/2)][width][2], zeros where rows or k end. */
void ml_ref_pack_f32(int width, float *panel, const void *src, enum ml_dtype type, int64_t si,
                     int64_t sp, int64_t rows, int64_t k);
void ml_ref_pack_bf16(int width, ml_bf16 *panel, const void *src, enum ml_dtype type, int64_t si,
                      int64_t sp, int64_t rows, int64_t k);
/* n numbers that lie si apart, as bf16 side by side. */
void ml_ref_pack_bf16_row(ml_bf16 *to, const void *src, enum ml_dtype type, int64_t si, int64_t n);
/* Places for any strides: [n], and [n][2]. */
void ml_ref_pack_places(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                        int64_t n, int64_t k);
void ml_ref_pack_place_pairs(void *to, const void *src, enum ml_dtype type, int64_t si, int64_t sp,
                             int64_t n, int64_t k);

#endif
