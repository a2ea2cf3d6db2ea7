/* A plain writer of Apache Parquet files (github.com/apache/parquet-format, version 2.9): flat
 * columns, PLAIN values, optional ones with levels in run lengths, pages as they are or by zstd.
 * Every reader of Parquet reads these. Whole or not at all. */
#ifndef ML_DATA_PARQUET_H
#define ML_DATA_PARQUET_H

#include "data/export_file.h"

enum ml_parquet_type {
    ML_PARQUET_TEXT, /* UTF-8 */
    ML_PARQUET_BYTES,
    ML_PARQUET_INT,  /* 64 bits */
    ML_PARQUET_REAL, /* double */
    ML_PARQUET_BOOL
};

struct ml_parquet_column {
    const char *name;
    enum ml_parquet_type type;
    bool optional; /* a row may be without it */
};
struct ml_parquet_note {
    const char *key, *value;
};

/* Borrowed while the file is open. Zero means default. */
struct ml_parquet_spec {
    const struct ml_parquet_column *columns;
    size_t column_count;
    const struct ml_parquet_note *notes; /* of the file */
    size_t note_count;
    int64_t group_rows; /* 0: 65536; a group also ends at 64 MiB, since it is held in memory */
    bool compress;
};

#define ML_PARQUET_MAX_VALUE ((size_t)1 << 30) /* bytes of one value */

struct ml_parquet;
int ml_parquet_open(struct ml_parquet **out, const char *path, const struct ml_parquet_spec *spec,
                    struct ml_error *err);
/* One value a column and row, in any order of columns. Text and bytes by the first. */
int ml_parquet_put(struct ml_parquet *parquet, size_t column, const void *bytes, size_t n,
                   struct ml_error *err);
int ml_parquet_put_int(struct ml_parquet *parquet, size_t column, int64_t value,
                       struct ml_error *err);
int ml_parquet_put_real(struct ml_parquet *parquet, size_t column, double value,
                        struct ml_error *err);
int ml_parquet_put_bool(struct ml_parquet *parquet, size_t column, bool value,
                        struct ml_error *err);
/* Optional columns that were given no value have none in this row; others are ML_ERR_ARG. */
int ml_parquet_end_row(struct ml_parquet *parquet, struct ml_error *err);
/* sum may be NULL. Close it afterwards all the same. */
int ml_parquet_commit(struct ml_parquet *parquet, struct ml_export_sum *sum, struct ml_error *err);
void ml_parquet_close(struct ml_parquet *parquet); /* what was not committed is gone */

#endif
