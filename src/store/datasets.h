/* Datasets: a name, a version, and an ordered list of records that never changes. The manifest has
 * one line a record, "hash TAB kind TAB source"; its SHA-256 is the dataset's hash. */
#ifndef ML_STORE_DATASETS_H
#define ML_STORE_DATASETS_H

#include "store/records.h"

#define ML_NAME_BYTES 129 /* longest name of a dataset or model, with the NUL */

struct ml_dataset {
    int64_t id;
    char name[ML_NAME_BYTES];
    int version;            /* 1, 2, 3 ... */
    char hash[ML_HASH_HEX]; /* of the manifest, which is the blob of this hash */
    int64_t records, bytes; /* how many, and the sum of their sizes */
    int64_t time;           /* Unix seconds */
};

/* What goes in. Either ids in the order given, or filters: all records that any of them lets
 * through, in the order of their ids. */
struct ml_dataset_spec {
    const char *name;
    const int64_t *ids;
    size_t id_count;
    const struct ml_record_filter *filters;
    size_t filter_count;
    bool extend; /* with filters: what the latest version holds stays in, but for replaced ones */
};
/* Makes a new version, unless the latest has the same manifest: then that one is given and *made
 * (may be NULL) is false. No record at all is ML_ERR_NOT_FOUND. */
int ml_datasets_create(struct ml_workspace *workspace, const struct ml_dataset_spec *spec,
                       struct ml_dataset *out, bool *made, struct ml_error *err);

/* "name" (latest) or "name@version". ML_ERR_NOT_FOUND names the nearest. */
int ml_datasets_open(struct ml_workspace *workspace, const char *name, struct ml_dataset *out,
                     struct ml_error *err);
/* All versions, by name and version; owned by the arena. */
int ml_datasets_list(struct ml_workspace *workspace, struct ml_arena *arena,
                     struct ml_dataset **out, size_t *count, struct ml_error *err);
/* Borrowed from the view. */
int ml_datasets_manifest(struct ml_workspace *workspace, const struct ml_dataset *dataset,
                         struct ml_blob_view *view, const char **text, size_t *n,
                         struct ml_error *err);
/* A manifest whose bytes were lost, again from the rows of its dataset. *restored is false when the
 * blob is no manifest, or the rows do not give the same. */
int ml_datasets_restore(struct ml_workspace *workspace, int64_t blob, bool *restored,
                        struct ml_error *err);
/* To iterate: ml_records_open with filter.dataset = dataset.id. */

#endif
