#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/utf8.h"
#include "format/safetensors.h"

/* Widest type first, then by name: every tensor then lies on a multiple of its element. */
static int by_storage(const void *a, const void *b)
{
    const struct ml_saved_tensor *x = *(const struct ml_saved_tensor *const *)a,
                                 *y = *(const struct ml_saved_tensor *const *)b;
    size_t wide_x = ml_dtype_size(x->storage), wide_y = ml_dtype_size(y->storage);
    if (wide_x != wide_y)
        return wide_x > wide_y ? -1 : 1;
    return strcmp(x->name, y->name);
}

static const char *type_name(enum ml_dtype dtype)
{
    static const char *const names[ML_DTYPE_COUNT] = {
        [ML_F32] = "F32", [ML_BF16] = "BF16", [ML_F16] = "F16", [ML_I32] = "I32"};
    return names[dtype];
}

static int check_note(const char *path, const struct ml_saved_list *list, int index,
                      struct ml_error *err)
{
    const struct ml_saved_note *note = &list->notes[index];
    if (!ml_utf8_valid(note->key, strlen(note->key)) ||
        !ml_utf8_valid(note->value, strlen(note->value)))
        return ml_fail(err, ML_ERR_ARG, "%s: note %d is not valid UTF-8", path, index + 1);
    for (int i = 0; i < index; i++)
        if (strcmp(list->notes[i].key, note->key) == 0)
            return ml_fail(err, ML_ERR_ARG, "%s: two notes are named \"%.64s\"", path, note->key);
    return 0;
}

static int check_list(const char *path, const struct ml_saved_list *list, struct ml_error *err)
{
    int rc = ml_saved_check_all(list->tensors, list->count, path, err);
    for (int i = 0; rc == 0 && i < list->count; i++) {
        const char *name = list->tensors[i].name;
        int bad = strcmp(name, "__metadata__") == 0 || strlen(name) > ML_SAFETENSORS_MAX_NAME;
        for (const char *c = name; *c; c++)
            bad |= (unsigned char)*c < 0x20 || *c == 0x7f;
        if (bad)
            rc = ml_fail(err, ML_ERR_ARG, "%s: no tensor can have the name \"%.64s\"", path, name);
    }
    for (int i = 0; rc == 0 && i < list->note_count; i++)
        rc = check_note(path, list, i, err);
    return rc;
}

/* jansson gives NULL or -1 when memory is out, and its _new calls accept and release what they are
 * given in either case. */
static json_t *describe(const struct ml_saved_tensor *t, uint64_t offset)
{
    json_t *entry = json_object(), *shape = json_array(), *range = json_array();
    int bad = shape == NULL;
    for (int i = 0; i < t->ndim; i++)
        bad |= json_array_append_new(shape, json_integer(t->dim[i])) != 0;
    bad |= json_array_append_new(range, json_integer((json_int_t)offset)) != 0;
    bad |=
        json_array_append_new(range, json_integer((json_int_t)(offset + ml_saved_bytes(t)))) != 0;
    bad |= json_object_set_new(entry, "dtype", json_string(type_name(t->storage))) != 0;
    bad |= json_object_set_new(entry, "shape", shape) != 0;
    bad |= json_object_set_new(entry, "data_offsets", range) != 0;
    if (!bad)
        return entry;
    json_decref(entry);
    return NULL;
}

static int add_notes(json_t *root, const char *path, const struct ml_saved_list *list,
                     struct ml_error *err)
{
    json_t *notes = json_object();
    int rc = json_object_set_new(root, "__metadata__", notes);
    for (int i = 0; rc == 0 && i < list->note_count; i++)
        rc = json_object_set_new(notes, list->notes[i].key, json_string(list->notes[i].value));
    return rc ? ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for the header", path) : 0;
}

static int header_text(char **out, const char *path, const struct ml_saved_list *list,
                       const struct ml_saved_tensor **order, struct ml_error *err)
{
    int rc = 0;
    uint64_t offset = 0;
    ml_json_setup();
    json_t *root = json_object();
    if (!root)
        rc = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for the header", path);
    if (rc == 0 && list->note_count > 0)
        rc = add_notes(root, path, list, err);
    for (int i = 0; rc == 0 && i < list->count; i++) {
        if (json_object_set_new(root, order[i]->name, describe(order[i], offset)) != 0)
            rc = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for the header", path);
        offset += ml_saved_bytes(order[i]);
    }
    if (rc == 0)
        rc = ml_json_text(out, root, JSON_COMPACT, err);
    json_decref(root);
    return rc;
}

static int put_header(struct ml_writer *writer, const char *text, struct ml_error *err)
{
    size_t n = strlen(text), padding = (8 - n % 8) % 8;
    uint8_t length[8];
    if (n + padding > ML_SAFETENSORS_MAX_HEADER)
        return ml_fail(err, ML_ERR_LIMIT, "%s: the header would have %zu bytes (limit %d)",
                       writer->path, n, ML_SAFETENSORS_MAX_HEADER);
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)(n + padding) >> (8 * i));
    int rc = ml_writer_put(writer, length, 8, err);
    if (rc == 0)
        rc = ml_writer_put(writer, text, n, err);
    if (rc == 0 && padding > 0)
        rc = ml_writer_put(writer, "        ", padding, err);
    return rc;
}

int ml_safetensors_write(const char *path, const struct ml_saved_list *list, struct ml_error *err)
{
    struct ml_writer writer = {0};
    struct ml_kernels kernels;
    const struct ml_saved_tensor **order = NULL;
    char *text = NULL;
    int rc = check_list(path, list, err);
    if (rc != 0)
        return rc;
    order = ml_mem_calloc((size_t)list->count + 1, sizeof *order);
    if (!order)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory for %d tensors", path, list->count);
    for (int i = 0; i < list->count; i++)
        order[i] = &list->tensors[i];
    qsort(order, (size_t)list->count, sizeof *order, by_storage);
    ml_kernels_init(&kernels, ML_ISA_COUNT - 1);
    rc = header_text(&text, path, list, order, err);
    if (rc == 0)
        rc = ml_writer_open(&writer, path, err);
    if (rc == 0)
        rc = put_header(&writer, text, err);
    for (int i = 0; rc == 0 && i < list->count; i++)
        rc = ml_saved_put(&writer, order[i], &kernels, err);
    if (rc == 0)
        rc = ml_writer_commit(&writer, err);
    ml_writer_abort(&writer);
    ml_mem_free(text);
    ml_mem_free(order);
    return rc;
}
