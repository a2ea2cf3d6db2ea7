/* A dataset row by row, as every export writes it: text, fields, the labels that stand. */
#ifndef ML_DATA_EXPORT_ROWS_H
#define ML_DATA_EXPORT_ROWS_H

#include "base/json.h"
#include "store/datasets.h"

/* Zero means default. */
struct ml_export_options {
    const volatile int *cancel; /* non-zero stops with ML_ERR_CANCELLED; may be NULL */
    void (*progress)(void *arg, int64_t done, int64_t total); /* after each row; may be NULL */
    void *arg;
    bool compress;        /* JSONL, Parquet: by zstd */
    uint64_t shard_bytes; /* WebDataset: a shard is full at so many bytes; 0: 512 MiB */
    int64_t group_rows;   /* Parquet: rows of a group; 0: 65536 */
    /* Croissant: who publishes it, and where; NULL: "not stated", and a name by its hash. */
    const char *creator, *url;
};

struct ml_export_result {
    int64_t records;
    uint64_t bytes; /* written */
    int files;
    char hash[ML_HASH_HEX]; /* of the file; "" when there are several */
};

/* Borrowed until the next row. */
struct ml_export_row {
    int64_t position; /* in the dataset, from 0 */
    struct ml_record record;
    const char *text; /* UTF-8: its text; of media the caption or transcript; NULL: none */
    size_t text_size;
    const char *bytes; /* of media; NULL for text */
    size_t size;
    json_t *meta;   /* object */
    json_t *labels; /* array of {queue, annotator, kind, value, model, confidence} */
};

struct ml_export_rows;
int ml_export_rows_open(struct ml_export_rows **out, struct ml_workspace *workspace,
                        const struct ml_dataset *dataset, const struct ml_export_options *options,
                        struct ml_error *err);
/* 1: *row is the next; 0: no more; negative: failed. */
int ml_export_rows_next(struct ml_export_rows *rows, struct ml_export_row *row,
                        struct ml_error *err);
void ml_export_rows_close(struct ml_export_rows *rows); /* accepts NULL */

enum ml_export_form {
    ML_EXPORT_FULL,    /* labels and meta are JSON */
    ML_EXPORT_NO_TEXT, /* the same without text, which lies beside it */
    ML_EXPORT_FLAT     /* labels and meta are texts that hold their JSON: only plain values */
};
/* The row as one line of JSON without its line end, appended to `out`. `file`: where its bytes lie
 * beside it, NULL: nowhere. */
int ml_export_row_json(struct ml_buffer *out, const struct ml_export_row *row,
                       enum ml_export_form form, const char *file, struct ml_error *err);

/* How a file of this media type is called, "jpg"; by the ending of its source where the type says
 * nothing; "bin". Borrowed from `ending`, which has room for 16 bytes, or static. */
const char *ml_export_ending(const struct ml_record *record, char ending[16]);

#endif
