/* What the files that collect share. */
#ifndef ML_DATA_COLLECT_IMPL_H
#define ML_DATA_COLLECT_IMPL_H

#include "data/collect.h"

/* Counts one thing that was left out. line 0 and why NULL: nothing to say. */
void ml_collect_skip(struct ml_collect_report *report, enum ml_collect_reason reason,
                     const char *path, int64_t line, const char *why);
/* The one message for paths that gave nothing. */
int ml_collect_nothing(const struct ml_collect_report *report, const char *const *paths,
                       size_t count, struct ml_error *err);

/* What a file's name says about what is in it. */
enum ml_file_kind {
    ML_FILE_TEXT,    /* text by its name: any encoding that we know */
    ML_FILE_JSONL,   /* a record a line */
    ML_FILE_UNKNOWN, /* may be text: UTF-8 only; may be a fortune file */
    ML_FILE_FOREIGN, /* needs a reader of its own */
};
enum ml_file_kind ml_file_kind(const char *path);

/* Reads a regular file of at most `limit` bytes. *skip is the reason when it cannot be used
 * (ML_SKIP_COUNT: it can); only running out of memory is an error. */
int ml_collect_read(struct ml_buffer *out, const char *path, uint64_t limit,
                    enum ml_collect_reason *skip, char why[100], struct ml_error *err);

#endif
