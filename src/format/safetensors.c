#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"

struct st_type {
    const char *name;
    int bits;
    enum ml_number number;
};

/* Every type that the format knows (safetensors 0.8). */
static const struct st_type st_types[] = {
    {"F32", 32, ML_NUMBER_F32},          {"BF16", 16, ML_NUMBER_BF16},
    {"F16", 16, ML_NUMBER_F16},          {"I32", 32, ML_NUMBER_I32},
    {"F64", 64, ML_NUMBER_F64},          {"I64", 64, ML_NUMBER_OTHER},
    {"U64", 64, ML_NUMBER_OTHER},        {"C64", 64, ML_NUMBER_OTHER},
    {"U32", 32, ML_NUMBER_OTHER},        {"I16", 16, ML_NUMBER_OTHER},
    {"U16", 16, ML_NUMBER_OTHER},        {"I8", 8, ML_NUMBER_OTHER},
    {"U8", 8, ML_NUMBER_OTHER},          {"BOOL", 8, ML_NUMBER_OTHER},
    {"F8_E4M3", 8, ML_NUMBER_OTHER},     {"F8_E5M2", 8, ML_NUMBER_OTHER},
    {"F8_E8M0", 8, ML_NUMBER_OTHER},     {"F8_E4M3FNUZ", 8, ML_NUMBER_OTHER},
    {"F8_E5M2FNUZ", 8, ML_NUMBER_OTHER}, {"F6_E2M3", 6, ML_NUMBER_OTHER},
    {"F6_E3M2", 6, ML_NUMBER_OTHER},     {"F4", 4, ML_NUMBER_OTHER},
};

static const struct st_type *find_type(const char *name)
{
    for (size_t i = 0; name && i < sizeof st_types / sizeof *st_types; i++)
        if (strcmp(st_types[i].name, name) == 0)
            return &st_types[i];
    return NULL;
}

static int out_of_memory(const struct ml_safetensors *f, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for the list of tensors", f->path);
}

static int damaged(const struct ml_safetensors *f, const char *name, const char *problem,
                   struct ml_error *err)
{
    return ml_fail(err, ML_ERR_FORMAT,
                   "%s: tensor \"%s\": %s; the file is damaged, get or save it again", f->path,
                   name, problem);
}

static int name_is_bad(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return 1;
    return n == 0 || n > ML_SAFETENSORS_MAX_NAME;
}

static int read_shape(struct ml_safetensors *f, struct ml_safetensors_entry *e, const json_t *shape,
                      struct ml_error *err)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape))
        return damaged(f, e->name, "\"shape\" is missing or not a list", err);
    if (rank > ML_SAFETENSORS_MAX_RANK)
        return damaged(f, e->name, "more than 64 dimensions", err);
    int64_t *dim = ml_arena_calloc(&f->arena, rank + 1, sizeof *dim);
    if (!dim)
        return out_of_memory(f, err);
    e->count = 1;
    for (size_t i = 0; i < rank; i++) {
        const json_t *value = json_array_get(shape, i);
        dim[i] = json_integer_value(value);
        if (!json_is_integer(value) || dim[i] < 0)
            return damaged(f, e->name, "a dimension is not a whole number of 0 or more", err);
        if (__builtin_mul_overflow(e->count, dim[i], &e->count))
            return damaged(f, e->name, "the shape has more elements than a file can hold", err);
    }
    e->ndim = (int)rank;
    e->dim = dim;
    return 0;
}

/* The size that type and shape ask for must be the size that the offsets give. */
static int read_range(const struct ml_safetensors *f, struct ml_safetensors_entry *e, int bits,
                      const json_t *offsets, struct ml_error *err)
{
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(first), end = json_integer_value(last), total;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !json_is_integer(first) ||
        !json_is_integer(last))
        return damaged(f, e->name, "\"data_offsets\" is not a pair of whole numbers", err);
    if (begin < 0 || begin > end)
        return damaged(f, e->name, "its data ends before it begins", err);
    if (__builtin_mul_overflow(e->count, bits, &total) || total % 8 != 0)
        return damaged(f, e->name, "the shape does not fill whole bytes of a possible file", err);
    if (total / 8 != end - begin)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: tensor \"%s\": shape and type %s need %lld bytes, its offsets give "
                       "%lld; the file is damaged, get or save it again",
                       f->path, e->name, e->type, (long long)(total / 8), (long long)(end - begin));
    e->offset = (uint64_t)begin;
    e->bytes = (uint64_t)(end - begin);
    return 0;
}

