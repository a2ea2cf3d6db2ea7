/* Archives of tar (POSIX.1-2001: ustar, with pax headers for what does not fit). No times, owners
 * or other facts of this machine go in, so that the same files give the same bytes. */
#ifndef ML_DATA_TAR_WRITE_H
#define ML_DATA_TAR_WRITE_H

#include "data/export_file.h"

/* One regular file; name is UTF-8 of at most 1000 bytes. */
int ml_tar_put(struct ml_export_file *file, const char *name, const void *bytes, size_t n,
               struct ml_error *err);
int ml_tar_end(struct ml_export_file *file, struct ml_error *err);

#endif
