#include "tensor/tensor.h"

#include <stdio.h>

int64_t ml_count(const struct ml_tensor *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->ndim; i++)
        count *= t->dim[i];
    return count;
}

size_t ml_bytes(const struct ml_tensor *t)
{
    return (size_t)ml_count(t) * ml_dtype_size(t->dtype);
}

int64_t ml_width(const struct ml_tensor *t)
{
    return t->ndim > 0 ? t->dim[t->ndim - 1] : 1;
}

int64_t ml_rows(const struct ml_tensor *t)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < t->ndim; i++)
        rows *= t->dim[i];
    return rows;
}

bool ml_same_shape(const struct ml_tensor *a, const struct ml_tensor *b)
{
    if (a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

char *ml_shape_text(const struct ml_tensor *t, char *buffer, size_t n)
{
    size_t at = 0;
    for (int i = 0; i < t->ndim && at < n; i++)
        at += (size_t)snprintf(buffer + at, n - at, "%s%lld", i ? "," : "[", (long long)t->dim[i]);
    if (at < n)
        snprintf(buffer + at, n - at, "%s] %s", t->ndim ? "" : "[", ml_dtype_name(t->dtype));
    return buffer;
}
