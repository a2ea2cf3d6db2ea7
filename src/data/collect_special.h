/* Sources that are no plain path: "emoji:" (or emoji:FONT), "sqlite:FILE?table=NAME" and
 * "postgresql://HOST/DATABASE?table=NAME". */
#ifndef ML_DATA_COLLECT_SPECIAL_H
#define ML_DATA_COLLECT_SPECIAL_H

#include "data/collect_impl.h"

bool ml_special_is(const char *path);
/* How it is spelt as a source, with its file's absolute path; owned by the arena. ML_ERR_NOT_FOUND:
 * there is no such file. */
int ml_special_source(struct ml_arena *arena, const char *path, char **out, struct ml_error *err);
int ml_special_collect(struct ml_collector *collector, const char *source, struct ml_error *err);

#endif
