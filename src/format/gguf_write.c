#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "format/gguf.h"

#define VERSION 3

static int put_uint(struct ml_buffer *b, uint64_t value, int size, struct ml_error *err)
{
    uint8_t bytes[8];
    for (int i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return ml_buffer_put(b, bytes, (size_t)size, err);
}

static int put_string(struct ml_buffer *b, const char *text, struct ml_error *err)
{
    size_t n = strlen(text);
    int rc = put_uint(b, n, 8, err);
    return rc ? rc : ml_buffer_put(b, text, n, err);
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static int put_element(struct ml_buffer *b, const struct ml_gguf_pair *p, uint64_t i,
                       struct ml_error *err)
{
    switch (p->type) {
    case ML_GGUF_STRING:
        return put_string(b, p->array ? ((const char *const *)p->array)[i] : p->string, err);
    case ML_GGUF_I32:
        return put_uint(b, (uint32_t)(p->array ? ((const int32_t *)p->array)[i] : p->i32), 4, err);
    case ML_GGUF_F32:
        return put_uint(b, float_bits(p->array ? ((const float *)p->array)[i] : p->f32), 4, err);
    case ML_GGUF_BOOL:
        return put_uint(b, p->boolean, 1, err);
    default:
        return put_uint(b, p->u32, 4, err);
    }
}

static int put_pair(struct ml_buffer *b, const struct ml_gguf_pair *p, struct ml_error *err)
{
    uint64_t count = p->array ? p->count : 1;
    int rc = put_string(b, p->key, err);
    if (rc == 0)
        rc = put_uint(b, p->array ? ML_GGUF_ARRAY : p->type, 4, err);
    if (rc == 0 && p->array) {
        rc = put_uint(b, p->type, 4, err);
        if (rc == 0)
            rc = put_uint(b, count, 8, err);
    }
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = put_element(b, p, i, err);
    return rc;
}

static int text_ok(const char *text)
{
    return text && ml_utf8_valid(text, strlen(text));
}

static int check_pair(const char *path, const struct ml_gguf_pair *p, struct ml_error *err)
{
    if (!text_ok(p->key) || !*p->key || strlen(p->key) > ML_GGUF_MAX_KEY)
        return ml_fail(err, ML_ERR_ARG, "%s: a key is empty, too long or not UTF-8", path);
    bool ok = p->type == ML_GGUF_I32 || p->type == ML_GGUF_F32 || p->type == ML_GGUF_STRING ||
              (!p->array && (p->type == ML_GGUF_U32 || p->type == ML_GGUF_BOOL));
    if (!ok || (p->array && p->count > ML_GGUF_MAX_LENGTH))
        return ml_fail(err, ML_ERR_ARG, "%s: key \"%.64s\" has a value that cannot be written",
                       path, p->key);
    uint64_t count = p->array ? p->count : 1;
    for (uint64_t i = 0; p->type == ML_GGUF_STRING && i < count; i++)
        if (!text_ok(p->array ? ((const char *const *)p->array)[i] : p->string))
            return ml_fail(err, ML_ERR_ARG, "%s: text %llu of key \"%.64s\" is not UTF-8", path,
                           (unsigned long long)i, p->key);
    return 0;
}

static int check_content(const char *path, const struct ml_gguf_content *content,
                         struct ml_error *err)
{
    int rc = ml_saved_check_all(content->tensors, content->tensor_count, path, err);
    for (int i = 0; rc == 0 && i < content->tensor_count; i++) {
        const struct ml_saved_tensor *t = &content->tensors[i];
        if (t->ndim > ML_GGUF_MAX_DIMS || strlen(t->name) > ML_GGUF_MAX_NAME)
            rc = ml_fail(err, ML_ERR_LIMIT,
                         "%s: tensor \"%s\" has more than %d dimensions or a name of more than %d "
                         "bytes, which GGUF cannot hold",
                         path, t->name, ML_GGUF_MAX_DIMS, ML_GGUF_MAX_NAME);
    }
    for (int i = 0; rc == 0 && i < content->pair_count; i++) {
        rc = check_pair(path, &content->pairs[i], err);
        for (int j = 0; rc == 0 && j < i; j++)
            if (strcmp(content->pairs[i].key, content->pairs[j].key) == 0)
                rc = ml_fail(err, ML_ERR_ARG, "%s: two values have the key \"%.64s\"", path,
                             content->pairs[i].key);
    }
    return rc;
}

static uint64_t align(uint64_t at)
{
    return (at + ML_GGUF_ALIGNMENT - 1) & ~(uint64_t)(ML_GGUF_ALIGNMENT - 1);
}

static int tensor_type(enum ml_dtype dtype)
{
    static const int types[ML_DTYPE_COUNT] = {[ML_F32] = ML_GGML_F32,
                                              [ML_BF16] = ML_GGML_BF16,
                                              [ML_F16] = ML_GGML_F16,
                                              [ML_I32] = ML_GGML_I32};
    return types[dtype];
}

static int put_header(struct ml_buffer *b, const struct ml_gguf_content *content,
                      struct ml_error *err)
{
    uint64_t offset = 0;
    int rc = ml_buffer_put(b, "GGUF", 4, err);
    if (rc == 0)
        rc = put_uint(b, VERSION, 4, err);
    if (rc == 0)
        rc = put_uint(b, (uint64_t)content->tensor_count, 8, err);
    if (rc == 0)
        rc = put_uint(b, (uint64_t)content->pair_count, 8, err);
    for (int i = 0; rc == 0 && i < content->pair_count; i++)
        rc = put_pair(b, &content->pairs[i], err);
    for (int i = 0; rc == 0 && i < content->tensor_count; i++) {
        const struct ml_saved_tensor *t = &content->tensors[i];
        rc = put_string(b, t->name, err);
        if (rc == 0)
            rc = put_uint(b, (uint64_t)t->ndim, 4, err);
        for (int d = t->ndim - 1; rc == 0 && d >= 0; d--) /* ne[0] is the fastest dimension */
            rc = put_uint(b, (uint64_t)t->dim[d], 8, err);
        if (rc == 0)
            rc = put_uint(b, (uint64_t)tensor_type(t->storage), 4, err);
        if (rc == 0)
            rc = put_uint(b, offset, 8, err);
        offset = align(offset + ml_saved_bytes(t));
    }
    return rc;
}

int ml_gguf_write(const char *path, const struct ml_gguf_content *content, struct ml_error *err)
{
    struct ml_writer writer = {0};
    struct ml_buffer header = {0};
    struct ml_kernels kernels;
    int rc = check_content(path, content, err);
    if (rc == 0)
        rc = put_header(&header, content, err);
    if (rc == 0)
        rc = ml_writer_open(&writer, path, err);
    if (rc == 0)
        rc = ml_writer_put(&writer, header.data, header.size, err);
    if (rc == 0)
        rc = ml_saved_pad(&writer, align(header.size) - header.size, err);
    ml_kernels_init(&kernels, ML_ISA_COUNT - 1);
    for (int i = 0; rc == 0 && i < content->tensor_count; i++) {
        uint64_t bytes = ml_saved_bytes(&content->tensors[i]);
        rc = ml_saved_put(&writer, &content->tensors[i], &kernels, err);
        if (rc == 0)
            rc = ml_saved_pad(&writer, align(bytes) - bytes, err);
    }
    if (rc == 0)
        rc = ml_writer_commit(&writer, err);
    ml_writer_abort(&writer);
    ml_buffer_clear(&header);
    return rc;
}
