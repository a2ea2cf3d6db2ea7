/* Labels to and from other programs: Label Studio's JSON, COCO and tables (CSV).
 *
 * A label that comes in finds its record by the SHA-256 of its bytes (which our own exports state),
 * by its source or the name of its file, or by its text. What belongs to no record, or does not
 * answer the queue's task, is left out and told. */
#ifndef ML_DATA_LABEL_EXCHANGE_H
#define ML_DATA_LABEL_EXCHANGE_H

#include "data/label_queue.h"
#include "store/labels.h"

enum ml_exchange {
    ML_EXCHANGE_STUDIO, /* Label Studio: choices, labels, rating, textarea, rectanglelabels */
    ML_EXCHANGE_COCO,   /* boxes and captions */
    ML_EXCHANGE_CSV     /* every kind; boxes and spans as JSON within a cell */
};
/* "label-studio", "coco", "csv". ML_ERR_ARG names them. */
int ml_exchange_parse(enum ml_exchange *out, const char *name, struct ml_error *err);
/* By the ending: .csv is CSV, .json Label Studio. */
int ml_exchange_of_path(enum ml_exchange *out, const char *path, struct ml_error *err);

#define ML_EXCHANGE_MAX_FILE ((size_t)512 << 20)

/* ---- out ---- */

struct ml_exchange_written {
    int64_t records, labels; /* labels: with proposals and skips */
    uint64_t bytes;
};
/* All labels of the queue that stand, of the records of its dataset. Whole or not at all; the same
 * labels give the same bytes. ML_ERR_UNSUPPORTED: the format has no place for this kind. */
int ml_label_export(struct ml_workspace *workspace, const struct ml_label_queue *queue,
                    const char *path, enum ml_exchange format, struct ml_exchange_written *out,
                    struct ml_error *err);

/* ---- in ---- */

enum { ML_EXCHANGE_EXAMPLES = 3, ML_EXCHANGE_EXAMPLE = 200 /* bytes */ };

struct ml_exchange_read {
    int64_t labels, proposals, skips; /* added */
    int64_t present;                  /* were there already */
    int64_t left_out;
    char examples[ML_EXCHANGE_EXAMPLES][ML_EXCHANGE_EXAMPLE]; /* "what: why", "" after the last */
};
/* annotator: whose they are where the file does not say; NULL: "imported". A file of .json is
 * looked at, whichever of the two it is named as. One transaction. ML_ERR_FORMAT: not a file of
 * this format; nothing but labels that were left out is ML_ERR_NOT_FOUND and says why. */
int ml_label_import(struct ml_workspace *workspace, const struct ml_label_queue *queue,
                    const char *path, enum ml_exchange format, const char *annotator,
                    struct ml_exchange_read *out, struct ml_error *err);

/* ---- the formats alone ---- */

/* One label as a file states it; borrowed for the call. "" is not stated. */
struct ml_exchange_label {
    const char *hash, *source, *file;
    const char *text; /* NULL: not stated */
    size_t text_size;
    const char *annotator, *model; /* a proposal has a model and no annotator */
    bool proposal;
    bool skip;
    const json_t *value;        /* of an answer to the task, not checked; NULL for a skip */
    double confidence, seconds; /* NaN: not stated */
    int64_t created;            /* Unix seconds; 0: not stated */
};
struct ml_exchange_sink {
    int (*label)(void *arg, const struct ml_exchange_label *label, struct ml_error *err);
    void (*left_out)(void *arg, const char *what, const char *why);
    void *arg;
};
int ml_studio_read(const char *text, size_t n, const struct ml_label_task *task,
                   const struct ml_exchange_sink *sink, struct ml_error *err);
int ml_coco_read(const char *text, size_t n, const struct ml_label_task *task,
                 const struct ml_exchange_sink *sink, struct ml_error *err);
int ml_label_csv_read(const char *text, size_t n, const struct ml_label_task *task,
                      const struct ml_exchange_sink *sink, struct ml_error *err);

/* What an export gives the formats: the records of the dataset in order, each with its labels. */
struct ml_exchange_source;
struct ml_exchange_row {
    const struct ml_record *record;
    const char *text; /* NULL: none */
    size_t text_size;
    const struct ml_label *labels; /* kind, value and the rest as stored; skips among them */
    json_t *const *values;         /* of the labels, parsed */
    size_t label_count;
};
/* 1: a row, borrowed until the next; 0: no more. */
int ml_exchange_next(struct ml_exchange_source *source, struct ml_exchange_row *row,
                     struct ml_error *err);

struct ml_export_file;
int ml_studio_write(struct ml_exchange_source *source, const struct ml_label_queue *queue,
                    struct ml_export_file *file, struct ml_error *err);
int ml_coco_write(struct ml_exchange_source *source, const struct ml_label_queue *queue,
                  struct ml_export_file *file, struct ml_error *err);
int ml_label_csv_write(struct ml_exchange_source *source, const struct ml_label_queue *queue,
                       struct ml_export_file *file, struct ml_error *err);

#endif
