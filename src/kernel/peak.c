#include "kernel/peak.h"

#include <time.h>

#define TRIES       8
#define TRY_SECONDS 0.002

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void burn_task(void *arg, int64_t task, int worker)
{
    const struct ml_gemm_kernel *u = arg;
    double start = seconds();
    while (seconds() - start < TRY_SECONDS)
        u->burn(1000);
}

struct burn {
    const struct ml_gemm_kernel *kernel;
    int64_t steps;
};

static void steps_task(void *arg, int64_t task, int worker)
{
    const struct burn *b = arg;
    b->kernel->burn(b->steps);
}

double ml_peak_flops(const struct ml_kernels *k, bool bf16, struct ml_pool *pool)
{
    struct burn b = {bf16 && ml_kernels_have_bf16(k) ? &k->gemm_bf16 : &k->gemm_f32, 1000};
    int threads = ml_pool_threads(pool);
    /* Wakes the clock and finds how many steps fill one try. */
    ml_pool_run(pool, threads, burn_task, (void *)b.kernel);
    double start = seconds();
    double flops = (double)b.kernel->burn(b.steps);
    double took = seconds() - start;
    b.steps = (int64_t)(TRY_SECONDS / (took > 1e-7 ? took : 1e-7) * (double)b.steps) + 1;
    flops *= (double)b.steps / 1000 * threads;
    double best = 1e9;
    for (int i = 0; i < TRIES; i++) {
        start = seconds();
        ml_pool_run(pool, threads, steps_task, &b);
        took = seconds() - start;
        best = took < best ? took : best;
    }
    return flops / best;
}
