/* What of a record can be read while labelling it. */
#ifndef ML_DATA_LABEL_TEXT_H
#define ML_DATA_LABEL_TEXT_H

#include "store/records.h"

struct ml_label_text {
    struct ml_record record;
    const char *text; /* its text, or the caption or transcript of media; NULL: none */
    size_t size;
    int64_t characters;
};
/* Owned by the arena and borrowed from the view. Text that is not UTF-8 is none. */
int ml_label_text_load(struct ml_label_text *out, struct ml_workspace *workspace, int64_t record,
                       struct ml_arena *arena, struct ml_blob_view *view, struct ml_error *err);

#endif
