/* Material into a workspace: from files and folders, and from the web. */
#ifndef MALIANG_MATERIAL_H
#define MALIANG_MATERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ML_COLLECT_REASONS = 12, ML_COLLECT_EXAMPLES = 3 };

struct ml_collect_request {
    const char *workspace;    /* folder; made when it is not there */
    const char *const *paths; /* files, folders, addresses (http, https) */
    int path_count;
    const char *dataset;     /* the dataset that gets all records of these paths; NULL: "default" */
    const char *licence;     /* SPDX expression for what is collected, or NULL: unknown */
    uint64_t max_file_bytes; /* 0: 256 MiB */
    int depth;               /* links of a page that are followed, within its host; 0: none */
    uint64_t max_pages;      /* fetched at most; 0: 1,000 */
    const char *const *allowed_hosts; /* may have private addresses, which are refused otherwise */
    int allowed_host_count;
    bool allow_denied; /* collect what says that it may not be used for training, marked as such */
    ml_cancel *cancel;
    /* Called now and then; may be NULL. */
    void (*progress)(void *arg, uint64_t files, uint64_t total_files, const char *path);
    void *arg;
};

/* Why files or lines were left out, with up to three examples each. */
struct ml_collect_skip {
    char reason[64];
    uint64_t count;
    char examples[ML_COLLECT_EXAMPLES][200];
};

struct ml_collect_result {
    uint64_t files, added, already_there, skipped,
        bytes; /* added and already_there count records */
    int skip_count;
    struct ml_collect_skip skips[ML_COLLECT_REASONS];
    char dataset[144];     /* "name@version" */
    char dataset_hash[65]; /* SHA-256 of the manifest, hexadecimal */
    uint64_t dataset_records;
};

/* Nothing usable at all is ML_ERR_NOT_FOUND, with the reason; partial success is success. */
int ml_engine_collect(struct ml_engine *engine, const struct ml_collect_request *request,
                      struct ml_collect_result *out, struct ml_error *err);

struct ml_check_request {
    const char *workspace;
    bool deep;   /* read every blob and compare its hash */
    bool repair; /* remove what nothing needs */
    ml_cancel *cancel;
};

/* What a killed writer may leave (stray, unused, unfinished: no reader ever sees it, repair removes
 * it), and what was lost (missing, damaged: collecting the sources again restores it). */
struct ml_check_result {
    int64_t records, datasets, blobs, blob_bytes;
    int64_t stray_files, stray_bytes, unused_blobs, unused_bytes, unfinished;
    int64_t missing, damaged;
    bool database_sound, repaired;
    char database_problem[200];
    char examples[5][300]; /* of missing and damaged ones; "" after the last */
};
/* ML_ERR_NOT_FOUND when there is no workspace. */
int ml_engine_check(struct ml_engine *engine, const struct ml_check_request *request,
                    struct ml_check_result *out, struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
