/* What is asked of annotators, as a YAML file (docs/label.md):
 *
 *     kind: choice           # choice, multi, span, rating, text or box
 *     guideline: |
 *       What is the mood of the poem?
 *     labels:                # choice, multi, span, box
 *       - {name: glad, key: g}
 *       - sad                # gets the first free key
 *     low: 1                 # rating
 *     high: 5
 *     overlap: 2             # annotators a record, 1 unless said
 */
#ifndef ML_DATA_LABEL_TASK_H
#define ML_DATA_LABEL_TASK_H

#include "base/arena.h"
#include "base/json.h"

enum ml_label_kind {
    ML_LABEL_CHOICE, /* "name" */
    ML_LABEL_MULTI,  /* ["name", ...] in the order of the task, perhaps none */
    ML_LABEL_SPAN,   /* [{"start", "end", "label"}, ...] by start; characters of the text */
    ML_LABEL_RATING, /* whole number */
    ML_LABEL_TEXT,   /* "caption or transcript" */
    ML_LABEL_BOX,    /* {"width", "height", "boxes": [{"x", "y", "width", "height", "label"}]} in
                        pixels of a picture of that size */
    ML_LABEL_KINDS
};
const char *ml_label_kind_name(enum ml_label_kind kind); /* "choice" ... */

enum { ML_LABEL_MAX_LABELS = 200, ML_LABEL_NAME = 128 /* bytes, with the NUL */ };
#define ML_LABEL_MAX_TASK  ((size_t)1 << 20) /* bytes of the file */
#define ML_LABEL_MAX_TEXT  65536             /* bytes of an answer in words */
#define ML_LABEL_MAX_PARTS 4096              /* spans or boxes of an answer */

struct ml_task_label {
    const char *name;
    char key; /* what is pressed; 0: none was left */
};
struct ml_label_task {
    enum ml_label_kind kind;
    const char *guideline; /* "" when there is none */
    struct ml_task_label *labels;
    int label_count;
    int low, high; /* rating */
    int overlap;
};

/* Everything is owned by the arena; `name` is the file's, for messages. */
int ml_label_task_parse(struct ml_label_task *out, struct ml_arena *arena, const char *text,
                        size_t n, const char *name, struct ml_error *err);
int ml_label_task_find(const struct ml_label_task *task, const char *label); /* -1: no such */

/* Whether a value answers the task: ML_ERR_ARG says why not. *out is the same in the one form in
 * which it is stored (sorted, no further members); the caller owns it. characters: of the record's
 * text, for spans; -1: not known. */
int ml_label_value_check(json_t **out, const struct ml_label_task *task, const json_t *value,
                         int64_t characters, struct ml_error *err);

#endif
