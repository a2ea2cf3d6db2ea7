#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "format/gguf.h"

/* The part of the file that is still to be read. A read past the end sets `short_by_now` and gives
 * zeros, so that a group of reads needs one check. */
struct cursor {
    const uint8_t *data;
    uint64_t size, at;
    bool short_by_now;
};

static const uint8_t *take(struct cursor *c, uint64_t n)
{
    if (c->short_by_now || n > c->size - c->at) {
        c->short_by_now = true;
        return NULL;
    }
    c->at += n;
    return c->data + (c->at - n);
}

static uint64_t little_endian(const uint8_t *bytes, int size)
{
    uint64_t out = 0;
    for (int i = size - 1; i >= 0; i--)
        out = out << 8 | bytes[i];
    return out;
}

static uint64_t take_uint(struct cursor *c, int size)
{
    const uint8_t *bytes = take(c, (uint64_t)size);
    return bytes ? little_endian(bytes, size) : 0;
}

static const int type_bytes[ML_GGUF_TYPE_COUNT] = {
    [ML_GGUF_U8] = 1,  [ML_GGUF_I8] = 1,  [ML_GGUF_U16] = 2, [ML_GGUF_I16] = 2,
    [ML_GGUF_U32] = 4, [ML_GGUF_I32] = 4, [ML_GGUF_F32] = 4, [ML_GGUF_BOOL] = 1,
    [ML_GGUF_U64] = 8, [ML_GGUF_I64] = 8, [ML_GGUF_F64] = 8,
};

static int cut_off(const struct ml_gguf *f, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_FORMAT,
                   "%s: the file ends inside its header; it is cut off, get or save it again",
                   f->path);
}

static int out_of_memory(const struct ml_gguf *f, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for the header", f->path);
}

static int damaged(const struct ml_gguf *f, const char *kind, const char *name, const char *problem,
                   struct ml_error *err)
{
    return ml_fail(err, ML_ERR_FORMAT,
                   "%s: %s \"%.128s\": %s; the file is damaged, get or save it again", f->path,
                   kind, name, problem);
}

/* A string in the map: its bytes and length, NULL when it is longer than the file or the limit. */
static const char *take_string(struct cursor *c, uint64_t limit, size_t *length)
{
    uint64_t n = take_uint(c, 8);
    if (n > limit)
        c->short_by_now = true;
    *length = (size_t)n;
    return (const char *)take(c, n);
}

/* A key or name: UTF-8 without control characters, not empty. */
static int take_name(struct ml_gguf *f, struct cursor *c, uint64_t limit, const char **out,
                     struct ml_error *err)
{
    size_t n = 0;
    const char *text = take_string(c, limit, &n);
    int bad = n == 0 || !text || !ml_utf8_valid(text, n);
    for (size_t i = 0; !bad && i < n; i++)
        bad = (unsigned char)text[i] < 0x20;
    if (bad)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: a key or tensor name is empty, not UTF-8 or longer than %llu bytes; "
                       "the file is damaged or cut off, get or save it again",
                       f->path, (unsigned long long)limit);
    *out = ml_arena_strndup(&f->arena, text, n);
    return *out ? 0 : out_of_memory(f, err);
}

static double to_float(uint64_t bits, enum ml_gguf_type type)
{
    uint32_t low = (uint32_t)bits;
    float single;
    double wide;
    memcpy(&single, &low, 4);
    memcpy(&wide, &bits, 8);
    return type == ML_GGUF_F32 ? (double)single : wide;
}

static void set_scalar(struct ml_gguf_value *v, uint64_t bits)
{
    switch (v->type) {
    case ML_GGUF_I8:
        v->scalar.i = (int8_t)bits;
        break;
    case ML_GGUF_I16:
        v->scalar.i = (int16_t)bits;
        break;
    case ML_GGUF_I32:
        v->scalar.i = (int32_t)bits;
        break;
    case ML_GGUF_F32:
    case ML_GGUF_F64:
        v->scalar.f = to_float(bits, v->type);
        break;
    default:
        v->scalar.u = bits; /* I64 has the same bits as its union member */
    }
}

static int take_scalar(struct ml_gguf *f, struct cursor *c, struct ml_gguf_value *v,
                       struct ml_error *err)
{
    v->count = 1;
    if (v->type == ML_GGUF_STRING) {
        size_t n = 0;
        const char *text = take_string(c, ML_GGUF_MAX_LENGTH, &n);
        if (!text)
            return cut_off(f, err);
        if (!ml_utf8_valid(text, n) || memchr(text, 0, n))
            return damaged(f, "key", v->key, "its text is not UTF-8", err);
        v->string = ml_arena_strndup(&f->arena, text, n);
        return v->string ? 0 : out_of_memory(f, err);
    }
    uint64_t bits = take_uint(c, type_bytes[v->type]);
    if (c->short_by_now)
        return cut_off(f, err);
    if (v->type == ML_GGUF_BOOL && bits > 1)
        return damaged(f, "key", v->key, "a boolean is neither 0 nor 1", err);
    set_scalar(v, bits);
    return 0;
}

