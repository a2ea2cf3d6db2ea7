/* The device that tests of ops run on, chosen by MALIANG_TEST_DEVICE: nothing or "cpu"; "mirror",
 * an accelerator made of host memory (below); "cuda", a GPU, without which a test program ends with
 * 77 (skipped) before it begins. */
#ifndef ML_TESTS_TEST_DEVICE_H
#define ML_TESTS_TEST_DEVICE_H

#include "tensor/device.h"

/* "cpu", "mirror" or "cuda". */
const char *test_device_name(void);
/* Puts that accelerator beside the processor; 0 or an error. */
int test_device_attach(struct ml_device *device, struct ml_error *err);
/* Memory of its own that pretends to be far away: new memory is all NaN, ops run there by the
 * processor's kernels, and what they leave on the host's side is overwritten by NaN, so that
 * whoever reads the wrong side is found. Every fourth op is refused, or all of them. */
int mirror_attach(struct ml_device *device, bool refuse_all, struct ml_error *err);
/* Copies that the fake device made since it was attached. */
struct mirror_counts {
    int uploads, downloads, runs;
};
struct mirror_counts mirror_count(const struct ml_device *device);

#endif
