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

#endif
