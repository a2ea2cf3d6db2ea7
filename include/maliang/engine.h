/* The engine: the processor's kernels and a pool of threads, and a GPU where one is asked for. One
 * engine serves one call at a time; several engines may live side by side. */
#ifndef MALIANG_ENGINE_H
#define MALIANG_ENGINE_H

#include "maliang/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ml_engine;

struct ml_engine_options {
    int threads;     /* 0: all processors that this process may use */
    const char *isa; /* at most this instruction set: "ref", "avx2", "avx512", "avx512-bf16", "amx";
                        NULL: the best of this processor */
    const char *device; /* "cpu"; "cuda": an NVIDIA GPU beside it, an error where there is none;
                           "auto": one where there is one; NULL: "cpu" */
};

/* options may be NULL. Close with ml_engine_close, which accepts NULL. */
int ml_engine_open(struct ml_engine **out, const struct ml_engine_options *options,
                   struct ml_error *err);
void ml_engine_close(struct ml_engine *engine);
int ml_engine_threads(const struct ml_engine *engine);
/* What computes: "cpu" or "cuda". */
const char *ml_engine_device(const struct ml_engine *engine);

/* "0.1.0" */
const char *ml_version(void);

/* Strings that other calls hand out are freed with this; NULL is fine. */
void ml_string_free(char *text);

/* A flag that a signal handler or another thread raises (non-zero) to stop long work cleanly: the
 * call then returns ML_ERR_CANCELLED (training: after writing a checkpoint). NULL: never. */
typedef const volatile int ml_cancel;

#ifdef __cplusplus
}
#endif
#endif