static int take_array(struct ml_gguf *f, struct cursor *c, struct ml_gguf_value *v,
                      struct ml_error *err)
{
    uint64_t type = take_uint(c, 4), count = take_uint(c, 8), start = c->at;
    if (c->short_by_now)
        return cut_off(f, err);
    if (type >= ML_GGUF_TYPE_COUNT || type == ML_GGUF_ARRAY)
        return damaged(f, "key", v->key, "an array of arrays or of an unknown type", err);
    if (count > ML_GGUF_MAX_LENGTH)
        return damaged(f, "key", v->key, "an array with more than 2^30 elements", err);
    v->type = (enum ml_gguf_type)type;
    v->is_array = true;
    v->count = count;
    if (v->type == ML_GGUF_STRING) {
        for (uint64_t i = 0; i < count && !c->short_by_now; i++) {
            size_t n;
            take_string(c, ML_GGUF_MAX_LENGTH, &n);
        }
    } else {
        take(c, count * (uint64_t)type_bytes[v->type]);
    }
    if (c->short_by_now)
        return cut_off(f, err);
    v->data = c->data + start;
    v->bytes = c->at - start;
    return 0;
}

static int take_value(struct ml_gguf *f, struct cursor *c, struct ml_error *err)
{
    struct ml_gguf_value *v = &f->values[f->value_count];
    int rc = take_name(f, c, ML_GGUF_MAX_KEY, &v->key, err);
    if (rc != 0)
        return rc;
    uint64_t type = take_uint(c, 4);
    if (c->short_by_now)
        return cut_off(f, err);
    if (type >= ML_GGUF_TYPE_COUNT)
        return damaged(f, "key", v->key, "a value of an unknown type", err);
    v->type = (enum ml_gguf_type)type;
    rc = v->type == ML_GGUF_ARRAY ? take_array(f, c, v, err) : take_scalar(f, c, v, err);
    if (rc == 0)
        f->value_count++;
    return rc;
}

/* Blocks lie along the fastest dimension, which must be whole blocks. */
static int size_tensor(const struct ml_gguf *f, struct ml_gguf_tensor *t, struct ml_error *err)
{
    int64_t bytes = 0, row = t->ndim ? t->dim[t->ndim - 1] : 1;
    t->count = 1;
    for (int i = 0; i < t->ndim; i++)
        if (t->dim[i] < 0 || __builtin_mul_overflow(t->count, t->dim[i], &t->count))
            return damaged(f, "tensor", t->name, "an impossible shape", err);
    if (row % t->block->count != 0)
        return damaged(f, "tensor", t->name, "its rows are not whole blocks of its type", err);
    if (__builtin_mul_overflow(t->count / t->block->count, t->block->bytes, &bytes))
        return damaged(f, "tensor", t->name, "an impossible shape", err);
    t->bytes = (uint64_t)bytes;
    return 0;
}

static int take_tensor(struct ml_gguf *f, struct cursor *c, struct ml_error *err)
{
    struct ml_gguf_tensor *t = &f->tensors[f->tensor_count];
    int rc = take_name(f, c, ML_GGUF_MAX_NAME, &t->name, err);
    if (rc != 0)
        return rc;
    uint64_t ndim = take_uint(c, 4);
    if (ndim > ML_GGUF_MAX_DIMS)
        return damaged(f, "tensor", t->name, "more than 4 dimensions", err);
    t->ndim = (int)ndim;
    for (int i = t->ndim - 1; i >= 0; i--)
        t->dim[i] = (int64_t)take_uint(c, 8);
    uint64_t type = take_uint(c, 4);
    t->offset = take_uint(c, 8);
    if (c->short_by_now)
        return cut_off(f, err);
    t->block = type < 1000 ? ml_gguf_block_find((int)type) : NULL;
    if (!t->block)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: tensor \"%s\" has the unknown type %llu; convert the file to a common "
                       "type such as Q4_K_M",
                       f->path, t->name, (unsigned long long)type);
    rc = size_tensor(f, t, err);
    if (rc == 0)
        f->tensor_count++;
    return rc;
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const struct ml_gguf_value *const *)a)->key,
                  (*(const struct ml_gguf_value *const *)b)->key);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ml_gguf_tensor *const *)a)->name,
                  (*(const struct ml_gguf_tensor *const *)b)->name);
}

