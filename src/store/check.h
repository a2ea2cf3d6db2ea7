/* Looking over a workspace: what no row names, what is missing or damaged, what was left half done.
 * A killed writer leaves such things; none of them is ever seen by a reader. */
#ifndef ML_STORE_CHECK_H
#define ML_STORE_CHECK_H

#include <stdint.h>

#include "store/workspace.h"

enum { ML_CHECK_EXAMPLES = 5 };

/* Zero means default. */
struct ml_workspace_check_options {
    bool deep;   /* read every blob and compare its hash */
    bool repair; /* remove what nothing needs */
    const volatile int *cancel;
};

struct ml_workspace_report {
    int64_t blobs, blob_bytes; /* rows, and the sum of their sizes */
    int64_t records, datasets;
    int64_t stray_files, stray_bytes;   /* in blobs/, without a row */
    int64_t unused_blobs, unused_bytes; /* rows that no record, source or dataset names */
    int64_t unfinished;                 /* records of curations that did not come to their end */
    int64_t missing, damaged;           /* blobs whose bytes are not there, or are others */
    bool database_sound;
    char database_problem[200];
    char examples[ML_CHECK_EXAMPLES][300]; /* missing and damaged: "blob 1a2b...: SOURCE" */
    bool repaired;
};
/* Takes the write lock meanwhile, so that no writer's new blob looks stray. Missing and damaged
 * blobs cannot be repaired here: collecting their sources again restores them. */
int ml_workspace_check(struct ml_workspace *workspace,
                       const struct ml_workspace_check_options *options,
                       struct ml_workspace_report *report, struct ml_error *err);

#endif
