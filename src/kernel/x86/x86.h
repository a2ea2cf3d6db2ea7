/* What x86-64 processors do better than ref: each call overwrites its part of the table. */
#ifndef ML_KERNEL_X86_H
#define ML_KERNEL_X86_H

#include "kernel/table.h"

void ml_x86_avx2(struct ml_kernels *out);        /* AVX2, FMA, F16C */
void ml_x86_avx512(struct ml_kernels *out);      /* AVX-512 F, BW, VL, DQ; on top of avx2 */
void ml_x86_avx512_bf16(struct ml_kernels *out); /* + BF16; on top of avx512 */

#endif
