/* A queue as one annotator goes through it: which record is next, what a model proposes for it,
 * answers, skips, taking back. Everything is kept at once, so a session may end anywhere. */
#ifndef ML_DATA_LABEL_QUEUE_H
#define ML_DATA_LABEL_QUEUE_H

#include "data/label_task.h"
#include "store/datasets.h"

/* The queue's dataset is the version of this moment; the task is checked. Calling it again with
 * the same task and dataset changes nothing. */
int ml_label_queue_start(struct ml_workspace *workspace, const char *queue, const char *dataset,
                         const char *task, const char *task_name, struct ml_error *err);

/* A queue with its parts, owned by the arena. */
struct ml_label_queue {
    const char *name;
    struct ml_dataset dataset;
    struct ml_label_task task;
};
int ml_label_queue_open(struct ml_label_queue *out, struct ml_workspace *workspace,
                        const char *name, struct ml_arena *arena, struct ml_error *err);

struct ml_label_session;
/* skipped: go over what the annotator skipped, instead of what is new. */
int ml_label_session_open(struct ml_label_session **out, struct ml_workspace *workspace,
                          const char *queue, const char *annotator, bool skipped,
                          struct ml_error *err);
void ml_label_session_close(struct ml_label_session *session); /* accepts NULL */
const struct ml_label_task *ml_label_session_task(const struct ml_label_session *session);

/* Borrowed until the next call on the session. */
struct ml_label_item {
    struct ml_record record;
    const char *text; /* of the record, or of media its caption; NULL: none */
    size_t text_size;
    int64_t characters;     /* of the text */
    const json_t *proposal; /* the annotator's own last answer (after taking it back), else a
                               model's; NULL: none */
    const char *model;      /* that proposed it; "" for the own answer */
    double confidence;      /* NaN: not stated */
};
/* 1: *item is what to label now, 0: nothing is left. The same until it is answered or skipped. What
 * others finished meanwhile is passed over. Records with a proposal come first, the least sure
 * before the surer; all others in the order of their hashes, which is no order at all. */
int ml_label_session_next(struct ml_label_session *session, struct ml_label_item *item,
                          struct ml_error *err);
/* For the record of the last next. seconds: that it took, NaN: not known. */
int ml_label_session_answer(struct ml_label_session *session, const json_t *value, double seconds,
                            struct ml_error *err);
int ml_label_session_skip(struct ml_label_session *session, struct ml_error *err);
/* The annotator's last answer or skip is taken back and its record is the next. ML_ERR_NOT_FOUND:
 * there is none. */
int ml_label_session_undo(struct ml_label_session *session, struct ml_error *err);

/* As the session knows it: what others do meanwhile is not counted. */
struct ml_label_counts {
    int64_t records; /* of the dataset, each once */
    int64_t done;    /* have as many annotators as the task wants */
    int64_t mine, skipped;
    int64_t left; /* that this session may still give */
};
void ml_label_session_counts(const struct ml_label_session *session, struct ml_label_counts *out);

#endif
