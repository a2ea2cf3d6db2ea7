/* Is everything there that should be, and nothing else? Rows against bytes, bytes against hashes,
 * the database against its own rules, runs against their locks. */
#ifndef ML_STORE_CHECK_H
#define ML_STORE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "store/workspace.h"

#define ML_CHECK_EXAMPLES 5

struct ml_check_options {
    bool repair; /* mend what can be mended, mark what cannot */
    bool deep;   /* read every blob and compare its hash; without it, only its size */
    /* While hashing; bytes so far and in all. Non-zero stops: ML_ERR_CANCELLED. May be NULL. */
    int (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

struct ml_workspace_check {
    int64_t blobs, bytes, records; /* what the rows say; records that are not replaced */
    int64_t database;              /* findings of the database about itself */
    int64_t orphans, orphan_bytes; /* bytes that no row names; repair removes them */
    int64_t leftovers;             /* half-written files of killed writers; repair removes them */
    int64_t strangers;             /* other things among the blobs; they are left alone */
    int64_t missing, damaged;      /* blobs whose bytes are gone, or are others */
    int64_t restored;              /* of those, manifests of datasets that repair wrote again */
    int64_t lost_records;          /* records whose bytes these were; repair marks them as replaced,
                                      and lets the next `collect` of their sources bring them back */
    int64_t unnamed, unnamed_bytes; /* blobs whose row nothing names; repair removes both */
    int64_t unfinished;             /* records of curations that were killed; repair removes them */
    int64_t stale_runs; /* runs that say running, but nobody runs them; repair stops them */
    int64_t problems;   /* all of the above that is wrong ... */
    int64_t remaining;  /* ... and still is: not repaired, or not repairable */
    int example_count;
    char examples[ML_CHECK_EXAMPLES][200]; /* of what was found, a line each */
};

/* Writers are kept out while rows and bytes are compared, but not while bytes are hashed. A
 * workspace that was opened for reading only is checked as it is: what a writer does meanwhile
 * looks like a fault. options may be NULL. *out is filled in only on success; problems are no
 * failure. */
int ml_workspace_check(struct ml_workspace *workspace, const struct ml_check_options *options,
                       struct ml_workspace_check *out, struct ml_error *err);

#endif
