/* GGUF version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): little-endian typed
 * key-values, then tensor descriptions, then aligned data. What llama.cpp and its relatives run.
 *
 * The reader maps the file and trusts nothing in it: counts and lengths are held against the bytes
 * that remain, keys and names are unique, offsets exactly cumulative, sizes equal to shape times
 * type. One file of a split set opens as what it is, one file. */
#ifndef ML_FORMAT_GGUF_H
#define ML_FORMAT_GGUF_H

#include "base/arena.h"
#include "base/files.h"
#include "format/number.h"
#include "format/saved.h"

#define ML_GGUF_ALIGNMENT     32        /* bytes, unless general.alignment says otherwise */
#define ML_GGUF_MAX_ALIGNMENT (1 << 20) /* bytes */
#define ML_GGUF_MAX_NAME      63        /* bytes of a tensor's name */
#define ML_GGUF_MAX_KEY       65535     /* bytes */
#define ML_GGUF_MAX_LENGTH    (1 << 30) /* bytes of a string, elements of an array */
#define ML_GGUF_MAX_DIMS      4

/* Value types, by their number in the file. */
enum ml_gguf_type {
    ML_GGUF_U8,
    ML_GGUF_I8,
    ML_GGUF_U16,
    ML_GGUF_I16,
    ML_GGUF_U32,
    ML_GGUF_I32,
    ML_GGUF_F32,
    ML_GGUF_BOOL,
    ML_GGUF_STRING,
    ML_GGUF_ARRAY,
    ML_GGUF_U64,
    ML_GGUF_I64,
    ML_GGUF_F64,
    ML_GGUF_TYPE_COUNT
};

/* Tensor types that the writer stores; ml_gguf_block knows those of quantised files as well. */
enum ml_gguf_tensor_type {
    ML_GGML_F32 = 0,
    ML_GGML_F16 = 1,
    ML_GGML_I32 = 26,
    ML_GGML_F64 = 28,
    ML_GGML_BF16 = 30,
};

/* Numbers come in blocks of `count` elements and `bytes` bytes (1 and the element's size for plain
 * types). */
struct ml_gguf_block {
    const char *name; /* "F32", "Q4_K" */
    int type, count, bytes;
    enum ml_number number; /* ML_NUMBER_OTHER for quantised and integer types */
};
const struct ml_gguf_block *ml_gguf_block_find(int type); /* NULL for an unknown type */

/* A key with its value, as read. Scalars: exactly one of the fields. */
struct ml_gguf_value {
    const char *key;
    enum ml_gguf_type type; /* of the elements, when it is an array */
    bool is_array;
    uint64_t count; /* elements of an array, 1 for a scalar */
    union {
        uint64_t u; /* U8 .. U64, BOOL */
        int64_t i;  /* I8 .. I64 */
        double f;   /* F32, F64 */
    } scalar;
    const char *string;  /* a scalar STRING: NUL-terminated copy, UTF-8 */
    const uint8_t *data; /* an array's bytes in the map: numbers of any alignment, or strings */
    uint64_t bytes;
};

struct ml_gguf_tensor {
    const char *name;
    const struct ml_gguf_block *block;
    int ndim;
    int64_t dim[ML_GGUF_MAX_DIMS]; /* as ours: dim[0] slowest (the file has them reversed) */
    int64_t count;
    uint64_t offset, bytes; /* in the data section */
    const void *data;
};

struct ml_gguf {
    char *path;
    struct ml_file_map map;
    struct ml_arena arena;
    struct ml_kernels kernels;
    struct ml_gguf_value *values;
    int value_count;
    struct ml_gguf_tensor *tensors;
    int tensor_count;
    const struct ml_gguf_value **by_key;
    const struct ml_gguf_tensor **by_name;
    uint32_t alignment;
};

int ml_gguf_open(struct ml_gguf *out, const char *path, struct ml_error *err);
/* The same on bytes that the caller keeps until close; `what` names them in messages. */
int ml_gguf_parse(struct ml_gguf *out, const uint8_t *bytes, size_t size, const char *what,
                  struct ml_error *err);
void ml_gguf_close(struct ml_gguf *file); /* accepts NULL and a zeroed struct */

const struct ml_gguf_value *ml_gguf_get(const struct ml_gguf *file, const char *key); /* or NULL */
const struct ml_gguf_tensor *ml_gguf_find(const struct ml_gguf *file, const char *name);
/* F32, F16, BF16 and F64 to a float type. */
int ml_gguf_load(const struct ml_gguf *file, const struct ml_gguf_tensor *tensor,
                 enum ml_dtype dtype, void *to, struct ml_error *err);

/* The element of an array of numbers; the index is below value->count. */
double ml_gguf_number(const struct ml_gguf_value *value, uint64_t index);
/* Walks an array of strings: start with *at = 0; returns the bytes of the next string (in the map,
 * without NUL) and its length, NULL at the end. */
const char *ml_gguf_next_string(const struct ml_gguf_value *value, uint64_t *at, size_t *length);

/* A key with its value, to be written. Arrays: `array` has count elements, of type int32_t, float
 * or const char * as `type` says; otherwise the field that fits. */
struct ml_gguf_pair {
    const char *key;
    enum ml_gguf_type type; /* U32, I32, F32, BOOL, STRING; of the elements, when it is an array */
    const void *array;      /* NULL: a scalar */
    uint64_t count;
    uint32_t u32;
    int32_t i32;
    float f32;
    bool boolean;
    const char *string;
};

struct ml_gguf_content {
    const struct ml_gguf_pair *pairs; /* general.architecture first, by the custom of the format */
    int pair_count;
    const struct ml_saved_tensor *tensors; /* at most 4 dimensions; written in this order */
    int tensor_count;
};
/* Writes the file whole or not at all, aligned to ML_GGUF_ALIGNMENT. */
int ml_gguf_write(const char *path, const struct ml_gguf_content *content, struct ml_error *err);

#endif
