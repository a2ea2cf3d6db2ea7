/* Where a graph runs: kernels and threads. (A GPU becomes one more device behind this.) */
#ifndef ML_TENSOR_DEVICE_H
#define ML_TENSOR_DEVICE_H

#include "kernel/table.h"

struct ml_device {
    struct ml_kernels kernels;
    struct ml_pool *pool;
};

/* threads 0: all processors. */
int ml_device_new(struct ml_device **out, int threads, enum ml_isa limit, struct ml_error *err);
void ml_device_free(struct ml_device *device);

#endif
