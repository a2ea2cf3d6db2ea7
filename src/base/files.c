#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"

/* One call for every failed system call on a file: path, what was tried, why. */
static int fail_errno(struct ml_error *err, const char *path, const char *tried, int number)
{
    char reason[128];
    int code = number == ENOENT || number == ENOTDIR ? ML_ERR_NOT_FOUND
               : number == ENOMEM                    ? ML_ERR_MEMORY
                                                     : ML_ERR_IO;
    return ml_fail(err, code, "%s: cannot %s: %s", path, tried,
                   strerror_r(number, reason, sizeof reason));
}

static int open_to_read(const char *path, struct stat *info, int *out, struct ml_error *err)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fail_errno(err, path, "open it", errno);
    if (fstat(file, info) != 0) {
        int status = fail_errno(err, path, "look at it", errno);
        close(file);
        return status;
    }
    if (S_ISDIR(info->st_mode)) {
        close(file);
        return ml_fail(err, ML_ERR_ARG, "%s: this is a folder; a file is needed", path);
    }
    *out = file;
    return 0;
}

int ml_file_map_open(struct ml_file_map *out, const char *path, struct ml_error *err)
{
    struct stat info;
    int file, status = open_to_read(path, &info, &file, err);
    if (status)
        return status;
    void *data = NULL;
    if (!S_ISREG(info.st_mode))
        status = ml_fail(err, ML_ERR_ARG, "%s: not a regular file", path);
    else if (info.st_size > 0) {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (data == MAP_FAILED)
            status = fail_errno(err, path, "map it into memory", errno);
    }
    close(file);
    if (status == 0)
        *out = (struct ml_file_map){.data = data, .size = (size_t)info.st_size};
    return status;
}

void ml_file_map_close(struct ml_file_map *map)
{
    if (!map)
        return;
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct ml_file_map){0};
}

/* Reads to the end, one byte further than max_bytes at most: sizes of pipes and /proc are not known
 * before. */
static int read_all(int file, const char *path, size_t max_bytes, struct ml_buffer *text,
                    struct ml_error *err)
{
    int status = 0;
    while (status == 0 && text->size <= max_bytes) {
        size_t room = text->capacity - text->size - 1, left = max_bytes + 1 - text->size;
        ssize_t got = read(file, text->data + text->size, room < left ? room : left);
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, path, "read it", errno);
        text->size += (size_t)got;
        if (text->size + 1 == text->capacity)
            status = ml_buffer_reserve(text, text->size + 1, err);
    }
    return status;
}

int ml_file_read(struct ml_arena *arena, const char *path, size_t max_bytes, char **out,
                 size_t *out_size, struct ml_error *err)
{
    struct stat info;
    struct ml_buffer text = {0};
    char *copy = NULL;
    int file, status = open_to_read(path, &info, &file, err);
    if (status)
        return status;
    max_bytes = max_bytes < SIZE_MAX / 8 ? max_bytes : SIZE_MAX / 8;
    size_t expected = info.st_size > 0 ? (size_t)info.st_size : 0;
    if (expected <= max_bytes) {
        status = ml_buffer_reserve(&text, expected + 1, err);
        if (status == 0)
            status = read_all(file, path, max_bytes, &text, err);
    }
    if (status == 0 && (expected > max_bytes || text.size > max_bytes))
        status =
            ml_fail(err, ML_ERR_LIMIT, "%s: larger than the limit of %zu bytes", path, max_bytes);
    if (status == 0) {
        copy = ml_arena_strndup(arena, text.data, text.size);
        if (!copy)
            status =
                ml_fail(err, ML_ERR_MEMORY, "%s: out of memory reading %zu bytes", path, text.size);
    }
    if (status == 0) {
        *out = copy;
        if (out_size)
            *out_size = text.size;
    }
    ml_buffer_clear(&text);
    close(file);
    return status;
}

