/* Copies of blobs that lie elsewhere, in blobs/.cache, at most so many bytes of them: the ones that
 * were not used for longest go first. A copy gets its name when it is whole; until then it has
 * none, so a killed process leaves nothing. Where nothing can be written, copies are held in
 * memory. */
#ifndef ML_STORE_BLOB_CACHE_H
#define ML_STORE_BLOB_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/files.h"
#include "store/hash.h"

struct ml_blob_cache {
    char *folder;
    int64_t limit; /* bytes */
    int64_t used;  /* as far as this handle knows; -1: not counted yet */
};

int ml_blob_cache_init(struct ml_blob_cache *cache, const char *workspace, int64_t limit,
                       struct ml_error *err);
void ml_blob_cache_clear(struct ml_blob_cache *cache); /* the handle; the copies stay */

/* False: there is no copy. */
bool ml_blob_cache_view(struct ml_blob_cache *cache, const char *hash, struct ml_file_map *map);

/* A copy in the making. */
struct ml_blob_copy {
    int file; /* -1: none */
    bool in_memory;
    int64_t bytes;
    struct ml_hasher hasher;
};
int ml_blob_copy_begin(struct ml_blob_copy *copy, struct ml_blob_cache *cache,
                       struct ml_error *err);
int ml_blob_copy_put(struct ml_blob_copy *copy, const void *bytes, size_t n, struct ml_error *err);
/* Whole: it is mapped, and kept under its hash if `keep`. ML_ERR_FORMAT without a message: these
 * are other bytes. Ends the copy either way. */
int ml_blob_copy_finish(struct ml_blob_copy *copy, struct ml_blob_cache *cache, const char *hash,
                        bool keep, struct ml_file_map *map, struct ml_error *err);
void ml_blob_copy_drop(struct ml_blob_copy *copy); /* accepts an ended one */

#endif
