/* Thrift's compact protocol, as far as Parquet's headers need it (Apache Thrift, "Thrift compact
 * protocol encoding"). The first failure sticks. */
#ifndef ML_DATA_THRIFT_WRITE_H
#define ML_DATA_THRIFT_WRITE_H

#include "base/arena.h"

enum ml_thrift_type {
    ML_THRIFT_I32 = 5,
    ML_THRIFT_I64 = 6,
    ML_THRIFT_TEXT = 8,
    ML_THRIFT_LIST = 9,
    ML_THRIFT_STRUCT = 12
};

struct ml_thrift {
    struct ml_buffer *out;
    struct ml_error *err;
    int status;
    int depth;
    int last[8]; /* number of the last field, a level of structs each */
};

/* Fields in the order of their numbers. */
void ml_thrift_int(struct ml_thrift *t, int field, enum ml_thrift_type type, int64_t value);
void ml_thrift_text(struct ml_thrift *t, int field, const char *text);
/* Its items follow: numbers and texts by the calls below, structs by ml_thrift_begin(t, 0). */
void ml_thrift_list(struct ml_thrift *t, int field, enum ml_thrift_type type, size_t count);
void ml_thrift_item_int(struct ml_thrift *t, int64_t value);
void ml_thrift_item_text(struct ml_thrift *t, const char *text);
/* A struct within one; field 0: an item of a list. Ended by ml_thrift_end, as is the outermost. */
void ml_thrift_begin(struct ml_thrift *t, int field);
void ml_thrift_end(struct ml_thrift *t);

#endif
