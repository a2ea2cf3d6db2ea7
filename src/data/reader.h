/* Readers of outside formats: bytes in, documents or members out. One row a format (readers.c), so
 * that collecting from a folder, an archive, a page or a feed knows the same formats.
 *
 * A reader never trusts the bytes: it has limits, a fuzz target, and says what is wrong in one
 * message; the caller then leaves this source out and goes on with the next. */
#ifndef ML_DATA_READER_H
#define ML_DATA_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

/* What is read. All is borrowed; bytes may be NULL when size is 0. */
struct ml_reader_input {
    const char *uri;  /* path or URL, for messages and for resolving links */
    const char *type; /* media type as the source states it, without parameters; NULL: not stated */
    const char *bytes;
    size_t size;
    const char *charset; /* as the source states it; NULL or "": not stated */
};

/* One piece of text or media that came out, borrowed for the call. */
struct ml_document {
    const char *kind;  /* "text", "image", "audio", "video" */
    const char *type;  /* media type of `bytes`: "text/plain" for text */
    const char *bytes; /* text: UTF-8 with \n at line ends and no NUL */
    size_t size;
    const char *title; /* NULL: none */
    const char *meta;  /* JSON object of further fields; NULL: none */
    /* What it says of itself; NULL: nothing. */
    const char *consent; /* "denied: WHERE WHAT" */
    const char *licence; /* SPDX expression */
};

/* A file within the input (archive, WARC): the caller reads it with the reader of its own type. */
struct ml_member {
    const char *name; /* path inside, or the URL of a WARC record; UTF-8 */
    const char *type; /* NULL: by its name */
    const char *bytes;
    size_t size;
    const char *charset; /* as the source states it; NULL: not stated */
    const char *consent; /* "denied: WHERE WHAT"; NULL: nothing was stated against training */
};

/* Where results go. Non-zero is returned at once. A reader of documents calls `document` only, a
 * reader of members `member` only. `left_out` says that a part could not be used (a row, a member)
 * and why; the reader goes on. */
struct ml_reader_sink {
    int (*document)(void *arg, const struct ml_document *document, struct ml_error *err);
    int (*member)(void *arg, const struct ml_member *member, struct ml_error *err);
    void (*left_out)(void *arg, const char *what, const char *why);
    void *arg;
};

/* Limits of one input; zero means default (readers.c). */
struct ml_reader_limits {
    uint64_t max_out_bytes; /* all that comes out of one input: an archive that unpacks to more is
                               a bomb */
    uint64_t max_members;
    double max_seconds; /* of a child process */
};

struct ml_reader {
    const char *name;           /* "html 1": goes into the lineage; the number grows when the same
                                   bytes would give another text */
    const char *const *endings; /* "html", "htm", NULL */
    const char *const *types;   /* "text/html", NULL */
    /* ML_ERR_FORMAT: these bytes are not of the format or are damaged; ML_ERR_LIMIT: a limit was
     * passed; ML_ERR_UNSUPPORTED: the part that reads it was not built in. limits is never NULL. */
    int (*read)(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                const struct ml_reader_sink *sink, struct ml_error *err);
};

#endif
