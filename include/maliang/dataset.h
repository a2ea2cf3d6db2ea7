/* Datasets of a workspace: list, describe, card, export. */
#ifndef MALIANG_DATASET_H
#define MALIANG_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ml_dataset_info {
    char name[144]; /* "name@version" */
    char hash[65];  /* SHA-256 of its list of records, hexadecimal */
    int version;
    uint64_t records, bytes;
    int64_t created; /* Unix seconds */
};

/* All versions, by name and version. *out is an array of *count, freed with
 * ml_material_datasets_free. */
int ml_material_datasets(const char *workspace, struct ml_dataset_info **out, int *count,
                         struct ml_error *err);
void ml_material_datasets_free(struct ml_dataset_info *datasets); /* accepts NULL */

/* For long work; zero means none. */
struct ml_dataset_work {
    ml_cancel *cancel;
    void (*progress)(void *arg, int64_t done, int64_t total); /* records */
    void *arg;
};

/* Below, dataset is "name" (its latest version) or "name@version". Every record is read and
 * compared with its SHA-256; one that is damaged is ML_ERR_FORMAT. */

/* Counts of what the records state, as a JSON object: kinds, types, languages, sources, licences,
 * consent, operations, splits, labels, lengths. Free *json with ml_string_free. work may be NULL.
 */
int ml_material_describe(const char *workspace, const char *dataset,
                         const struct ml_dataset_work *work, char **json, struct ml_error *err);
/* The dataset's card in Markdown. language: "en" or "zh". Free with ml_string_free. */
int ml_material_card(const char *workspace, const char *dataset, const char *language,
                     const struct ml_dataset_work *work, char **markdown, struct ml_error *err);

/* Zero means default. */
struct ml_dataset_export_request {
    const char *workspace, *dataset;
    const char *path;   /* a file; for webdataset and croissant a folder that is not there yet */
    const char *format; /* "jsonl", "jsonl.zst", "webdataset", "parquet", "croissant"; NULL: by the
                           ending of the path */
    uint64_t shard_bytes;      /* webdataset; 0: 512 MiB */
    int64_t group_rows;        /* parquet; 0: 65536 */
    const char *creator, *url; /* croissant: who publishes it, and where */
    struct ml_dataset_work work;
};
struct ml_dataset_export_result {
    char dataset[144]; /* "name@version" */
    char format[16];
    uint64_t records, bytes; /* bytes: written */
    int files;
    char hash[65]; /* SHA-256 of the file; "" when there are several */
};
/* What is at path stays as it was unless everything was written. */
int ml_material_export(const struct ml_dataset_export_request *request,
                       struct ml_dataset_export_result *out, struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
