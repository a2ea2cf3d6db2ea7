/* What the writers of weight files are given: tensors and notes by name. */
#ifndef ML_FORMAT_SAVED_H
#define ML_FORMAT_SAVED_H

#include <stdint.h>

#include "base/files.h"
#include "format/number.h"
#include "tensor/tensor.h"

/* One tensor to be saved: row-major, dim[0] slowest. Numbers of type `source` at `data` (aligned to
 * their element) are stored as `storage`, converted in chunks on the way out. */
struct ml_saved_tensor {
    const char *name;
    enum ml_dtype storage, source;
    int ndim; /* 0 is a scalar */
    int64_t dim[ML_MAX_DIMS];
    const void *data;
};

struct ml_saved_note {
    const char *key, *value; /* UTF-8 */
};

/* Checks one tensor (name, shape, types, data); `where` names the file in the message. */
int ml_saved_check(const struct ml_saved_tensor *tensor, const char *where, struct ml_error *err);
int64_t ml_saved_count(const struct ml_saved_tensor *tensor); /* elements, of a checked tensor */
uint64_t ml_saved_bytes(const struct ml_saved_tensor *tensor);

/* Checks all tensors and that no name appears twice. */
int ml_saved_check_all(const struct ml_saved_tensor *tensors, int count, const char *where,
                       struct ml_error *err);

/* Streams the numbers as `storage`. A value that the storage type cannot hold is
 * ML_ERR_NUMERIC and names the tensor and the index. */
int ml_saved_put(struct ml_writer *writer, const struct ml_saved_tensor *tensor,
                 const struct ml_kernels *kernels, struct ml_error *err);
/* n zero bytes, n < 2^20. */
int ml_saved_pad(struct ml_writer *writer, size_t n, struct ml_error *err);

#endif
