/* Other libraries' f32 products for `maliang bench kernels`, looked for at run time: OpenBLAS
 * (cblas_sgemm) and oneDNN (dnnl_sgemm). */
#ifndef ML_API_BENCH_PEER_H
#define ML_API_BENCH_PEER_H

#include "kernel/gemm.h"

struct bench_peer {
    const char *name;
    void (*run)(const struct bench_peer *peer,
                const struct ml_gemm *g); /* plain f32, same memory */
    void *product;                        /* the library's function */
};

#define BENCH_PEERS 2

/* Those that are installed, with so many threads; how many. */
int bench_peers_open(struct bench_peer peers[BENCH_PEERS], int threads);

#endif
