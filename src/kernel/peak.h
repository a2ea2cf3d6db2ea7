/* The processor's peak, measured: what a program's speed is compared with. */
#ifndef ML_KERNEL_PEAK_H
#define ML_KERNEL_PEAK_H

#include "kernel/table.h"

/* Floating point operations per second that the pool's threads reach together (NULL: the calling
 * thread) when each has a core to itself, in multiply-adds on registers, f32 or bf16 with f32
 * accumulation (f32's where there is no bf16 hardware). Takes about 20 ms; the best of several
 * tries, as neighbours only slow down. */
double ml_peak_flops(const struct ml_kernels *k, bool bf16, struct ml_pool *pool);

/* Bytes per second at which the pool's threads together read so many bytes again and again: from
 * caches if they hold them, from memory beyond. Takes 10 ms or eight readings; memory is taken and
 * given back (0 where there is not enough). */
double ml_peak_bandwidth(const struct ml_kernels *k, size_t bytes, struct ml_pool *pool);

#endif
