#include "tensor/device.h"

#include "base/arena.h"
#include "base/fail.h"
#include "tensor/mirror.h"

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

int ml_device_attach(struct ml_device *device, const struct ml_accelerator *accelerator,
                     void *state, struct ml_error *err)
{
    struct ml_mirrors *mirrors = NULL;
    int status = device->accelerator
                     ? ml_fail(err, ML_ERR_STATE, "the device has an accelerator already")
                     : ml_mirrors_new(&mirrors, err);
    if (status != 0) {
        accelerator->close(state);
        return status;
    }
    device->mirrors = mirrors;
    device->accelerator = accelerator;
    device->state = state;
    return 0;
}

const char *ml_device_name(const struct ml_device *device)
{
    return device->accelerator ? device->accelerator->name : "cpu";
}

bool ml_device_has_bf16(const struct ml_device *device)
{
    return device->accelerator ? device->accelerator->bf16 : ml_kernels_have_bf16(&device->kernels);
}

int ml_device_wait(struct ml_device *device, struct ml_error *err)
{
    return device->accelerator ? device->accelerator->finish(device->state, err) : 0;
}

void ml_device_free(struct ml_device *device)
{
    if (!device)
        return;
    ml_mirrors_free(device);
    if (device->accelerator)
        device->accelerator->close(device->state);
    ml_pool_free(device->pool);
    ml_mem_free(device);
}
