/* Files as bytes, and what their names say (data/collect_impl.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "data/collect_impl.h"

static bool is_among(const char *word, const char *const *words)
{
    while (*words && strcasecmp(word, *words) != 0)
        words++;
    return *words != NULL;
}

enum ml_file_kind ml_file_kind(const char *path)
{
    static const char *const text[] = {"txt", "text", "md", "markdown", NULL};
    static const char *const lines[] = {"jsonl", "ndjson", NULL};
    static const char *const foreign[] = {"json", "csv",  "tsv",  "html", "htm",  "xhtml", "xml",
                                          "svg",  "rtf",  "srt",  "vtt",  "ass",  "ipynb", "pdf",
                                          "doc",  "docx", "odt",  "epub", "mobi", "xls",   "xlsx",
                                          "ppt",  "pptx", "warc", "opml", NULL};
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name)
        return ML_FILE_UNKNOWN;
    return is_among(dot + 1, text)      ? ML_FILE_TEXT
           : is_among(dot + 1, lines)   ? ML_FILE_JSONL
           : is_among(dot + 1, foreign) ? ML_FILE_FOREIGN
                                        : ML_FILE_UNKNOWN;
}

/* Read, not mapped: a file that another program cuts short while we look must not end us. */
static int read_all(struct ml_buffer *out, int file, uint64_t limit, int *number,
                    struct ml_error *err)
{
    int status = 0;
    while (status == 0 && out->size <= limit) {
        size_t room = out->capacity - out->size - 1;
        if (room == 0) {
            status = ml_buffer_reserve(out, out->size + 1, err);
            continue;
        }
        ssize_t got = read(file, out->data + out->size, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            *number = errno;
        if (got <= 0)
            break;
        out->size += (size_t)got;
    }
    return status;
}

int ml_collect_load(struct ml_buffer *out, const char *path, uint64_t limit,
                    enum ml_collect_reason *skip, char why[100], struct ml_error *err)
{
    struct stat info = {0};
    int status = 0, number = 0;
    *skip = ML_SKIP_COUNT;
    why[0] = '\0';
    /* Without waiting: between listing and opening it may have become a pipe. */
    int file = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0 || fstat(file, &info) != 0)
        number = errno;
    else if (!S_ISREG(info.st_mode))
        number = EINVAL;
    else if ((uint64_t)info.st_size > limit)
        *skip = ML_SKIP_TOO_LARGE;
    else
        status = ml_buffer_reserve(out, (size_t)info.st_size + 1, err);
    if (status == 0 && !number && *skip == ML_SKIP_COUNT) {
        status = read_all(out, file, limit, &number, err);
        if (out->size > limit) /* it grew */
            *skip = ML_SKIP_TOO_LARGE;
        else if (out->size == 0 && !number)
            *skip = ML_SKIP_EMPTY;
        if (out->data)
            out->data[out->size] = '\0';
    }
    if (number) {
        *skip = ML_SKIP_UNREADABLE;
        char reason[100];
        snprintf(why, 100, "%s", strerror_r(number, reason, sizeof reason));
    }
    if (file >= 0)
        close(file);
    return status;
}
