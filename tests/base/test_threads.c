#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/threads.h"

#define MOST 5000

struct counts {
    _Atomic int done[MOST];
    int threads;
};

static void count_task(void *arg, int64_t task, int worker)
{
    struct counts *counts = arg;
    if (worker < 0 || worker >= counts->threads)
        abort();
    atomic_fetch_add(&counts->done[task], 1);
}

static void check_run(struct ml_pool *pool, struct counts *counts, int64_t tasks)
{
    memset(counts, 0, sizeof *counts);
    counts->threads = ml_pool_threads(pool);
    ml_pool_run(pool, tasks, count_task, counts);
    for (int64_t i = 0; i < MOST; i++)
        if (counts->done[i] != (i < tasks))
            fail_msg("task %d ran %d times", (int)i, counts->done[i]);
}

static void every_task_runs_once_for_any_number_of_threads(void **state)
{
    static struct counts counts;
    static const int threads[] = {1, 2, 3, 4, 8, 17};
    static const int64_t tasks[] = {0, 1, 2, 3, 7, 64, 999, MOST};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        struct ml_pool *pool = NULL;
        struct ml_error err = {0};
        assert_int_equal(ml_pool_new(&pool, threads[t], &err), 0);
        assert_int_equal(ml_pool_threads(pool), threads[t]);
        for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
            check_run(pool, &counts, tasks[i]);
        ml_pool_free(pool);
    }
}

static void no_pool_runs_serially_in_order(void **state)
{
    static struct counts counts;
    check_run(NULL, &counts, 100);
    assert_int_equal(ml_pool_threads(NULL), 1);
    ml_pool_free(NULL);
}

struct sums {
    int64_t *partial; /* one per worker, a cache line apart: scratch needs no lock */
    int64_t offset;
};

static void add_task(void *arg, int64_t task, int worker)
{
    struct sums *sums = arg;
    sums->partial[worker * 8] += task + sums->offset;
}

/* Thousands of short loops, some with a pause before that sends the workers to sleep: what one loop
 * wrote without atomics is seen by the next, and no worker leaks from one loop into the other. */