static int read_entry(struct ml_safetensors *f, const char *name, const json_t *value,
                      struct ml_error *err)
{
    struct ml_safetensors_entry *e = &f->entries[f->count];
    if (name_is_bad(name))
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: a tensor's name is empty, longer than %d bytes or has control "
                       "characters; the file is damaged, get or save it again",
                       f->path, ML_SAFETENSORS_MAX_NAME);
    e->name = ml_arena_strdup(&f->arena, name);
    if (!e->name)
        return out_of_memory(f, err);
    if (!json_is_object(value))
        return damaged(f, name, "its description is not an object", err);
    const char *type_name = json_string_value(json_object_get(value, "dtype"));
    const struct st_type *type = find_type(type_name);
    if (!type_name)
        return damaged(f, name, "\"dtype\" is missing", err);
    if (!type)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: tensor \"%s\" has the unknown number type \"%.16s\"; save it as F32 "
                       "or BF16",
                       f->path, name, type_name);
    e->type = type->name;
    e->number = type->number;
    int rc = read_shape(f, e, json_object_get(value, "shape"), err);
    if (rc == 0)
        rc = read_range(f, e, type->bits, json_object_get(value, "data_offsets"), err);
    if (rc == 0)
        f->count++;
    return rc;
}

static int read_notes(struct ml_safetensors *f, json_t *object, struct ml_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return ml_fail(err, ML_ERR_FORMAT, "%s: __metadata__ is not an object of strings", f->path);
    f->notes = ml_arena_calloc(&f->arena, json_object_size(object) + 1, sizeof *f->notes);
    if (!f->notes)
        return out_of_memory(f, err);
    json_object_foreach(object, key, value)
    {
        struct ml_saved_note *note = &f->notes[f->note_count];
        if (!json_is_string(value))
            return ml_fail(err, ML_ERR_FORMAT, "%s: __metadata__ \"%.64s\" is not a string",
                           f->path, key);
        note->key = ml_arena_strdup(&f->arena, key);
        note->value = ml_arena_strdup(&f->arena, json_string_value(value));
        if (!note->key || !note->value)
            return out_of_memory(f, err);
        f->note_count++;
    }
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct ml_safetensors_entry *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ml_safetensors_entry *const *)a)->name,
                  (*(const struct ml_safetensors_entry *const *)b)->name);
}

/* Sorts by position and demands that the tensors cover the data section exactly. */
static int check_cover(struct ml_safetensors *f, const uint8_t *data, uint64_t size,
                       struct ml_error *err)
{
    uint64_t end = 0;
    qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_offset);
    for (int i = 0; i < f->count; i++) {
        struct ml_safetensors_entry *e = &f->entries[i];
        if (e->offset > size || e->bytes > size - e->offset)
            return ml_fail(err, ML_ERR_FORMAT,
                           "%s: tensor \"%s\" ends at byte %llu of the data, the file has %llu; it "
                           "is cut off or damaged, get or save it again",
                           f->path, e->name, (unsigned long long)(e->offset + e->bytes),
                           (unsigned long long)size);
        if (e->offset < end)
            return damaged(f, e->name, "its data overlaps another tensor's", err);
        if (e->offset > end)
            return damaged(f, e->name, "bytes before its data belong to no tensor", err);
        e->data = data + e->offset;
        end = e->offset + e->bytes;
    }
    if (end != size)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: %llu bytes after the last tensor belong to no tensor; the file is "
                       "damaged, get or save it again",
                       f->path, (unsigned long long)(size - end));
    return 0;
}

static int read_header(struct ml_safetensors *f, const char *text, size_t n, struct ml_error *err)
{
    const char *name;
    json_t *root = NULL, *value;
    const char *what = ml_arena_printf(&f->arena, "%s (header)", f->path);
    int rc = what ? ml_json_parse(&root, text, n, what, err) : out_of_memory(f, err);
    if (rc == 0 && !json_is_object(root))
        rc = ml_fail(err, ML_ERR_FORMAT, "%s: the header is not a JSON object", f->path);
    if (rc == 0) {
        size_t room = json_object_size(root) + 1;
        f->entries = ml_arena_calloc(&f->arena, room, sizeof *f->entries);
        f->by_name = ml_arena_calloc(&f->arena, room, sizeof *f->by_name);
        if (!f->entries || !f->by_name)
            rc = out_of_memory(f, err);
    }
    if (rc == 0)
        json_object_foreach(root, name, value)
        {
            rc = strcmp(name, "__metadata__") == 0 ? read_notes(f, value, err)
                                                   : read_entry(f, name, value, err);
            if (rc != 0)
                break;
        }
    json_decref(root);
    return rc;
}