static int index_names(struct ml_gguf *f, struct ml_error *err)
{
    f->by_key = ml_arena_calloc(&f->arena, (size_t)f->value_count + 1, sizeof *f->by_key);
    f->by_name = ml_arena_calloc(&f->arena, (size_t)f->tensor_count + 1, sizeof *f->by_name);
    if (!f->by_key || !f->by_name)
        return out_of_memory(f, err);
    for (int i = 0; i < f->value_count; i++)
        f->by_key[i] = &f->values[i];
    for (int i = 0; i < f->tensor_count; i++)
        f->by_name[i] = &f->tensors[i];
    qsort(f->by_key, (size_t)f->value_count, sizeof *f->by_key, by_key);
    qsort(f->by_name, (size_t)f->tensor_count, sizeof *f->by_name, by_name);
    for (int i = 1; i < f->value_count; i++)
        if (by_key(&f->by_key[i - 1], &f->by_key[i]) == 0)
            return damaged(f, "key", f->by_key[i]->key, "it appears twice", err);
    for (int i = 1; i < f->tensor_count; i++)
        if (by_name(&f->by_name[i - 1], &f->by_name[i]) == 0)
            return damaged(f, "tensor", f->by_name[i]->name, "it appears twice", err);
    return 0;
}

static int find_alignment(struct ml_gguf *f, struct ml_error *err)
{
    const struct ml_gguf_value *v = ml_gguf_get(f, "general.alignment");
    f->alignment = ML_GGUF_ALIGNMENT;
    if (!v)
        return 0;
    if (v->type != ML_GGUF_U32 || v->is_array || v->scalar.u == 0 ||
        v->scalar.u > ML_GGUF_MAX_ALIGNMENT || (v->scalar.u & (v->scalar.u - 1)) != 0)
        return damaged(f, "key", v->key, "it is not a power of two of at most 2^20", err);
    f->alignment = (uint32_t)v->scalar.u;
    return 0;
}

/* Offsets must be what a writer without gaps gives, and the last tensor must fit in the file. */
static int place_tensors(struct ml_gguf *f, const struct cursor *c, struct ml_error *err)
{
    uint64_t mask = f->alignment - 1, start = (c->at + mask) & ~mask, expected = 0;
    uint64_t room = start < c->size ? c->size - start : 0;
    for (int i = 0; i < f->tensor_count; i++) {
        struct ml_gguf_tensor *t = &f->tensors[i];
        if (t->offset != expected)
            return damaged(f, "tensor", t->name, "its data does not follow the tensor before it",
                           err);
        if (t->offset > room || t->bytes > room - t->offset)
            return damaged(f, "tensor", t->name, "the file ends before its data does", err);
        t->data = c->data + (t->bytes ? start + t->offset : 0);
        expected = (t->offset + t->bytes + mask) & ~mask;
    }
    return 0;
}

/* The smallest that a key-value (length 8, one byte, type 4, value 1) and a tensor (length 8, one
 * byte, rank 4, type 4, offset 8) can be: a small file cannot ask for a large table. */
#define MIN_VALUE_BYTES  14
#define MIN_TENSOR_BYTES 25

static int parse(struct ml_gguf *f, struct cursor *c, struct ml_error *err)
{
    const uint8_t *magic = take(c, 4);
    uint64_t version = take_uint(c, 4), tensors = take_uint(c, 8), values = take_uint(c, 8);
    int rc = 0;
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return ml_fail(err, ML_ERR_FORMAT, "%s: does not begin with \"GGUF\": not a GGUF file",
                       f->path);
    if (c->short_by_now)
        return cut_off(f, err);
    if (version != 2 && version != 3)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: GGUF version %llu; versions 2 and 3 are read, convert the file again",
                       f->path, (unsigned long long)version);
    uint64_t left = c->size - c->at;
    if (values > left / MIN_VALUE_BYTES || tensors > left / MIN_TENSOR_BYTES ||
        values > INT32_MAX || tensors > INT32_MAX)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: says that it has %llu keys and %llu tensors, more than its size "
                       "allows; it is damaged or cut off, get or save it again",
                       f->path, (unsigned long long)values, (unsigned long long)tensors);
    f->values = ml_arena_calloc(&f->arena, (size_t)values + 1, sizeof *f->values);
    f->tensors = ml_arena_calloc(&f->arena, (size_t)tensors + 1, sizeof *f->tensors);
    if (!f->values || !f->tensors)
        return out_of_memory(f, err);
    for (uint64_t i = 0; rc == 0 && i < values; i++)
        rc = take_value(f, c, err);
    for (uint64_t i = 0; rc == 0 && i < tensors; i++)
        rc = take_tensor(f, c, err);
    if (rc == 0)
        rc = index_names(f, err);
    if (rc == 0)
        rc = find_alignment(f, err);
    if (rc == 0)
        rc = place_tensors(f, c, err);
    return rc;
}