static void many_short_loops_see_each_other(void **state)
{
    struct ml_pool *pool = NULL;
    struct ml_error err = {0};
    int64_t partial[4 * 8] = {0}, expected = 0;
    assert_int_equal(ml_pool_new(&pool, 4, &err), 0);
    for (int64_t round = 0; round < 3000; round++) {
        struct sums sums = {.partial = partial, .offset = round};
        int64_t tasks = round % 9;
        ml_pool_run(pool, tasks, add_task, &sums);
        expected += tasks * (tasks - 1) / 2 + tasks * round;
        if (round % 500 == 499)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    ml_pool_free(pool);
    assert_true(partial[0] + partial[8] + partial[16] + partial[24] == expected);
}

struct handshake {
    _Atomic int arrived;
};

static void meet_task(void *arg, int64_t task, int worker)
{
    struct handshake *handshake = arg;
    atomic_fetch_add(&handshake->arrived, 1);
    while (atomic_load(&handshake->arrived) < 3) /* ends only when three threads take part */
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

static void sleeping_workers_wake_up(void **state)
{
    struct ml_pool *pool = NULL;
    struct ml_error err = {0};
    assert_int_equal(ml_pool_new(&pool, 3, &err), 0);
    for (int round = 0; round < 20; round++) {
        struct handshake handshake = {0};
        nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
        ml_pool_run(pool, 3, meet_task, &handshake);
        assert_int_equal(handshake.arrived, 3);
    }
    ml_pool_free(pool);
}

static void inner_task(void *arg, int64_t task, int worker)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

struct nest {
    struct ml_pool *inner[2];
    _Atomic int count;
};

static void outer_task(void *arg, int64_t task, int worker)
{
    struct nest *nest = arg;
    ml_pool_run(nest->inner[task], 50, inner_task, &nest->count);
}

static void pools_do_not_disturb_each_other(void **state)
{
    struct nest nest = {0};
    struct ml_pool *outer = NULL;
    struct ml_error err = {0};
    assert_int_equal(ml_pool_new(&outer, 2, &err), 0);
    assert_int_equal(ml_pool_new(&nest.inner[0], 2, &err), 0);
    assert_int_equal(ml_pool_new(&nest.inner[1], 3, &err), 0);
    for (int i = 0; i < 50; i++)
        ml_pool_run(outer, 2, outer_task, &nest);
    assert_int_equal(nest.count, 50 * 2 * 50);
    ml_pool_free(nest.inner[0]);
    ml_pool_free(nest.inner[1]);
    ml_pool_free(outer);
}

static void mask_task(void *arg, int64_t task, int worker)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    if (worker > 0 && !sigismember(&mask, SIGTERM))
        atomic_fetch_add((_Atomic int *)arg, 1);
    nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static void workers_take_no_signals(void **state)
{
    struct ml_pool *pool = NULL;
    struct ml_error err = {0};
    _Atomic int open = 0;
    assert_int_equal(ml_pool_new(&pool, 3, &err), 0);
    ml_pool_run(pool, 30, mask_task, &open);
    ml_pool_free(pool);
    assert_int_equal(open, 0);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
}

static void bad_numbers_are_refused(void **state)
{
    struct ml_pool *pool = (struct ml_pool *)state;
    struct ml_error err = {0};
    assert_int_equal(ml_pool_new(&pool, -1, &err), ML_ERR_ARG);
    assert_int_equal(ml_pool_new(&pool, 100000, NULL), ML_ERR_ARG);
    assert_ptr_equal(pool, state);
    assert_true(strstr(err.message, "-1 threads") != NULL);
}

static void no_memory_is_one_clear_failure(void **state)
{
    struct ml_pool *pool = NULL;
    struct ml_error err = {0};
    ml_mem_fail_at(1);
    assert_int_equal(ml_pool_new(&pool, 2, &err), ML_ERR_MEMORY);
    ml_mem_fail_at(0);
    assert_null(pool);
    assert_true(strstr(err.message, "out of memory") != NULL);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Address space for a few thread stacks only: some threads start, then one does not. */
static void a_refused_thread_takes_the_others_back(void **state)
{
#ifdef SANITIZED
    skip(); /* sanitizers need address space of their own */
#endif
    struct ml_mem_stats before, after;
    ml_mem_get_stats(&before);
    struct rlimit old, tight;
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%ld", &pages) != 1)
        skip();
    fclose(statm);
    getrlimit(RLIMIT_AS, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)100 << 20);
    setrlimit(RLIMIT_AS, &tight);
    struct ml_pool *pool = NULL;
    struct ml_error err = {0};
    int status = ml_pool_new(&pool, 500, &err);
    setrlimit(RLIMIT_AS, &old);
    assert_int_equal(status, ML_ERR_LIMIT);
    assert_null(pool);
    assert_true(strstr(err.message, "fewer threads") != NULL);
    ml_mem_get_stats(&after);
    assert_int_equal(after.live_blocks, before.live_blocks);
}

static void at_least_one_processor(void **state)
{
    struct ml_pool *pool = NULL;
    assert_true(ml_cpu_count() >= 1);
    assert_true(ml_cpu_count() <= sysconf(_SC_NPROCESSORS_CONF));
    assert_int_equal(ml_pool_new(&pool, 0, NULL), 0);
    assert_int_equal(ml_pool_threads(pool), ml_cpu_count());
    ml_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once_for_any_number_of_threads),
        cmocka_unit_test(no_pool_runs_serially_in_order),
        cmocka_unit_test(many_short_loops_see_each_other),
        cmocka_unit_test(sleeping_workers_wake_up),
        cmocka_unit_test(pools_do_not_disturb_each_other),
        cmocka_unit_test(workers_take_no_signals),
        cmocka_unit_test(bad_numbers_are_refused),
        cmocka_unit_test(no_memory_is_one_clear_failure),
        cmocka_unit_test(a_refused_thread_takes_the_others_back),
        cmocka_unit_test(at_least_one_processor),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
