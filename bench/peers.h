/* Matrix products of other libraries, for gemm_peers.c. OpenBLAS is looked for at run time, oneDNN
 * (2 or 3) is there when its headers were at build time. */
#ifndef ML_BENCH_PEERS_H
#define ML_BENCH_PEERS_H

#include <stdbool.h>

#include "kernel/gemm.h"

/* One product, or `batch` products whose matrices lie one after the other without gaps. */
struct peer_problem {
    struct ml_gemm g; /* f32 (a, b, c of type F32), or bf16 where g.bf16; no bias, no activation */
    int64_t batch;
    const uint8_t *i8_a; /* not NULL: u8 [m,k] times s8 [n,k] transposed, into f32 g.c */
    const int8_t *i8_w;
    const float *i8_scale; /* [n]: of each column of C */
};

/* Opens the library for so many threads; false when it is not there. `about` gets its version and
 * the processor it was tuned for. */
bool peer_openblas_open(int threads, char *about, size_t size);
void peer_openblas_threads(int threads);
/* One f32 product with the same memory and strides. */
void peer_openblas_run(const struct ml_gemm *g);

bool peer_onednn_open(int threads, char *about, size_t size);

/* One way of oneDNN to do a problem; what is prepared here is not timed. `reorder`: matrix B is
 * brought into the layout that oneDNN likes best (weights that stay can be). NULL when oneDNN
 * refuses. */
struct peer_onednn;
struct peer_onednn *peer_onednn_new(const struct peer_problem *p, bool reorder);
const char *peer_onednn_how(const struct peer_onednn *o); /* oneDNN's name of what runs */
void peer_onednn_run(struct peer_onednn *o);
void peer_onednn_free(struct peer_onednn *o);

#endif
