#include "tensor/device.h"

#include "base/arena.h"
#include "base/fail.h"

int ml_device_new(struct ml_device **out, int threads, enum ml_isa limit, struct ml_error *err)
{
    struct ml_device *device = ml_mem_calloc(1, sizeof *device);
    if (!device)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for a device");
    ml_kernels_init(&device->kernels, limit);
    int status = ml_pool_new(&device->pool, threads, err);
    if (status != 0) {
        ml_mem_free(device);
        return status;
    }
    *out = device;
    return 0;
}

void ml_device_free(struct ml_device *device)
{
    if (!device)
        return;
    ml_pool_free(device->pool);
    ml_mem_free(device);
}
