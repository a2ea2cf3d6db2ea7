/* A folder that is being exported: filled under a hidden name beside its place, then renamed, so
 * that it is there whole or not at all. */
#ifndef ML_DATA_EXPORT_FOLDER_H
#define ML_DATA_EXPORT_FOLDER_H

#include "base/arena.h"

struct ml_export_folder {
    char *path, *temporary;
};

/* A place where something is already, but for an empty folder, is ML_ERR_STATE. */
int ml_export_folder_open(struct ml_export_folder *folder, const char *path, struct ml_error *err);
/* Where a file of it is written; NULL: out of memory. */
char *ml_export_folder_file(const struct ml_export_folder *folder, struct ml_arena *arena,
                            const char *name);
int ml_export_folder_commit(struct ml_export_folder *folder, struct ml_error *err);
/* Removes what was written; accepts a committed or zeroed one. */
void ml_export_folder_abort(struct ml_export_folder *folder);

#endif
