/* Which files lie under the paths that a user names. */
#ifndef ML_DATA_COLLECT_FILES_H
#define ML_DATA_COLLECT_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

struct ml_found_file {
    const char *path; /* absolute, links on the way resolved */
    uint64_t bytes;
};
/* What could not be looked at; a non-zero return stops the search and is returned. */
typedef int ml_unreadable_fn(void *arg, const char *path, int number, struct ml_error *err);

/* Regular files under the paths in byte order, each once. Hidden files and links below a named
 * folder are left out, and so is every workspace. A path that does not exist is ML_ERR_NOT_FOUND.
 * Owned by the arena. */
int ml_collect_find(struct ml_arena *arena, const char *const *paths, size_t count,
                    ml_unreadable_fn *unreadable, void *arg, struct ml_found_file **out,
                    size_t *out_count, struct ml_error *err);

#endif
