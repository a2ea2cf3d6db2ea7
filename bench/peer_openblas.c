#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peers.h"

/* cblas.h's numbers. */
enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

typedef void sgemm_fn(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta, float *c,
                      int ldc);

static sgemm_fn *sgemm;
static void (*set_threads)(int);

/* ISO C has no conversion from what dlsym gives to a function. */
static void find(void *lib, const char *name, void *function)
{
    void *found = dlsym(lib, name);
    memcpy(function, &found, sizeof found);
}

bool peer_openblas_open(int threads, char *about, size_t size)
{
    /* Its workers spin for 2^26 cycles after a call; 2^22 are about 2 ms, which pass between sides.
     */
    setenv("OPENBLAS_THREAD_TIMEOUT", "22", 0);
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return false;
    char *(*config)(void);
    char *(*core)(void);
    find(lib, "cblas_sgemm", &sgemm);
    find(lib, "openblas_set_num_threads", &set_threads);
    find(lib, "openblas_get_config", &config);
    find(lib, "openblas_get_corename", &core);
    if (!sgemm || !set_threads || !config || !core)
        return false;
    set_threads(threads);
    snprintf(about, size, "%.16s, kernels for %s", config(), core());
    return true;
}

void peer_openblas_threads(int threads)
{
    set_threads(threads);
}

void peer_openblas_run(const struct ml_gemm *g)
{
    bool ta = g->a.col != 1, tb = g->b.col != 1;
    sgemm(ROW_MAJOR, ta ? TRANS : NO_TRANS, tb ? TRANS : NO_TRANS, (int)g->m, (int)g->n, (int)g->k,
          1.0f, g->a.data, (int)(ta ? g->a.col : g->a.row), g->b.data,
          (int)(tb ? g->b.col : g->b.row), g->accumulate ? 1.0f : 0.0f, g->c, (int)g->c_row);
}
