/* An exponential moving average of the weights: e <- e + (1 - d) (w - e), with
 * d = min(decay, (1 + t) / (10 + t)), so that the start is forgotten soon. */
#ifndef ML_NN_EMA_H
#define ML_NN_EMA_H

#include "nn/state.h"
#include "tensor/device.h"

struct ml_ema {
    int64_t steps;
    double decay;
    struct ml_state_list state; /* "ema.NAME"; state.items[i] belongs to params->items[i] */
    struct ml_params *params;
    struct ml_device *device;
    struct ml_arena arena;
    int held; /* averages with a mirror */
};

/* Starts as a copy of the parameters (f32). decay in (0, 1). */
int ml_ema_new(struct ml_ema **out, struct ml_params *params, double decay,
               struct ml_device *device, struct ml_error *err);
void ml_ema_free(struct ml_ema *ema);
/* After each optimiser step. With an accelerator the averages change there (tensor/mirror.h). */
int ml_ema_update(struct ml_ema *ema, struct ml_error *err);

#endif
