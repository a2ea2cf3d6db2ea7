/* Finds and opens the module. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "cuda/cuda.h"
#include "maliang_config.h"

#define MODULE     "libmaliang-cuda.so"
#define PATH_BYTES 4096

/* The i-th place where the module may be: named by the user, beside the program, in the build,
 * installed. False when there are no more. */
static bool module_path(int i, char *out, size_t size)
{
    const char *named = getenv("MALIANG_CUDA");
    char program[PATH_BYTES];
    ssize_t n;
    out[0] = 0;
    switch (i) {
    case 0:
        snprintf(out, size, "%s", named ? named : "");
        return true;
    case 1:
        n = readlink("/proc/self/exe", program, sizeof program - 1);
        program[n > 0 ? n : 0] = 0;
        if (strrchr(program, '/'))
            snprintf(out, size, "%.*s/" MODULE, (int)(strrchr(program, '/') - program), program);
        return true;
    case 2:
        snprintf(out, size, "%s", MALIANG_CUDA_BUILT);
        return true;
    case 3:
        snprintf(out, size, "%s", MALIANG_CUDA_INSTALLED);
        return true;
    default:
        return false;
    }
}

static void *open_module(struct ml_error *err)
{
    char path[PATH_BYTES];
    for (int i = 0; module_path(i, path, sizeof path); i++) {
        if (!path[0] || access(path, R_OK) != 0)
            continue;
        void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!module)
            ml_fail(err, ML_ERR_UNSUPPORTED, "no CUDA device: %s", dlerror());
        return module;
    }
    ml_fail(err, ML_ERR_UNSUPPORTED,
            "no CUDA device: this build has no " MODULE
            " (it is made where nvcc and cuBLAS are installed when the program is built)");
    return NULL;
}

int ml_cuda_attach(struct ml_device *device, struct ml_error *err)
{
    struct ml_error why = {0};
    void *module = open_module(&why);
    if (!module)
        return ml_fail(err, why.code, "%s", why.message);
    void *symbol = dlsym(module, ML_CUDA_OPEN);
    ml_cuda_open_fn *open = NULL;
    memcpy(&open, &symbol, sizeof open); /* ISO C has no cast from object to function pointers */
    const struct ml_accelerator *accelerator = NULL;
    void *state = NULL;
    int status = open ? open(ML_CUDA_REVISION, &accelerator, &state, &why)
                      : ml_fail(&why, ML_ERR_UNSUPPORTED,
                                "no CUDA device: " MODULE " is not this program's");
    if (status != 0) {
        dlclose(module);
        return ml_fail(err, status, "%s", why.message);
    }
    return ml_device_attach(device, accelerator, state, err); /* the module stays open */
}
