/* Bytes by their SHA-256: blobs/ab/cdef..., or the same in S3. Written once, never changed, never
 * half there; the same bytes are kept once. */
#ifndef ML_STORE_BLOBS_H
#define ML_STORE_BLOBS_H

#include <stddef.h>
#include <stdint.h>

#include "base/files.h"
#include "store/hash.h"
#include "store/workspace.h"

/* Keeps n bytes and gives their hash. Bytes that are there already are compared, so putting what
 * was damaged on disk repairs it. */
int ml_blobs_put(struct ml_workspace *workspace, const void *bytes, size_t n,
                 char hash[ML_HASH_HEX], struct ml_error *err);

/* One blob in memory, to be read. Zero-initialise. Opening the hash that is open already costs
 * nothing, so a loop over records of one file maps it once. */
struct ml_blob_view {
    struct ml_file_map map;
    char hash[ML_HASH_HEX];
};
int ml_blobs_view(struct ml_workspace *workspace, struct ml_blob_view *view, const char *hash,
                  struct ml_error *err);
void ml_blob_view_clear(struct ml_blob_view *view); /* accepts NULL */

/* Reads all of it and compares its hash. ML_ERR_FORMAT when it is damaged. */
int ml_blobs_verify(struct ml_workspace *workspace, const char *hash, struct ml_error *err);

/* Puts a few bytes there, reads them back and removes them: whether bytes can be kept. The message
 * says what cannot be done. */
int ml_blobs_try(struct ml_workspace *workspace, struct ml_error *err);

/* Where it lies if it lies in the workspace's folder, whether it exists or not. NULL: out of
 * memory. */
char *ml_blobs_path(const struct ml_workspace *workspace, struct ml_arena *arena, const char *hash);

#endif
