/* The processor's peak, measured: what a program's speed is compared with. */
#ifndef ML_KERNEL_PEAK_H
#define ML_KERNEL_PEAK_H

#include "kernel/table.h"

/* Floating point operations per second that the pool's threads reach together (NULL: the calling
 * thread) when each has a core to itself, in multiply-adds on registers, f32 or bf16 with f32
 * accumulation (f32's where there is no bf16 hardware). Takes about 20 ms; the best of several
 * tries, as neighbours only slow down. */
double ml_peak_flops(const struct ml_kernels *k, bool bf16, struct ml_pool *pool);

/* Bytes per second that the pool's threads read together from memory beyond most caches (256 MB,
 * which are taken and given back; 0 where they are not to be had). Takes about 0.2 s. */
double ml_peak_bandwidth(const struct ml_kernels *k, struct ml_pool *pool);

#endif
