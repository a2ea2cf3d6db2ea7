/* Files: read with limits, written whole or not at all. */
#ifndef ML_BASE_FILES_H
#define ML_BASE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

/* A whole file in memory that is only read (mmap). */
struct ml_file_map {
    const uint8_t *data; /* NULL when the file is empty */
    size_t size;
};
int ml_file_map_open(struct ml_file_map *out, const char *path, struct ml_error *err);
void ml_file_map_close(struct ml_file_map *map);

/* Reads at most max_bytes (a larger file is ML_ERR_LIMIT); NUL-terminated; owned by the arena. */
int ml_file_read(struct ml_arena *arena, const char *path, size_t max_bytes, char **out,
                 size_t *out_size, struct ml_error *err);

/* The next line of a FILE *, without its "\n" or "\r\n", into `line` (emptied first). Returns 1 for
 * a line, 0 at the end, or a negative code: ML_ERR_LIMIT for a line over max_bytes,
 * ML_ERR_CANCELLED when a signal broke the wait. */
int ml_line_read(void *stream, size_t max_bytes, struct ml_buffer *line, struct ml_error *err);

/* Writes beside the target and renames over it on commit (fsync of file and folder), so a reader
 * sees the old file or the new one. abort (and a failed commit) removes the temporary file. A link
 * is followed; a pipe or device is written in place. Programs ignore SIGXFSZ, so that a size limit
 * becomes an error here. */
struct ml_writer {
    char *path, *temporary;
    void *stream; /* FILE * */
};
int ml_writer_open(struct ml_writer *writer, const char *path, struct ml_error *err);
int ml_writer_put(struct ml_writer *writer, const void *bytes, size_t n, struct ml_error *err);
int ml_writer_commit(struct ml_writer *writer, struct ml_error *err);
void ml_writer_abort(struct ml_writer *writer); /* accepts a committed or zeroed writer */
int ml_file_write(const char *path, const void *bytes, size_t n,
                  struct ml_error *err); /* open+put+commit */
/* The same for keys: nobody but the owner may read it (mode 0600). */
int ml_file_write_private(const char *path, const void *bytes, size_t n, struct ml_error *err);

bool ml_path_exists(const char *path);
bool ml_path_is_dir(const char *path);
char *ml_path_join(struct ml_arena *arena, const char *folder, const char *name);
int ml_dir_make(const char *path, struct ml_error *err);   /* with parents; fine when it exists */
int ml_dir_remove(const char *path, struct ml_error *err); /* recursive; never follows links */

/* Every regular file under root in byte order of the path, hidden files and links left out.
 * visit returns non-zero to stop, which is then returned. A root that is a file is the one file
 * that is visited. */
typedef int ml_walk_fn(void *arg, const char *path, uint64_t bytes, struct ml_error *err);
int ml_dir_walk(const char *root, ml_walk_fn *visit, void *arg, struct ml_error *err);

#endif
