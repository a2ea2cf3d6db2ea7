/* A workspace is one folder: maliang.db (everything that has rows), blobs/ (everything that has
 * bytes), models/ and runs/. Any number of processes may read it; one handle writes at a time, and
 * others wait for their turn. Rows may lie in a PostgreSQL server instead, and bytes in S3: then
 * the folder's file maliang.url says where, and several machines can share them.
 *
 * A handle is used by one thread at a time; threads open handles of their own. */
#ifndef ML_STORE_WORKSPACE_H
#define ML_STORE_WORKSPACE_H

#include <stdbool.h>

#include "base/arena.h"
#include "maliang/error.h"

struct ml_workspace;

/* Zero means default. */
struct ml_workspace_options {
    bool create;    /* make it when the folder does not exist, is empty or was left half made */
    bool read_only; /* nothing is written, not even a lock; works on read-only media */
    double wait_seconds; /* for another writer; 0: 30, negative: not at all */
    /* For a workspace that is made: where its rows and bytes lie; NULL: in the folder. One that
     * exists must lie there already. postgresql://USER@HOST/DATABASE?schema=NAME (store/sql.h) */
    const char *database_url;
    const char *blobs_url; /* s3://BUCKET/PREFIX?endpoint=URL&region=NAME (store/s3_address.h) */
};

/* options may be NULL. ML_ERR_NOT_FOUND: no such folder; ML_ERR_FORMAT: not a workspace, or a
 * damaged one; ML_ERR_UNSUPPORTED: a newer program made it. */
int ml_workspace_open(struct ml_workspace **out, const char *folder,
                      const struct ml_workspace_options *options, struct ml_error *err);
void ml_workspace_close(struct ml_workspace *workspace); /* undoes what was not ended */

const char *ml_workspace_folder(const struct ml_workspace *workspace); /* absolute */
/* Where its rows lie, for people: a path, or an address without its password. */
const char *ml_workspace_database(const struct ml_workspace *workspace);
bool ml_workspace_is_read_only(const struct ml_workspace *workspace);
/* A path inside the workspace ("models/fables"), or an absolute one as it is. NULL: out of memory.
 */
char *ml_workspace_path(const struct ml_workspace *workspace, struct ml_arena *arena,
                        const char *path);
/* The opposite: relative when it lies inside. */
char *ml_workspace_relative(const struct ml_workspace *workspace, struct ml_arena *arena,
                            const char *path);

/* Whether a folder holds a workspace (a look at the names in it, nothing is opened). */
bool ml_workspace_is_one(const char *folder);

/* Everything that writes does so between begin and end; calls that write do it themselves, and
 * nest when the caller has begun already. Pass what happened to end: 0 keeps everything (when this
 * is the outermost pair), anything else undoes everything, also what an outer pair did before.
 * Returns status, or what went wrong while keeping it. */
int ml_workspace_begin(struct ml_workspace *workspace, struct ml_error *err);
int ml_workspace_end(struct ml_workspace *workspace, int status, struct ml_error *err);

#endif