int ml_gguf_parse(struct ml_gguf *out, const uint8_t *bytes, size_t size, const char *what,
                  struct ml_error *err)
{
    struct ml_gguf f = {0};
    struct cursor c = {bytes, size, 0, false};
    ml_arena_init(&f.arena, 0);
    f.path = ml_arena_strdup(&f.arena, what);
    int rc = f.path ? parse(&f, &c, err) : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", what);
    if (rc != 0) {
        ml_gguf_close(&f);
        return rc;
    }
    ml_kernels_init(&f.kernels, ML_ISA_COUNT - 1);
    *out = f;
    return 0;
}

int ml_gguf_open(struct ml_gguf *out, const char *path, struct ml_error *err)
{
    struct ml_file_map map = {0};
    int rc = ml_file_map_open(&map, path, err);
    if (rc != 0)
        return rc;
    rc = ml_gguf_parse(out, map.data, map.size, path, err);
    if (rc == 0)
        out->map = map;
    else
        ml_file_map_close(&map);
    return rc;
}

void ml_gguf_close(struct ml_gguf *file)
{
    if (!file)
        return;
    ml_file_map_close(&file->map);
    ml_arena_clear(&file->arena);
    memset(file, 0, sizeof *file);
}

const struct ml_gguf_value *ml_gguf_get(const struct ml_gguf *file, const char *key)
{
    struct ml_gguf_value wanted = {.key = key};
    const struct ml_gguf_value *k = &wanted, **found;
    if (file->value_count == 0)
        return NULL;
    found = bsearch(&k, file->by_key, (size_t)file->value_count, sizeof *file->by_key, by_key);
    return found ? *found : NULL;
}

const struct ml_gguf_tensor *ml_gguf_find(const struct ml_gguf *file, const char *name)
{
    struct ml_gguf_tensor wanted = {.name = name};
    const struct ml_gguf_tensor *k = &wanted, **found;
    if (file->tensor_count == 0)
        return NULL;
    found = bsearch(&k, file->by_name, (size_t)file->tensor_count, sizeof *file->by_name, by_name);
    return found ? *found : NULL;
}

int ml_gguf_load(const struct ml_gguf *file, const struct ml_gguf_tensor *tensor,
                 enum ml_dtype dtype, void *to, struct ml_error *err)
{
    struct ml_conversion c = {tensor->block->number, tensor->data, dtype, to, tensor->count};
    if (!ml_number_fits(c.from_number, dtype))
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: tensor \"%s\" holds %s, which cannot be loaded as %s", file->path,
                       tensor->name, tensor->block->name, ml_dtype_name(dtype));
    int64_t at = ml_convert(&file->kernels, &c);
    if (at >= 0)
        return ml_fail(err, ML_ERR_NUMERIC,
                       "%s: tensor \"%s\" has %g at index %lld, more than %s can hold; load it as "
                       "a wider type",
                       file->path, tensor->name, ml_number_get(c.from_number, c.from, at),
                       (long long)at, ml_dtype_name(dtype));
    return 0;
}

double ml_gguf_number(const struct ml_gguf_value *value, uint64_t index)
{
    struct ml_gguf_value one = {.type = value->type};
    int size = type_bytes[value->type];
    if (size == 0 || index >= value->count)
        return 0;
    if (value->is_array)
        set_scalar(&one, little_endian(value->data + index * (uint64_t)size, size));
    else
        one.scalar = value->scalar;
    switch (one.type) {
    case ML_GGUF_F32:
    case ML_GGUF_F64:
        return one.scalar.f;
    case ML_GGUF_I8:
    case ML_GGUF_I16:
    case ML_GGUF_I32:
    case ML_GGUF_I64:
        return (double)one.scalar.i;
    default:
        return (double)one.scalar.u;
    }
}

const char *ml_gguf_next_string(const struct ml_gguf_value *value, uint64_t *at, size_t *length)
{
    struct cursor c = {value->data, value->bytes, *at, false};
    if (!value->is_array || value->type != ML_GGUF_STRING || c.at >= c.size)
        return NULL;
    const char *text = take_string(&c, ML_GGUF_MAX_LENGTH, length);
    *at = c.at;
    return text;
}
