/* A dataset as JSON lines, one a record: text, title, kind, type, source, licence, consent, hash,
 * bytes, labels, meta. The bytes of media stay behind. */
#ifndef ML_DATA_EXPORT_JSONL_H
#define ML_DATA_EXPORT_JSONL_H

#include "data/export_rows.h"

/* The same dataset and labels give the same bytes. options may be NULL. */
int ml_export_jsonl(struct ml_workspace *workspace, const struct ml_dataset *dataset,
                    const char *path, const struct ml_export_options *options,
                    struct ml_export_result *out, struct ml_error *err);

#endif
