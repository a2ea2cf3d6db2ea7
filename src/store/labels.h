/* Labels: what people and models say about records. A label belongs to a queue (store/queues.h);
 * one annotator has one label a record and queue, and a new one takes the old one's place. */
#ifndef ML_STORE_LABELS_H
#define ML_STORE_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/workspace.h"

#define ML_LABEL_SKIP "skip" /* kind of a label that says: not I */

/* Text of what is read is borrowed from whoever gave the label. For adding, NULL is "". */
struct ml_label {
    int64_t id, record;
    const char *queue;
    const char *annotator; /* "": a model's proposal, known by `model` instead */
    const char *kind;      /* of the queue's task, or ML_LABEL_SKIP */
    const char *value;     /* JSON */
    const char *model;     /* which proposed it, "" */
    double confidence;     /* in [0, 1], NaN: not stated */
    double seconds;        /* that it took, NaN: not known */
    int64_t created;       /* Unix seconds; 0 when adding: now */
    int64_t replaced;      /* the label that took its place; its own id: taken back; 0: it stands */
};

/* queue, record, kind and value must be set, and annotator or model. */
int ml_labels_add(struct ml_workspace *workspace, const struct ml_label *label, int64_t *id,
                  struct ml_error *err);
/* Takes the annotator's newest label in the queue back; what it had replaced stands again. *record
 * is what it was about. ML_ERR_NOT_FOUND: there is none. */
int ml_labels_undo(struct ml_workspace *workspace, const char *queue, const char *annotator,
                   int64_t *record, struct ml_error *err);

/* Which labels; zero means all that stand, in the order of record and id. */
struct ml_label_filter {
    const char *queue;     /* NULL: any */
    const char *annotator; /* NULL: any, "": proposals of models */
    int64_t record;        /* only with queue; 0: any */
    int64_t dataset;       /* of its records, in its order, and `position` is told; 0: any */
    bool people;           /* no proposals of models */
    bool with_skips, with_replaced;
};
struct ml_label_cursor;
int ml_labels_open(struct ml_label_cursor **out, struct ml_workspace *workspace,
                   const struct ml_label_filter *filter, struct ml_error *err);
/* 1: *label is the next, borrowed until the next call; 0: no more; negative: failed. */
int ml_labels_next(struct ml_label_cursor *cursor, struct ml_label *label, struct ml_error *err);
/* Of the last one's record in the filter's dataset. */
int64_t ml_labels_position(const struct ml_label_cursor *cursor);
void ml_labels_close(struct ml_label_cursor *cursor); /* accepts NULL */
int ml_labels_count(struct ml_workspace *workspace, const struct ml_label_filter *filter,
                    int64_t *count, struct ml_error *err);

/* How far a queue is: of the dataset's records, counting people's labels that stand. */
struct ml_label_progress {
    int64_t records; /* of the dataset */
    int64_t begun;   /* have a label */
    int64_t done;    /* have `overlap` labels */
    int64_t labels;  /* without skips */
    int64_t skips;
    int64_t proposals; /* of models */
};
int ml_labels_progress(struct ml_workspace *workspace, const char *queue, int64_t dataset,
                       int overlap, struct ml_label_progress *out, struct ml_error *err);

struct ml_annotator {
    const char *name;
    int64_t labels, skips;
    double seconds; /* of labelling, where known */
};
/* Who labelled in a queue, by name; owned by the arena. */
int ml_labels_annotators(struct ml_workspace *workspace, const char *queue, struct ml_arena *arena,
                         struct ml_annotator **out, size_t *count, struct ml_error *err);

#endif
