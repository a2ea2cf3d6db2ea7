/* A dataset as one Parquet file, a row a record: text, title, kind, type, source, licence, consent,
 * hash, size, time, bytes (of media), labels and meta (as JSON). */
#ifndef ML_DATA_EXPORT_PARQUET_H
#define ML_DATA_EXPORT_PARQUET_H

#include "data/export_rows.h"

/* options may be NULL. */
int ml_export_parquet(struct ml_workspace *workspace, const struct ml_dataset *dataset,
                      const char *path, const struct ml_export_options *options,
                      struct ml_export_result *out, struct ml_error *err);

#endif
