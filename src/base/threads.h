/* A pool of threads for loops over independent tasks. Workers spin for a few microseconds for the
 * next loop, then block, so that a busy neighbour on the same core does not make the pool collapse.
 */
#ifndef ML_BASE_THREADS_H
#define ML_BASE_THREADS_H

#include <stdint.h>

#include "maliang/error.h"

struct ml_pool;

/* How many processors this process may run on (affinity and cgroup quota honoured). */
int ml_cpu_count(void);

/* threads 0 = ml_cpu_count(). The calling thread of ml_pool_run counts as one of them. */
int ml_pool_new(struct ml_pool **out, int threads, struct ml_error *err);
void ml_pool_free(struct ml_pool *pool);
int ml_pool_threads(const struct ml_pool *pool); /* 1 for NULL */

/* worker is in [0, ml_pool_threads): an index for per-thread scratch. Which worker gets which task
 * is not determined; results must not depend on it. */
typedef void ml_task_fn(void *arg, int64_t task, int worker);

/* Calls fn for each task in [0, tasks) and returns when all are done. A NULL pool runs serially.
 * Not reentrant: tasks must not call ml_pool_run on the same pool. */
void ml_pool_run(struct ml_pool *pool, int64_t tasks, ml_task_fn *fn, void *arg);

#endif
