/* Where a graph runs. The processor (kernels and threads) is always there; an accelerator with
 * memory of its own may stand beside it and then runs every op that it supports. What it does not
 * support runs on the processor, with copies there and back.
 *
 * Memory. A graph's intermediate results live on the accelerator alone. A leaf has its owner's host
 * memory and, after its first use, a mirror on the accelerator; mirror.h has the rules of who must
 * say what when either side changes. */
#ifndef ML_TENSOR_DEVICE_H
#define ML_TENSOR_DEVICE_H

#include "kernel/table.h"
#include "maliang/error.h"

struct ml_tensor;
struct ml_mirrors;

/* A matrix parameter's step under Muon (nn/optim.h), on device memory. `x` is the input of the
 * Newton-Schulz iteration, transposed where the matrix is tall. */
struct ml_muon_step {
    int64_t rows, cols;
    bool tall;
    float *momentum, *weight, *x;
    const float *grad, *y;
    float mu, grad_scale, keep, step;
};

/* An accelerator: one row of calls. Pointers named `memory`, and all arrays of numbers, are device
 * memory. Calls are queued in order; those that return numbers to the host wait for them. All
 * return 0 or a negative code with a message. */
struct ml_accelerator {
    const char *name; /* "cuda" */
    bool bf16;        /* products in bf16 are faster than in f32 */
    void (*close)(void *state);

    int (*alloc)(void *state, void **memory, size_t bytes, struct ml_error *err);
    void (*release)(void *state, void *memory); /* NULL is fine */
    int (*upload)(void *state, void *memory, const void *host, size_t bytes, struct ml_error *err);
    int (*download)(void *state, void *host, const void *memory, size_t bytes,
                    struct ml_error *err);
    int (*copy)(void *state, void *to, const void *from, size_t bytes, struct ml_error *err);

    /* Ops: sources and result are at `remote` and `remote_aux` of the tensors. */
    bool (*supports)(void *state, const struct ml_tensor *t);
    size_t (*scratch)(void *state, const struct ml_tensor *t); /* bytes of device memory */
    int (*begin)(void *state, uint64_t seed, struct ml_error *err);
    int (*run)(void *state, struct ml_tensor *t, void *scratch, struct ml_error *err);
    /* Waits; reports the first bad number that an op met since begin (a token id out of range). */
    int (*finish)(void *state, struct ml_error *err);

    /* What training does outside of graphs. */
    int (*adamw)(void *state, int64_t n, float *w, float *m, float *v, const float *g,
                 const struct ml_adamw_step *step, struct ml_error *err);
    /* *out = the sum of squares over `count` arrays, in double and in a fixed order */
    int (*square_sum)(void *state, int count, const float *const *x, const int64_t *n, double *out,
                      struct ml_error *err);
    /* y = a x + b y; with b = 0 y is not read */
    int (*mix)(void *state, int64_t n, float *y, float a, const float *x, float b,
               struct ml_error *err);
    /* momentum and x from grad; then, after the iteration, weight from y */
    int (*muon_begin)(void *state, const struct ml_muon_step *step, struct ml_error *err);
    int (*muon_end)(void *state, const struct ml_muon_step *step, struct ml_error *err);
};

struct ml_device {
    struct ml_kernels kernels;
    struct ml_pool *pool;
    const struct ml_accelerator *accelerator; /* NULL: the processor alone */
    void *state;                              /* the accelerator's */
    struct ml_mirrors *mirrors;               /* of leaves (mirror.h) */
};

/* The processor. threads 0: all processors. */
int ml_device_new(struct ml_device **out, int threads, enum ml_isa limit, struct ml_error *err);
void ml_device_free(struct ml_device *device);

/* Puts an accelerator beside it, before any plan is made. `state` is closed with the device, and
 * also when this fails. */
int ml_device_attach(struct ml_device *device, const struct ml_accelerator *accelerator,
                     void *state, struct ml_error *err);
/* "cpu" or the accelerator's name. */
const char *ml_device_name(const struct ml_device *device);
/* Whether products in bf16 are faster than in f32 where plans run. */
bool ml_device_has_bf16(const struct ml_device *device);
/* Until all that was queued is done; 0, or what went wrong. */
int ml_device_wait(struct ml_device *device, struct ml_error *err);

#endif
