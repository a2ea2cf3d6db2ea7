/* What this machine and this build can do, and how fast. */
#ifndef MALIANG_SYSTEM_H
#define MALIANG_SYSTEM_H

#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ML_PARTS = 16 }; /* at most */

struct ml_part {
    const char *name, *adds, *package; /* "cairo", "loss curves as pictures", "libcairo2-dev" */
    int present;
    int is_program; /* it is there as soon as the package is installed; else the build decides */
};

struct ml_system_info {
    char processor[128], isa[32], features[256], compiler[128], version[32];
    int processors, threads;
    uint64_t memory_bytes, memory_free_bytes;
    int bf16_hardware;
    struct ml_part parts[ML_PARTS];
    int part_count;
};
int ml_engine_info(struct ml_engine *engine, struct ml_system_info *out, struct ml_error *err);

struct ml_bench_row {
    char name[96];
    double value;
    char unit[16];       /* "GFLOP/s", "tokens/s", "GB/s" */
    double peak_share;   /* against the measured peak of the same run; NaN where it means nothing */
    double flops, bytes; /* of one call; 0 where it means nothing */
    double floor_share;  /* the least time that flops and bytes allow at the peaks measured, against
                            the time taken; 0 where it means nothing */
    char peer[16];       /* the fastest other library here that does the same, such as "OpenBLAS" */
    double peer_value;   /* what it reaches, in the same unit; 0: none is installed */
};
struct ml_bench_request {
    const char *what; /* "kernels", "train", "generate" */
    double seconds;   /* how long to measure in all, 0: 10 */
    int layers, width, heads, kv_heads, ffn, context, batch,
        vocab;             /* the model; 0: 10.7M GPT. kernels: its products */
    const char *precision; /* "auto", "f32", "bf16"; NULL: auto */
    ml_cancel *cancel;
    void (*row)(void *arg, const struct ml_bench_row *row);
    void *arg;
};
int ml_engine_bench(struct ml_engine *engine, const struct ml_bench_request *request,
                    struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
