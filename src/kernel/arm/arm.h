/* What each ARM instruction set puts into the table. */
#ifndef ML_KERNEL_ARM_H
#define ML_KERNEL_ARM_H

#include "kernel/table.h"

void ml_neon_vector(struct ml_kernels *out);
void ml_neon_gemm(struct ml_kernels *out);
void ml_neon_bf16(struct ml_kernels *out); /* the register tile in bf16 */

#endif
