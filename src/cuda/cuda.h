/* NVIDIA GPUs. The part that needs CUDA is a module of its own (libmaliang-cuda.so), opened when a
 * GPU is asked for: programs neither link nor start it otherwise. */
#ifndef ML_CUDA_CUDA_H
#define ML_CUDA_CUDA_H

#include "tensor/device.h"

/* Puts the first GPU beside the processor. ML_ERR_UNSUPPORTED with one message ("no CUDA device:
 * ...") when this build, this machine or its driver has none. */
int ml_cuda_attach(struct ml_device *device, struct ml_error *err);

/* What the module exports, under this name. */
#define ML_CUDA_OPEN     "ml_cuda_module_open"
#define ML_CUDA_REVISION 1
typedef int ml_cuda_open_fn(int revision, const struct ml_accelerator **accelerator, void **state,
                            struct ml_error *err);

#endif
