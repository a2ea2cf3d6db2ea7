#include "kernel/peak.h"

#include <stdatomic.h>
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
    _Atomic int64_t least; /* nanoseconds of the fastest task */
};

/* Each task times itself: a neighbour that takes one core away spoils that task alone. */
static void steps_task(void *arg, int64_t task, int worker)
{
    struct burn *b = arg;
    double start = seconds();
    b->kernel->burn(b->steps);
    int64_t took = (int64_t)((seconds() - start) * 1e9), least = b->least;
    while (took < least && !atomic_compare_exchange_weak(&b->least, &least, took))
        ;
}

double ml_peak_flops(const struct ml_kernels *k, bool bf16, struct ml_pool *pool)
{
    struct burn b = {.steps = 1000, .least = INT64_MAX};
    b.kernel = bf16 && ml_kernels_have_bf16(k) ? &k->gemm_bf16 : &k->gemm_f32;
    int threads = ml_pool_threads(pool);
    /* Wakes the clock, then finds how many steps fill one try. */
    ml_pool_run(pool, threads, burn_task, (void *)b.kernel);
    steps_task(&b, 0, 0);
    int64_t one = b.least > 100 ? b.least : 100;
    b.steps = (int64_t)(TRY_SECONDS * 1e9 / (double)one * (double)b.steps) + 1;
    b.least = INT64_MAX;
    for (int i = 0; i < TRIES; i++)
        ml_pool_run(pool, threads, steps_task, &b);
    double flops = (double)b.kernel->burn(1) * (double)b.steps * threads;
    return flops / ((double)(b.least > 0 ? b.least : 1) * 1e-9);
}
