/* Inside the optimisers only. */
#ifndef ML_NN_OPTIM_IMPL_H
#define ML_NN_OPTIM_IMPL_H

#include "nn/optim.h"

#define ML_OPTIM_PIECE 65536 /* elements a task: fixed, so that threads do not move boundaries */

struct ml_optim_slot {
    float *m, *v; /* AdamW's moments, or NULL */
    float *momentum;
    int shape; /* Muon: index of the planned iteration for this shape */
};

struct ml_optim_task {
    int param;
    int64_t begin, count;
};

/* Muon's planned Newton-Schulz iterations, one a distinct shape. */
int ml_muon_new(struct ml_optim *optim, struct ml_error *err);
void ml_muon_free(struct ml_optim *optim);
bool ml_muon_takes(const struct ml_param *param);
int ml_muon_step(struct ml_optim *optim, int param, const float *grad,
                 const struct ml_optim_rates *rates, struct ml_error *err);

#endif
