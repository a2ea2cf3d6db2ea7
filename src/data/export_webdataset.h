/* A dataset as WebDataset: a folder of tar shards data-000000.tar ... In a shard, the files of a
 * record lie side by side under one key, its position and the beginning of its hash:
 * KEY.jpg (media's own bytes), KEY.txt (text, caption or transcript), KEY.json (all the rest). */
#ifndef ML_DATA_EXPORT_WEBDATASET_H
#define ML_DATA_EXPORT_WEBDATASET_H

#include "data/export_file.h"
#include "data/export_rows.h"

/* A new folder at path, whole or not at all. The same dataset, labels and shard size give the same
 * bytes. options may be NULL. */
int ml_export_webdataset(struct ml_workspace *workspace, const struct ml_dataset *dataset,
                         const char *path, const struct ml_export_options *options,
                         struct ml_export_result *out, struct ml_error *err);

#define ML_EXPORT_KEY 32 /* bytes of a key, with the NUL */
void ml_export_key(char key[ML_EXPORT_KEY], const struct ml_export_row *row);

#endif
