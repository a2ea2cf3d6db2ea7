/* Running a plan's steps on an accelerator. Inside plan.c only; others see plan.h. */
#ifndef ML_TENSOR_REMOTE_H
#define ML_TENSOR_REMOTE_H

#include "tensor/tensor.h"

struct ml_device;
struct ml_error;
struct ml_remote;

struct ml_remote_plan {
    struct ml_device *device;
    struct ml_tensor *const *steps; /* in order; data and aux of each are placed in `memory` */
    int count;
    struct ml_tensor *const *outputs;
    int output_count;
    char *memory; /* the host's arena; the device's has the same layout */
    size_t memory_bytes;
    void *scratch;   /* the host's, for steps that run there */
    double *seconds; /* by op: where time is added when timing */
};

int ml_remote_new(struct ml_remote **out, const struct ml_remote_plan *plan, struct ml_error *err);
void ml_remote_free(struct ml_remote *remote);
/* fetch: outputs are copied to the host. timing: waits after each step. */
int ml_remote_run(struct ml_remote *remote, uint64_t seed, bool fetch, bool timing,
                  struct ml_error *err);
/* Copies one result (an output, or what shares its memory) to the host. */
int ml_remote_fetch(struct ml_remote *remote, const struct ml_tensor *t, struct ml_error *err);
/* Steps that the accelerator refused, and bytes that one run moves for them. */
void ml_remote_refused(const struct ml_remote *remote, int *steps, int64_t *bytes);

#endif
