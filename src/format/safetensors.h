/* The safetensors format (https://github.com/huggingface/safetensors): 8 bytes of header length,
 * a JSON header, numbers in little-endian row-major order.
 *
 * The reader maps the file and trusts nothing in it: a file that opens has unique names, offsets in
 * range that cover the data without overlap or hole, and sizes equal to shape times type. */
#ifndef ML_FORMAT_SAFETENSORS_H
#define ML_FORMAT_SAFETENSORS_H

#include "base/arena.h"
#include "base/files.h"
#include "format/number.h"
#include "format/saved.h"

#define ML_SAFETENSORS_MAX_HEADER 100000000 /* bytes, as in the format's own reader */
#define ML_SAFETENSORS_MAX_NAME   512       /* bytes */
#define ML_SAFETENSORS_MAX_RANK   64        /* listed; at most ML_MAX_DIMS load */

struct ml_safetensors_entry {
    const char *name;
    const char *type;      /* as in the file: "F32", "BF16", "I64" */
    enum ml_number number; /* ML_NUMBER_OTHER: listed, not loadable */
    int ndim;
    const int64_t *dim;
    int64_t count;          /* elements */
    uint64_t offset, bytes; /* in the data section */
    const void *data;       /* in the map, of any alignment */
};

struct ml_safetensors {
    char *path;
    struct ml_file_map map;
    struct ml_arena arena;
    struct ml_kernels kernels;
    struct ml_safetensors_entry *entries; /* in the order of their data */
    int count;
    const struct ml_safetensors_entry **by_name;
    struct ml_saved_note *notes; /* the __metadata__ of the file */
    int note_count;
};

int ml_safetensors_open(struct ml_safetensors *out, const char *path, struct ml_error *err);
/* The same on bytes that the caller keeps until close; `what` names them in messages. */
int ml_safetensors_parse(struct ml_safetensors *out, const uint8_t *bytes, size_t size,
                         const char *what, struct ml_error *err);
void ml_safetensors_close(struct ml_safetensors *file); /* accepts NULL and a zeroed struct */

const struct ml_safetensors_entry *ml_safetensors_find(const struct ml_safetensors *file,
                                                       const char *name);            /* or NULL */
const char *ml_safetensors_note(const struct ml_safetensors *file, const char *key); /* or NULL */

/* Writes entry->count numbers of type dtype to `to`. Floats convert to floats, I32 loads as I32. */
int ml_safetensors_load(const struct ml_safetensors *file, const struct ml_safetensors_entry *entry,
                        enum ml_dtype dtype, void *to, struct ml_error *err);

/* ML_ERR_NUMERIC with the first tensor that holds a NaN or an infinity, and its index. */
int ml_safetensors_check_finite(const struct ml_safetensors *file, struct ml_error *err);

/* Writes the file whole or not at all. Tensors are stored widest type first and then by name, so
 * that all of them are aligned and the same content gives the same bytes. */
struct ml_saved_list {
    const struct ml_saved_tensor *tensors;
    int count;
    const struct ml_saved_note *notes;
    int note_count;
};
int ml_safetensors_write(const char *path, const struct ml_saved_list *list, struct ml_error *err);

#endif
