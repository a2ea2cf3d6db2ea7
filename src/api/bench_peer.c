#include "bench_peer.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* ISO C has no conversion from what dlsym gives to a function. */
static void find(void *lib, const char *name, void *function)
{
    void *found = dlsym(lib, name);
    memcpy(function, &found, sizeof found);
}

static bool is_turned(const struct ml_matrix *x)
{
    return x->col != 1;
}

static int stride_of(const struct ml_matrix *x)
{
    return (int)(is_turned(x) ? x->col : x->row);
}

typedef void cblas_fn(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta, float *c,
                      int ldc);

static void run_openblas(const struct bench_peer *peer, const struct ml_gemm *g)
{
    enum { ROW_MAJOR = 101, PLAIN = 111, TURNED = 112 }; /* cblas.h's numbers */
    cblas_fn *sgemm;
    memcpy(&sgemm, &peer->product, sizeof sgemm);
    sgemm(ROW_MAJOR, is_turned(&g->a) ? TURNED : PLAIN, is_turned(&g->b) ? TURNED : PLAIN,
          (int)g->m, (int)g->n, (int)g->k, 1.0f, g->a.data, stride_of(&g->a), g->b.data,
          stride_of(&g->b), 0.0f, g->c, (int)g->c_row);
}

static bool open_openblas(struct bench_peer *peer, int threads)
{
    void (*set_threads)(int) = NULL;
    /* Its workers spin for 2^26 cycles after a call; 2^22 are about 2 ms. */
    setenv("OPENBLAS_THREAD_TIMEOUT", "22", 0);
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return false;
    find(lib, "openblas_set_num_threads", &set_threads);
    *peer = (struct bench_peer){"OpenBLAS", run_openblas, dlsym(lib, "cblas_sgemm")};
    if (set_threads)
        set_threads(threads);
    return peer->product && set_threads;
}

typedef int dnnl_fn(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                    const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                    int64_t ldc);

static void run_onednn(const struct bench_peer *peer, const struct ml_gemm *g)
{
    dnnl_fn *sgemm;
    memcpy(&sgemm, &peer->product, sizeof sgemm);
    sgemm(is_turned(&g->a) ? 'T' : 'N', is_turned(&g->b) ? 'T' : 'N', g->m, g->n, g->k, 1.0f,
          g->a.data, stride_of(&g->a), g->b.data, stride_of(&g->b), 0.0f, g->c, g->c_row);
}

static bool open_onednn(struct bench_peer *peer, int threads)
{
    static const char *const names[] = {"libdnnl.so.3", "libdnnl.so.2"};
    void *lib = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !lib; i++)
        lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return false;
    void (*set_threads)(int) = NULL;
    find(lib, "omp_set_num_threads", &set_threads);
    *peer = (struct bench_peer){"oneDNN", run_onednn, dlsym(lib, "dnnl_sgemm")};
    if (set_threads)
        set_threads(threads);
    return peer->product && (set_threads || threads == 1);
}

int bench_peers_open(struct bench_peer peers[BENCH_PEERS], int threads)
{
    int count = 0;
    count += open_openblas(&peers[count], threads);
    count += open_onednn(&peers[count], threads);
    return count;
}
