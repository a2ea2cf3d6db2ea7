/* What the files of this folder share. */
#ifndef ML_STORE_STORE_IMPL_H
#define ML_STORE_STORE_IMPL_H

#include "store/blob_driver.h"
#include "store/hash.h"
#include "store/sql.h"
#include "store/workspace.h"
#include "store/write_lock.h"

struct ml_workspace {
    char *folder;   /* absolute */
    char *database; /* what ml_db_open gets: a path, or an address with its password */
    struct ml_db *db;
    struct ml_blob_store *blobs;
    struct ml_write_lock lock;
    double wait_seconds;
    int depth;   /* of begin without end */
    bool doomed; /* an inner pair failed: the outermost must not keep anything */
    bool read_only;
};

/* The number of a blob's row; ML_ERR_NOT_FOUND without a message when it has none. */
int ml_blob_row(struct ml_workspace *workspace, const char *hash, int64_t *id,
                struct ml_error *err);

/* Puts a hash as 32 bytes; "" or NULL as SQL's NULL. False when it is not a hash. */
bool ml_stmt_put_hash(struct ml_stmt *stmt, const char *hash);
/* A column of 32 bytes as text; "" when it is NULL. */
void ml_stmt_hash(struct ml_stmt *stmt, int column, char out[ML_HASH_HEX]);
int64_t ml_unix_time(void); /* seconds */

/* Names of datasets and models: 1 to 128 bytes of UTF-8 without control characters, slashes, '@',
 * a dot or dash in front, or blanks at the ends. `what` names it in the message. */
int ml_name_check(const char *name, const char *what, struct ml_error *err);

#endif