/* The length word against the file: before anything is allocated for it. */
static int header_length(const struct ml_safetensors *f, const uint8_t *bytes, size_t size,
                         size_t *out, struct ml_error *err)
{
    uint64_t length = 0;
    if (size < 8)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: only %zu bytes, too short for a safetensors file; get or save it again",
                       f->path, size);
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > ML_SAFETENSORS_MAX_HEADER)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: says that its header has %llu bytes (limit %d); this is not a "
                       "safetensors file, or it is damaged",
                       f->path, (unsigned long long)length, ML_SAFETENSORS_MAX_HEADER);
    if (length > size - 8)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: the header has %llu bytes, the file only %zu; it is cut off, get or "
                       "save it again",
                       f->path, (unsigned long long)length, size);
    if (length < 2 || bytes[8] != '{')
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: the header does not begin with '{'; this is not a safetensors file",
                       f->path);
    *out = (size_t)length;
    return 0;
}

static int parse(struct ml_safetensors *f, const uint8_t *bytes, size_t size, struct ml_error *err)
{
    size_t header = 0;
    int rc = header_length(f, bytes, size, &header, err);
    if (rc == 0)
        rc = read_header(f, (const char *)bytes + 8, header, err);
    if (rc == 0)
        rc = check_cover(f, bytes + 8 + header, size - 8 - header, err);
    if (rc != 0)
        return rc;
    for (int i = 0; i < f->count; i++)
        f->by_name[i] = &f->entries[i];
    qsort(f->by_name, (size_t)f->count, sizeof *f->by_name, by_name);
    ml_kernels_init(&f->kernels, ML_ISA_COUNT - 1);
    return 0;
}

int ml_safetensors_parse(struct ml_safetensors *out, const uint8_t *bytes, size_t size,
                         const char *what, struct ml_error *err)
{
    struct ml_safetensors f = {0};
    ml_arena_init(&f.arena, 0);
    f.path = ml_arena_strdup(&f.arena, what);
    int rc = f.path ? parse(&f, bytes, size, err)
                    : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", what);
    if (rc == 0)
        *out = f;
    else
        ml_safetensors_close(&f);
    return rc;
}

int ml_safetensors_open(struct ml_safetensors *out, const char *path, struct ml_error *err)
{
    struct ml_file_map map = {0};
    int rc = ml_file_map_open(&map, path, err);
    if (rc != 0)
        return rc;
    rc = ml_safetensors_parse(out, map.data, map.size, path, err);
    if (rc == 0)
        out->map = map;
    else
        ml_file_map_close(&map);
    return rc;
}

void ml_safetensors_close(struct ml_safetensors *file)
{
    if (!file)
        return;
    ml_file_map_close(&file->map);
    ml_arena_clear(&file->arena);
    memset(file, 0, sizeof *file);
}

const struct ml_safetensors_entry *ml_safetensors_find(const struct ml_safetensors *file,
                                                       const char *name)
{
    struct ml_safetensors_entry wanted = {.name = name};
    const struct ml_safetensors_entry *key = &wanted, **found;
    if (file->count == 0)
        return NULL;
    found = bsearch(&key, file->by_name, (size_t)file->count, sizeof *file->by_name, by_name);
    return found ? *found : NULL;
}

const char *ml_safetensors_note(const struct ml_safetensors *file, const char *key)
{
    for (int i = 0; i < file->note_count; i++)
        if (strcmp(file->notes[i].key, key) == 0)
            return file->notes[i].value;
    return NULL;
}

int ml_safetensors_load(const struct ml_safetensors *file, const struct ml_safetensors_entry *entry,
                        enum ml_dtype dtype, void *to, struct ml_error *err)
{
    struct ml_conversion c = {entry->number, entry->data, dtype, to, entry->count};
    if (entry->ndim > ML_MAX_DIMS)
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: tensor \"%s\" has %d dimensions, at most %d can be loaded", file->path,
                       entry->name, entry->ndim, ML_MAX_DIMS);
    if (!ml_number_fits(entry->number, dtype))
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: tensor \"%s\" holds %s, which cannot be loaded as %s; save it as F32 "
                       "or BF16",
                       file->path, entry->name, entry->type, ml_dtype_name(dtype));
    int64_t at = ml_convert(&file->kernels, &c);
    if (at >= 0)
        return ml_fail(err, ML_ERR_NUMERIC,
                       "%s: tensor \"%s\" has %g at index %lld, more than %s can hold; load it as "
                       "a wider type",
                       file->path, entry->name, ml_number_get(entry->number, entry->data, at),
                       (long long)at, ml_dtype_name(dtype));
    return 0;
}

int ml_safetensors_check_finite(const struct ml_safetensors *file, struct ml_error *err)
{
    for (int i = 0; i < file->count; i++) {
        const struct ml_safetensors_entry *e = &file->entries[i];
        int64_t at = ml_number_find_nonfinite(e->number, e->data, e->count);
        if (at >= 0)
            return ml_fail(err, ML_ERR_NUMERIC,
                           "%s: tensor \"%s\" has %g at index %lld; weights must be finite, use an "
                           "earlier checkpoint",
                           file->path, e->name, ml_number_get(e->number, e->data, at),
                           (long long)at);
    }
    return 0;
}
