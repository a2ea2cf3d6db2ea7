/* Checks of an op's gradient, shared by all tests of ops. A check is a list of inputs and a
 * function that builds any tensor from them; what is differentiated is its projection on fixed
 * random numbers, so every element of the output counts. Failures end the cmocka test. */
#ifndef ML_TESTS_GRADCHECK_H
#define ML_TESTS_GRADCHECK_H

#include "tensor/device.h"
#include "tensor/graph.h"

#define CHECK_MAX_INPUTS 8

struct check_input {
    const char *name;
    enum ml_dtype dtype; /* F32, or I32 with data */
    int ndim;
    int64_t dim[ML_MAX_DIMS];
    const void *data; /* float or int32_t; NULL: normal random numbers * scale + shift */
    float scale;      /* 0 is taken as 1 */
    float shift;
    float avoid; /* random numbers keep this distance from 0 (kinks, divisions) */
    bool fixed;  /* no gradient is asked for */
};

struct check {
    int n;
    struct check_input in[CHECK_MAX_INPUTS];
    /* Builds the output from the leaves (same order as `in`). */
    struct ml_tensor *(*build)(struct ml_graph *g, struct ml_tensor *const *in, const void *arg);
    const void *arg;
    double tolerance; /* relative; 0 is taken as 1e-3 */
    float step;       /* of the differences; 0 is taken as 1e-2 */
    int samples;      /* elements perturbed per input; 0 is taken as 64 */
    uint64_t seed;    /* of the random numbers */
};

/* Central differences with one Richardson step against ml_grad, element by element:
 * |difference| <= tolerance * max(|both|, root mean square of that input's gradient). */
void check_gradient(const struct check *c);

/* Output and gradients are the same bits with 1 thread and with 4, and on a second run. */
void check_threads(const struct check *c);

/* Output and gradients with bf16 float inputs (those in `as_bf16`, bit i: input i) and bf16 compute
 * against f32: |difference| <= tolerance * (largest |value| of that tensor). */
void check_bf16(const struct check *c, unsigned as_bf16, double tolerance);

/* Where MALIANG_TEST_DEVICE names a device (test_device.h): output and gradients there against the
 * processor, |a - b| / |b| at most 1e-5 in f32 and 1e-2 with bf16 inputs. Prints what it found. */
void check_device(const struct check *c, unsigned as_bf16);

/* All of them, with 4% for bf16. */
void check_all(const struct check *c, unsigned as_bf16);

/* The output (and, where grads is not NULL, gradients of the inputs that are not fixed, else NULL
 * entries), as f32, heap blocks to be freed with ml_mem_free. `projection` stands for dt: NULL for
 * the random one. The returned count is the output's. */
struct check_result {
    int64_t count;
    float *out;
    int64_t grad_count[CHECK_MAX_INPUTS];
    float *grad[CHECK_MAX_INPUTS];
};
void check_run(const struct check *c, int threads, const float *projection,
               struct check_result *result);
void check_result_clear(struct check_result *result);

/* Largest |a - b|; infinity where one is NaN. */
double check_max_difference(const float *a, const float *b, int64_t n);

/* That building c is refused with a message that contains `part`. */
void check_refused(const struct check *c, const char *part);
/* That building is fine and running fails with `code`. */
void check_run_fails(const struct check *c, int code);

#endif
