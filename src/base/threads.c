#include "base/threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fail.h"

#define MAX_THREADS 1024
#define SPIN_NS     8000 /* about what a futex wake-up costs */

struct worker {
    struct ml_pool *pool;
    pthread_t thread;
    int index;
};

/* A loop is open while `epoch` is odd. A worker enters with active++ and then looks at the epoch
 * again; the caller closes the epoch and then waits for active == 0. Both are sequentially
 * consistent, so either the caller sees the worker or the worker sees the loop closed: a worker
 * that sleeps through a whole loop is never waited for. The fields of the loop (fn, arg, tasks) are
 * written only while the loop is closed and nobody is active. */
struct ml_pool {
    _Alignas(ML_ALIGN) _Atomic uint32_t epoch;
    _Atomic uint32_t sleepers; /* workers that are blocked on epoch, or about to be */
    _Atomic bool stop;
    _Alignas(ML_ALIGN) _Atomic uint32_t active; /* workers inside the open loop */
    _Atomic uint32_t caller_waits;              /* the caller is blocked on active */
    _Alignas(ML_ALIGN) _Atomic int64_t next;    /* first task that nobody has claimed */
    _Alignas(ML_ALIGN) int64_t tasks;
    ml_task_fn *fn;
    void *arg;
    int threads;
    bool spin;      /* every thread can have a processor of its own */
    int caller_cpu; /* the processor that workers leave to the caller; -1: none yet */
    struct worker workers[];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t while_value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits a short while for *word to differ from value; true when it does. */
static bool spin_until_changed(_Atomic uint32_t *word, uint32_t value)
{
    int64_t end = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(word, memory_order_relaxed) != value)
                return true;
            pause_processor();
        }
    } while (now_ns() < end);
    return false;
}

static void run_tasks(struct ml_pool *pool, int worker)
{
    int64_t tasks = pool->tasks;
    ml_task_fn *fn = pool->fn;
    void *arg = pool->arg;
    for (;;) {
        int64_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= tasks)
            return;
        fn(arg, task, worker);
    }
}

static void *worker_main(void *start)
{
    struct worker *self = start;
    struct ml_pool *pool = self->pool;
    uint32_t seen = 0; /* the last epoch that was looked at */
    for (;;) {
        uint32_t epoch = atomic_load(&pool->epoch);
        if (atomic_load(&pool->stop))
            return NULL;
        if (epoch == seen || epoch % 2 == 0) {
            if (!pool->spin || !spin_until_changed(&pool->epoch, epoch)) {
                atomic_fetch_add(&pool->sleepers, 1);
                futex_wait(&pool->epoch, epoch);
                atomic_fetch_sub(&pool->sleepers, 1);
            }
            continue;
        }
        atomic_fetch_add(&pool->active, 1);
        seen = atomic_load(&pool->epoch);
        if (seen % 2 == 1)
            run_tasks(pool, self->index);
        if (atomic_fetch_sub(&pool->active, 1) == 1 && atomic_load(&pool->caller_waits))
            futex_wake(&pool->active, 1);
    }
}

static void wake_workers(struct ml_pool *pool, int64_t most)
{
    if (atomic_load(&pool->sleepers) > 0)
        futex_wake(&pool->epoch, most < INT_MAX ? (int)most : INT_MAX);
}

static void wait_until_idle(struct ml_pool *pool)
{
    uint32_t active;
    while ((active = atomic_load(&pool->active)) != 0) {
        if (pool->spin && spin_until_changed(&pool->active, active))
            continue;
        atomic_store(&pool->caller_waits, 1);
        active = atomic_load(&pool->active);
        if (active != 0)
            futex_wait(&pool->active, active);
        atomic_store(&pool->caller_waits, 0);
    }
}

/* Keeps the workers off the caller's processor. A worker that the scheduler wakes there waits until
 * the caller's time slice is over, for milliseconds, while another processor is idle. */
static void leave_caller_alone(struct ml_pool *pool)
{
    int cpu = sched_getcpu();
    if (cpu == pool->caller_cpu || !pool->spin)
        return;
    pool->caller_cpu = cpu;
    cpu_set_t others;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof others, &others) != 0)
        return;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) == 0)
        return;
    for (int i = 1; i < pool->threads; i++)
        pthread_setaffinity_np(pool->workers[i].thread, sizeof others, &others);
}

void ml_pool_run(struct ml_pool *pool, int64_t tasks, ml_task_fn *fn, void *arg)
{
    if (!pool || pool->threads == 1 || tasks <= 1) {
        for (int64_t task = 0; task < tasks; task++)
            fn(arg, task, 0);
        return;
    }
    leave_caller_alone(pool);
    pool->fn = fn;
    pool->arg = arg;
    pool->tasks = tasks;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_fetch_add(&pool->epoch, 1); /* open */
    wake_workers(pool, tasks - 1);
    run_tasks(pool, 0);
    atomic_fetch_add(&pool->epoch, 1); /* closed: nobody else enters */
    wait_until_idle(pool);
}

/* Signals belong to the thread that called us: workers take none. */
static int start_worker(struct worker *worker)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int status = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return status;
}

int ml_pool_new(struct ml_pool **out, int threads, struct ml_error *err)
{
    int processors = ml_cpu_count();
    if (threads == 0)
        threads = processors < MAX_THREADS ? processors : MAX_THREADS;
    if (threads < 1 || threads > MAX_THREADS)
        return ml_fail(err, ML_ERR_ARG, "%d threads were asked for; 1 to %d are possible", threads,
                       MAX_THREADS);
    struct ml_pool *pool =
        ml_mem_calloc(1, sizeof *pool + (size_t)threads * sizeof pool->workers[0]);
    if (!pool)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a pool of %d threads", threads);
    pool->threads = 1;
    pool->spin = threads <= processors;
    pool->caller_cpu = -1;
    for (int i = 1; i < threads; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .index = i};
        int status = start_worker(worker);
        if (status != 0) {
            ml_pool_free(pool);
            return ml_fail(
                err, ML_ERR_LIMIT,
                "the system refused to start thread %d of %d (%s); ask for fewer threads", i + 1,
                threads, strerror(status));
        }
        pool->threads = i + 1;
    }
    *out = pool;
    return 0;
}

void ml_pool_free(struct ml_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->epoch, 2); /* still closed, but changed: nobody falls asleep on it */
    futex_wake(&pool->epoch, INT_MAX);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    ml_mem_free(pool);
}

int ml_pool_threads(const struct ml_pool *pool)
{
    return pool ? pool->threads : 1;
}
