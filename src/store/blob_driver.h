/* Where bytes can lie. blobs.c keeps the rows and hands the bytes to one of these; a store begins
 * with ml_blob_store. Hashes that are handed over are hashes. */
#ifndef ML_STORE_BLOB_DRIVER_H
#define ML_STORE_BLOB_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/files.h"
#include "maliang/error.h"

struct ml_blob_store {
    const struct ml_blob_driver *driver;
};

/* hash NULL: something that lies among the blobs and is none; path says where. Non-zero stops, and
 * is returned. */
typedef int ml_blob_visit(void *arg, const char *hash, const char *path, uint64_t bytes,
                          struct ml_error *err);

struct ml_blob_driver {
    const char *name;
    void (*close)(struct ml_blob_store *store); /* accepts NULL */

    /* Keeps bytes under their hash, whole or not at all. `known`: they were put before; they need
     * not be put again if they are still whole. */
    int (*put)(struct ml_blob_store *store, const char *hash, const void *bytes, size_t n,
               bool known, struct ml_error *err);
    /* ML_ERR_NOT_FOUND: they are not there. `at_source`: what lies there, and no copy of it that is
     * nearer. */
    int (*view)(struct ml_blob_store *store, const char *hash, bool at_source,
                struct ml_file_map *map, struct ml_error *err);
    /* Puts since the last sync outlive a loss of power from here on. */
    int (*sync)(struct ml_blob_store *store, struct ml_error *err);

    /* For tidying up, under the write lock. */
    int (*list)(struct ml_blob_store *store, ml_blob_visit *visit, void *arg,
                struct ml_error *err); /* in the order of their hashes, strangers anywhere */
    int (*remove)(struct ml_blob_store *store, const char *hash, struct ml_error *err);
    /* What killed writers left half done: counts it, and removes it if asked. */
    int (*leftovers)(struct ml_blob_store *store, bool remove, int64_t *count,
                     struct ml_error *err);
};

/* In the folder `blobs` of a workspace. */
int ml_blob_local_open(struct ml_blob_store **out, const char *folder, struct ml_error *err);
/* In a bucket (store/s3_address.h), with copies in the workspace's folder. With MALIANG_HAVE_CURL.
 */
int ml_blob_s3_open(struct ml_blob_store **out, const char *folder, const char *url,
                    struct ml_error *err);

#endif
