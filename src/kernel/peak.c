#include "kernel/peak.h"

#include <stdatomic.h>
#include <time.h>

#include "base/arena.h"

#define TRIES        8
#define TRY_SECONDS  0.002
#define READ_SECONDS 0.01

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

struct reading {
    const struct ml_kernels *k;
    const float *numbers;
    int64_t piece;     /* floats a task */
    _Atomic int total; /* so that nothing is left out */
};

static void read_task(void *arg, int64_t task, int worker)
{
    struct reading *r = arg;
    r->total += r->k->sum(r->piece, r->numbers + task * r->piece) > 1;
}

double ml_peak_bandwidth(const struct ml_kernels *k, size_t bytes, struct ml_pool *pool)
{
    int64_t tasks = ml_pool_threads(pool) * (1 + (int64_t)(bytes >> 22));
    struct reading r = {.k = k, .piece = (int64_t)(bytes / sizeof(float)) / tasks + 1};
    int64_t count = tasks * r.piece;
    float *numbers = ml_mem_calloc((size_t)count, sizeof *numbers);
    double best = 0, begin = seconds();
    if (!numbers)
        return 0;
    k->fill(count, numbers, 0); /* pages that were never written are all the same one */
    r.numbers = numbers;
    for (int i = 0; i < TRIES || seconds() - begin < READ_SECONDS; i++) {
        double start = seconds();
        ml_pool_run(pool, tasks, read_task, &r);
        double rate = (double)count * sizeof(float) / (seconds() - start);
        best = rate > best ? rate : best;
    }
    ml_mem_free(numbers);
    return best;
}
