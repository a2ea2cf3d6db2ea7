/* Labelling: queues of records that people label, agreement, exchange with other programs. */
#ifndef MALIANG_LABEL_H
#define MALIANG_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A new queue: what the task (a YAML file, docs/label.md) asks about the records of the dataset, in
 * the version that is the latest now. The same again changes nothing; another task under the same
 * name is ML_ERR_STATE. */
int ml_labelling_start(const char *workspace, const char *queue, const char *dataset,
                       const char *task_path, struct ml_error *err);

/* How far a queue, or with NULL every queue, is: a JSON array of objects with queue, dataset, kind,
 * overlap, records, begun, done, labels, skips, proposals and annotators. Free with ml_string_free.
 */
int ml_labelling_status(const char *workspace, const char *queue, char **json,
                        struct ml_error *err);

/* How far its people agree, as a JSON object: records, labels, scale, alpha (Krippendorff), pairs
 * with kappa (Cohen) and equal, for kind multi alpha by label; null where a figure has no meaning.
 * ML_ERR_NOT_FOUND: nothing was labelled by two people yet. */
int ml_labelling_agreement(const char *workspace, const char *queue, char **json,
                           struct ml_error *err);

/* A text classifier learns from the answers of a queue of kind choice and proposes answers for the
 * records that nobody has answered. accuracy: on answers that were held out (NaN: too few);
 * by_chance: the share of the most frequent answer. ML_ERR_STATE: fewer than ten answers. */
struct ml_labelling_learnt {
    int64_t answers, proposed;
    double accuracy, by_chance;
};
int ml_labelling_learn(const char *workspace, const char *queue, ml_cancel *cancel,
                       struct ml_labelling_learnt *out, struct ml_error *err);

/* ---- to and from other programs ---- */

struct ml_labelling_exchange {
    const char *workspace, *queue, *path;
    const char *format;    /* "label-studio", "coco", "csv"; NULL: by the ending (.json, .csv) */
    const char *annotator; /* import: whose labels they are where the file does not say */
};
struct ml_labelling_written {
    int64_t records, labels;
    uint64_t bytes;
};
/* All labels of the queue that stand, with proposals and skips. Whole or not at all. */
int ml_labelling_export(const struct ml_labelling_exchange *request,
                        struct ml_labelling_written *out, struct ml_error *err);

enum { ML_LABELLING_EXAMPLES = 3 };
struct ml_labelling_imported {
    int64_t labels, proposals, skips; /* added */
    int64_t present;                  /* were there already */
    int64_t left_out;
    char examples[ML_LABELLING_EXAMPLES][200]; /* "what: why", "" after the last */
};
/* Records are found by hash, source, name of the file, or text. All of it or nothing; a label that
 * fits no record, or does not answer the task, is left out. */
int ml_labelling_import(const struct ml_labelling_exchange *request,
                        struct ml_labelling_imported *out, struct ml_error *err);

/* ---- one annotator at work ---- */

struct ml_labelling_label {
    const char *name;
    char key; /* that chooses it; 0: none was left */
};
struct ml_labelling_task {
    const char *kind;      /* "choice", "multi", "span", "rating", "text", "box" */
    const char *guideline; /* "" when there is none */
    const struct ml_labelling_label *labels;
    int label_count;
    int low, high; /* rating */
    int overlap;   /* people a record */
};

struct ml_labelling_item {
    int64_t record;
    const char *kind, *type, *title, *source;
    const char *file; /* where its bytes lie, for media; NULL for text */
    const char *text; /* its text, or a caption or transcript; NULL: none */
    size_t text_bytes;
    const char *proposal; /* JSON in the form of an answer: your own last one after undo, else a
                             model's; NULL: none */
    const char *model;    /* that proposed it, "" */
    double confidence;    /* NaN: not stated */
};

struct ml_labelling_counts {
    int64_t records;       /* of the dataset */
    int64_t done;          /* have as many people as the task wants */
    int64_t mine, skipped; /* by this annotator */
    int64_t left;          /* for this annotator */
};

struct ml_labelling; /* a session; everything in it is kept at once, so it may end anywhere */
int ml_labelling_open(struct ml_labelling **out, const char *workspace, const char *queue,
                      const char *annotator, bool skipped, struct ml_error *err);
void ml_labelling_close(struct ml_labelling *session); /* accepts NULL */
const struct ml_labelling_task *ml_labelling_get_task(const struct ml_labelling *session);
void ml_labelling_count(const struct ml_labelling *session, struct ml_labelling_counts *out);
/* 1: *item is what to label, the same until it is answered or skipped; 0: nothing is left.
 * Borrowed until the next call. */
int ml_labelling_next(struct ml_labelling *session, struct ml_labelling_item *item,
                      struct ml_error *err);
/* value is JSON: choice "name", multi ["name", ...], span [{"start", "end", "label"}] in
 * characters, rating a number, text "...". seconds: that it took, NaN: not known. */
int ml_labelling_answer(struct ml_labelling *session, const char *value, double seconds,
                        struct ml_error *err);
int ml_labelling_skip(struct ml_labelling *session, struct ml_error *err);
/* The last answer or skip is taken back and comes again. ML_ERR_NOT_FOUND: there is none. */
int ml_labelling_undo(struct ml_labelling *session, struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
