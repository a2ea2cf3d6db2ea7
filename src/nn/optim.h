/* Optimisers: AdamW, and Muon for hidden matrices with AdamW for the rest.
 *
 * AdamW: Loshchilov & Hutter, arXiv:1711.05101. Decay is decoupled and goes by kind: matrices and
 * embeddings decay, vectors (norms, biases) never do.
 *
 * Muon: Keller Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024). Each
 * hidden matrix moves along U, an approximately orthogonal version of its Nesterov momentum:
 *   M <- mu M + G,  D = G + mu M,  X0 = D / |D|,
 *   A = X X',  X <- a X + (b A + c A A) X   five times, (a, b, c) = (3.4445, -4.7750, 2.0315),
 *   W <- W (1 - lr wd) - lr s X.
 * Tall matrices are worked on transposed, so that A is the smaller Gram matrix. */
#ifndef ML_NN_OPTIM_H
#define ML_NN_OPTIM_H

#include "nn/state.h"
#include "tensor/device.h"

enum ml_optim_kind { ML_OPTIM_ADAMW, ML_OPTIM_MUON };

/* The factor s of a Muon step on a [rows, cols] matrix. */
enum ml_muon_scale {
    ML_MUON_MATCH_ADAMW, /* 0.2 sqrt(max(rows, cols)): the RMS of an AdamW step, so one learning
                            rate serves both (Moonlight, arXiv:2502.16982) */
    ML_MUON_SHAPE,       /* sqrt(max(1, rows/cols)): as first published */
};

struct ml_optim_options { /* zero: the value in brackets */
    enum ml_optim_kind kind;
    float beta1, beta2, eps; /* AdamW [0.9, 0.95, 1e-8] */
    float weight_decay;      /* [none] */
    float momentum;          /* Muon [0.95] */
    int iterations;          /* Newton-Schulz [5] */
    enum ml_muon_scale scale;
    bool bf16; /* Newton-Schulz in bf16 arithmetic */
};

struct ml_optim {
    int64_t steps;              /* taken so far: saved and restored with `state` */
    struct ml_state_list state; /* moments, momenta */
    struct ml_params *params;
    struct ml_device *device;
    struct ml_optim_options options;
    struct ml_arena arena;
    struct ml_optim_slot *slots; /* one a parameter */
    struct ml_optim_task *tasks; /* AdamW in parallel pieces */
    int task_count;
    int held;             /* device mirrors that were taken (tensor/mirror.h) */
    struct ml_muon *muon; /* NULL for AdamW alone */
};

/* State for every parameter (f32, allocated). params and device outlive it. */
int ml_optim_new(struct ml_optim **out, struct ml_params *params,
                 const struct ml_optim_options *options, struct ml_device *device,
                 struct ml_error *err);
void ml_optim_free(struct ml_optim *optim);

struct ml_optim_rates {
    float lr;         /* AdamW's */
    float matrix_lr;  /* Muon's; not used by AdamW alone */
    float grad_scale; /* on every gradient first: clipping and accumulation in one factor */
};

/* One step with grads[i] the gradient of params->items[i], where the device computes
 * (ml_plan_numbers). Equal for any number of threads. With an accelerator parameters and state
 * change there: ml_mirror_fetch before the host reads them. */
int ml_optim_step(struct ml_optim *optim, const float *const *grads,
                  const struct ml_optim_rates *rates, struct ml_error *err);

#endif
