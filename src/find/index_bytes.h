/* Numbers in index files: little-endian, read with checks. A reader that met something wrong stays
 * bad and gives zeros, so that one check at the end is enough. */
#ifndef ML_FIND_INDEX_BYTES_H
#define ML_FIND_INDEX_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

int ml_index_put_u64(struct ml_buffer *out, uint64_t value, struct ml_error *err);
int ml_index_put_varint(struct ml_buffer *out, uint64_t value, struct ml_error *err);
int ml_index_put_text(struct ml_buffer *out, const char *text, struct ml_error *err);
/* Finite numbers only are read back. */
int ml_index_put_floats(struct ml_buffer *out, const float *values, size_t n, struct ml_error *err);

struct ml_index_reader {
    const uint8_t *at, *end;
    const char *name;
    bool bad;
};
struct ml_index_reader ml_index_read(const uint8_t *bytes, size_t n, const char *name);
uint64_t ml_index_u64(struct ml_index_reader *reader);
uint64_t ml_index_varint(struct ml_index_reader *reader);
void ml_index_expect(struct ml_index_reader *reader, const char *text); /* else it is bad */
void ml_index_floats(struct ml_index_reader *reader, float *out, size_t n);
/* n bytes, borrowed; NULL when there are fewer. */
const uint8_t *ml_index_bytes(struct ml_index_reader *reader, size_t n);
/* The one message for a file that is not what it should be: ML_ERR_FORMAT. */
int ml_index_refuse(const struct ml_index_reader *reader, struct ml_error *err);

#endif
