/* What x86-64 processors do better than ref: each call overwrites its part of the table. One
 * instruction set a file; the caller has checked that the processor has it. */
#ifndef ML_KERNEL_X86_H
#define ML_KERNEL_X86_H

#include "kernel/table.h"

void ml_avx2_vector(struct ml_kernels *out); /* AVX2, FMA, F16C */
void ml_avx2_gemm(struct ml_kernels *out);
void ml_avx2_gemm_i8(struct ml_kernels *out);
void ml_avx512_vector(struct ml_kernels *out); /* AVX-512 F, BW, VL, DQ; on top of AVX2 */
void ml_avx512_gemm(struct ml_kernels *out);
void ml_avx512_vnni(struct ml_kernels *out); /* + VNNI; on top of AVX-512 */
void ml_avx512_bf16(struct ml_kernels *out); /* + BF16; on top of VNNI */
void ml_amx_bf16(struct ml_kernels *out);    /* + AMX tiles in bf16; on top of BF16 */

#endif
