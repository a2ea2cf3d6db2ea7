/* A file that is being exported: compressed on the way where that is asked for, and its size and
 * SHA-256 known at the end. Whole or not at all (ml_writer). */
#ifndef ML_DATA_EXPORT_FILE_H
#define ML_DATA_EXPORT_FILE_H

#include "base/files.h"
#include "data/zstd_pack.h"
#include "store/hash.h"

struct ml_export_file {
    struct ml_writer writer;
    struct ml_hasher hasher;
    struct ml_zstd_stream *zstd; /* NULL: as it is */
    uint64_t bytes;              /* in the file so far; with zstd, some may still be on their way */
};

struct ml_export_sum {
    uint64_t bytes;
    char hash[ML_HASH_HEX]; /* of the file */
};

/* Keep it where it is until it is committed or aborted. */
int ml_export_file_open(struct ml_export_file *file, const char *path, bool compress,
                        struct ml_error *err);
int ml_export_file_put(struct ml_export_file *file, const void *bytes, size_t n,
                       struct ml_error *err);
/* sum may be NULL. */
int ml_export_file_commit(struct ml_export_file *file, struct ml_export_sum *sum,
                          struct ml_error *err);
void ml_export_file_abort(struct ml_export_file *file); /* accepts a committed or zeroed one */

#endif
