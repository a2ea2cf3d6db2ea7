/* What happens to gradients between the backward pass and the optimiser. */
#ifndef ML_NN_GRADS_H
#define ML_NN_GRADS_H

#include "nn/param.h"
#include "tensor/device.h"

/* The l2 norm over all gradients, grads[i] being params->items[i]'s. Summed in f64 in a fixed
 * order. Not finite when any gradient is not. All gradients and sums lie where the device computes
 * (ml_plan_numbers). */
int ml_grads_norm(double *out, const struct ml_params *params, const float *const *grads,
                  struct ml_device *device, struct ml_error *err);

/* sum[i] = weight * grads[i] (first) or sum[i] += weight * grads[i]. */
int ml_grads_accumulate(const struct ml_params *params, float *const *sum,
                        const float *const *grads, float weight, bool first,
                        struct ml_device *device, struct ml_error *err);

#endif