int ml_line_read(void *stream, size_t max_bytes, struct ml_buffer *line, struct ml_error *err)
{
    char chunk[512];
    size_t n = 0;
    int byte, status = 0;
    line->size = 0;
    errno = 0;
    do {
        byte = getc(stream);
        if (byte != EOF)
            chunk[n++] = (char)byte;
        if (n == sizeof chunk || byte == EOF || byte == '\n') {
            status = ml_buffer_put(line, chunk, n, err);
            n = 0;
        }
        if (status == 0 && line->size > max_bytes + 2)
            status = ml_fail(err, ML_ERR_LIMIT, "a line is longer than %zu bytes", max_bytes);
    } while (status == 0 && byte != EOF && byte != '\n');
    if (status == 0 && byte == EOF && ferror((FILE *)stream))
        status = errno == EINTR ? ml_fail(err, ML_ERR_CANCELLED, "stopped while reading a line")
                                : ml_fail(err, ML_ERR_IO, "a line could not be read");
    if (status)
        return status;
    bool got = line->size > 0;
    if (got && line->data[line->size - 1] == '\n')
        line->size -= 1 + (line->size > 1 && line->data[line->size - 2] == '\r');
    line->data[line->size] = '\0';
    if (line->size > max_bytes)
        return ml_fail(err, ML_ERR_LIMIT, "a line is longer than %zu bytes", max_bytes);
    return got;
}

/* ---- the writer ---- */

static int fail_write(const struct ml_writer *writer, int number, struct ml_error *err)
{
    char reason[128];
    return ml_fail(err, ML_ERR_IO, "%s: cannot write: %s; %s", writer->path,
                   strerror_r(number, reason, sizeof reason),
                   writer->temporary ? "nothing was replaced" : "it may be incomplete");
}

/* Where a link points is what the user means to replace, not the link. */
static char *target_of(const char *path)
{
    char resolved[PATH_MAX];
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && realpath(path, resolved))
        return ml_mem_strdup(resolved);
    return ml_mem_strdup(path);
}

/* "folder/.name.XXXXXXXX": hidden, so that nothing takes a leftover of a crash for material. */
static char *temporary_name(const char *path, unsigned salt)
{
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash - path) + 1 : 0, bytes = strlen(path) + 24;
    char *name = ml_mem_alloc(bytes);
    if (name) /* the name is shortened so that the longest legal name stays legal */
        snprintf(name, bytes, "%.*s.%.200s.%08x", (int)folder, path, path + folder, salt);
    return name;
}

/* Opens a file that did not exist before, readable as the target was (or as umask says). */
static int open_temporary(struct ml_writer *writer, const struct stat *target, int *out,
                          struct ml_error *err)
{
    for (unsigned attempt = 0;; attempt++) {
        unsigned salt = ((unsigned)getpid() << 12) ^ (unsigned)(uintptr_t)writer ^ attempt;
        ml_mem_free(writer->temporary);
        writer->temporary = temporary_name(writer->path, salt);
        if (!writer->temporary)
            return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", writer->path);
        int file = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0) {
            if (target) /* a failure leaves the usual mode, which is no reason to stop */
                (void)!fchmod(file, target->st_mode & 07777);
            *out = file;
            return 0;
        }
        if (errno != EEXIST || attempt == 1000) {
            int number = errno;
            ml_mem_free(writer->temporary);
            writer->temporary = NULL;
            return fail_errno(err, writer->path, "create a file beside it", number);
        }
    }
}

int ml_writer_open(struct ml_writer *writer, const char *path, struct ml_error *err)
{
    struct ml_writer opened = {.path = target_of(path)};
    struct stat info;
    int file = -1, status = 0;
    if (!opened.path)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    bool exists = stat(opened.path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) {
        status =
            ml_fail(err, ML_ERR_ARG, "%s: this is a folder; it is not replaced by a file", path);
    } else if (exists &&
               !S_ISREG(info.st_mode)) { /* a pipe or /dev/null is written, not replaced */
        file = open(opened.path, O_WRONLY | O_CLOEXEC);
        if (file < 0)
            status = fail_errno(err, path, "open it for writing", errno);
    } else {
        status = open_temporary(&opened, exists ? &info : NULL, &file, err);
    }
    if (status == 0) {
        opened.stream = fdopen(file, "w");
        if (!opened.stream) {
            status = fail_write(&opened, errno, err);
            close(file);
            if (opened.temporary)
                unlink(opened.temporary);
        }
    }
    if (status) {
        ml_mem_free(opened.temporary);
        ml_mem_free(opened.path);
        return status;
    }
    *writer = opened;
    return 0;
}

