#include "format/saved.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"

#define CHUNK 4096 /* numbers */

int64_t ml_saved_count(const struct ml_saved_tensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->ndim; i++)
        count *= tensor->dim[i];
    return count;
}

uint64_t ml_saved_bytes(const struct ml_saved_tensor *tensor)
{
    return (uint64_t)ml_saved_count(tensor) * ml_dtype_size(tensor->storage);
}

static int check_shape(const struct ml_saved_tensor *t, const char *where, struct ml_error *err)
{
    int64_t bytes = 8; /* room for the widest storage */
    if (t->ndim < 0 || t->ndim > ML_MAX_DIMS)
        return ml_fail(err, ML_ERR_ARG, "%s: tensor \"%s\" has %d dimensions, 0 to %d can be saved",
                       where, t->name, t->ndim, ML_MAX_DIMS);
    for (int i = 0; i < t->ndim; i++)
        if (t->dim[i] < 0 || __builtin_mul_overflow(bytes, t->dim[i], &bytes))
            return ml_fail(err, ML_ERR_ARG, "%s: tensor \"%s\" has an impossible dimension %lld",
                           where, t->name, (long long)t->dim[i]);
    if (!t->data && bytes > 0)
        return ml_fail(err, ML_ERR_ARG, "%s: tensor \"%s\" has no data to save", where, t->name);
    return 0;
}

int ml_saved_check(const struct ml_saved_tensor *t, const char *where, struct ml_error *err)
{
    if (!t->name || !*t->name || !ml_utf8_valid(t->name, strlen(t->name)))
        return ml_fail(err, ML_ERR_ARG, "%s: a tensor has no valid UTF-8 name", where);
    if (!ml_number_fits(ml_number_of(t->source), t->storage))
        return ml_fail(
            err, ML_ERR_UNSUPPORTED, "%s: tensor \"%s\" cannot be stored as %s", where, t->name,
            (unsigned)t->storage < ML_DTYPE_COUNT ? ml_dtype_name(t->storage) : "an unknown type");
    return check_shape(t, where, err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int ml_saved_check_all(const struct ml_saved_tensor *tensors, int count, const char *where,
                       struct ml_error *err)
{
    int rc = 0;
    if (count < 0)
        return ml_fail(err, ML_ERR_ARG, "%s: a negative number of tensors to save", where);
    if (count == 0)
        return 0;
    const char **names = ml_mem_calloc((size_t)count, sizeof *names);
    if (!names)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for %d tensor names", where, count);
    for (int i = 0; rc == 0 && i < count; i++) {
        rc = ml_saved_check(&tensors[i], where, err);
        names[i] = tensors[i].name;
    }
    if (rc == 0)
        qsort(names, (size_t)count, sizeof *names, by_text);
    for (int i = 1; rc == 0 && i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            rc = ml_fail(err, ML_ERR_ARG, "%s: two tensors are named \"%s\"; names must differ",
                         where, names[i]);
    ml_mem_free(names);
    return rc;
}

int ml_saved_put(struct ml_writer *writer, const struct ml_saved_tensor *t,
                 const struct ml_kernels *kernels, struct ml_error *err)
{
    _Alignas(ML_ALIGN) unsigned char out[CHUNK * 4];
    const unsigned char *in = t->data;
    int64_t count = ml_saved_count(t);
    size_t in_size = ml_dtype_size(t->source), out_size = ml_dtype_size(t->storage);
    int rc = 0;
    if (t->storage == t->source)
        return count ? ml_writer_put(writer, in, (size_t)count * in_size, err) : 0;
    for (int64_t i = 0; rc == 0 && i < count; i += CHUNK) {
        int64_t n = count - i < CHUNK ? count - i : CHUNK;
        struct ml_conversion c = {ml_number_of(t->source), in + (size_t)i * in_size, t->storage,
                                  out, n};
        int64_t at = ml_convert(kernels, &c);
        if (at >= 0)
            rc = ml_fail(err, ML_ERR_NUMERIC,
                         "tensor \"%s\" has %g at index %lld, more than %s can hold; store it as "
                         "bf16 or f32",
                         t->name, ml_number_get(c.from_number, c.from, at), (long long)(i + at),
                         ml_dtype_name(t->storage));
        else
            rc = ml_writer_put(writer, out, (size_t)n * out_size, err);
    }
    return rc;
}

int ml_saved_pad(struct ml_writer *writer, size_t n, struct ml_error *err)
{
    static const char zeros[4096];
    int rc = 0;
    while (rc == 0 && n > 0) {
        size_t part = n < sizeof zeros ? n : sizeof zeros;
        rc = ml_writer_put(writer, zeros, part, err);
        n -= part;
    }
    return rc;
}
