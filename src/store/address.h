/* Where a workspace keeps its rows and its bytes when that is not its own folder: the file
 * maliang.url in it, with one address a line (postgresql://..., s3://...); blank lines and lines
 * that begin with # are skipped. */
#ifndef ML_STORE_ADDRESS_H
#define ML_STORE_ADDRESS_H

#include <stdbool.h>

#include "base/arena.h"

#define ML_ADDRESS_FILE "maliang.url"

/* NULL: in the folder. */
struct ml_address {
    const char *database, *blobs;
};

/* Owned by the arena. No file is the address of an ordinary workspace. One that holds a password
 * must be readable by its owner only. */
int ml_address_read(struct ml_address *out, struct ml_arena *arena, const char *folder,
                    struct ml_error *err);
/* Whole or not at all; readable by the owner only. */
int ml_address_write(const struct ml_address *address, const char *folder, struct ml_error *err);
bool ml_address_equal(const struct ml_address *a, const struct ml_address *b);

#endif
