/* A dataset as a folder that describes itself by Croissant (MLCommons, "Croissant format
 * specification 1.1", with the RAI vocabulary): croissant.json, the records as records.jsonl, the
 * bytes of media in media.tar, and the cards README.md and README.zh.md. */
#ifndef ML_DATA_CROISSANT_H
#define ML_DATA_CROISSANT_H

#include "data/dataset_facts.h"
#include "data/export_file.h"

/* A new folder at path, whole or not at all. options may be NULL. */
int ml_export_croissant(struct ml_workspace *workspace, const struct ml_dataset *dataset,
                        const char *path, const struct ml_export_options *options,
                        struct ml_export_result *out, struct ml_error *err);

/* The description alone, appended to `out`. The sums are those of records.jsonl and of media.tar,
 * which is NULL where the dataset has no media. */
struct ml_croissant_files {
    const struct ml_export_sum *records, *media;
};
int ml_croissant(struct ml_buffer *out, const struct ml_dataset_facts *facts,
                 const struct ml_croissant_files *files, const struct ml_export_options *options,
                 struct ml_error *err);

#endif