int ml_writer_put(struct ml_writer *writer, const void *bytes, size_t n, struct ml_error *err)
{
    errno = 0;
    if (n == 0 || fwrite(bytes, 1, n, writer->stream) == n)
        return 0;
    return fail_write(writer, errno ? errno : EIO, err);
}

/* A rename lasts through a power cut only when its folder is on disk too. Some file systems refuse
 * to sync a folder (EINVAL): they have nothing to sync. */
static int sync_folder(const struct ml_writer *writer, struct ml_error *err)
{
    const char *slash = strrchr(writer->path, '/');
    char folder[PATH_MAX] = ".";
    if (slash)
        snprintf(folder, sizeof folder, "%.*s",
                 slash == writer->path ? 1 : (int)(slash - writer->path), writer->path);
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return 0; /* a folder that may be written but not listed */
    int status =
        fsync(file) == 0 || errno == EINVAL ? 0 : fail_errno(err, folder, "sync it", errno);
    close(file);
    return status;
}

/* Flush, sync, close: any of them may be the one that meets the full disk. */
static int finish_stream(struct ml_writer *writer, struct ml_error *err)
{
    FILE *stream = writer->stream;
    int number = 0;
    errno = 0;
    if (ferror(stream) || fflush(stream) != 0)
        number = errno ? errno : EIO;
    else if (fsync(fileno(stream)) != 0 && errno != EINVAL && errno != EROFS)
        number = errno; /* EINVAL: a pipe or a device has nothing to sync */
    errno = 0;
    if (fclose(stream) != 0 && number == 0)
        number = errno ? errno : EIO;
    writer->stream = NULL;
    return number ? fail_write(writer, number, err) : 0;
}

int ml_writer_commit(struct ml_writer *writer, struct ml_error *err)
{
    if (!writer->stream)
        return ml_fail(err, ML_ERR_STATE, "a writer was committed that is not open");
    int status = finish_stream(writer, err);
    if (status == 0 && writer->temporary) {
        if (rename(writer->temporary, writer->path) != 0) {
            status = fail_write(writer, errno, err);
        } else {
            ml_mem_free(writer->temporary);
            writer->temporary = NULL;
            status = sync_folder(writer, err);
        }
    }
    ml_writer_abort(writer);
    return status;
}

void ml_writer_abort(struct ml_writer *writer)
{
    if (!writer)
        return;
    if (writer->stream)
        fclose(writer->stream);
    if (writer->temporary)
        unlink(writer->temporary);
    ml_mem_free(writer->temporary);
    ml_mem_free(writer->path);
    *writer = (struct ml_writer){0};
}

int ml_file_write_private(const char *path, const void *bytes, size_t n, struct ml_error *err)
{
    struct ml_writer writer = {0};
    char reason[128];
    int status = ml_writer_open(&writer, path, err);
    if (status)
        return status;
    if (fchmod(fileno(writer.stream), 0600) != 0)
        status = ml_fail(err, ML_ERR_IO, "%s: cannot be kept private: %s", path,
                         strerror_r(errno, reason, sizeof reason));
    if (status == 0)
        status = ml_writer_put(&writer, bytes, n, err);
    if (status == 0)
        status = ml_writer_commit(&writer, err);
    else
        ml_writer_abort(&writer);
    return status;
}

int ml_file_write(const char *path, const void *bytes, size_t n, struct ml_error *err)
{
    struct ml_writer writer;
    int status = ml_writer_open(&writer, path, err);
    if (status)
        return status;
    status = ml_writer_put(&writer, bytes, n, err);
    if (status == 0)
        return ml_writer_commit(&writer, err);
    ml_writer_abort(&writer);
    return status;
}
