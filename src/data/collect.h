/* Collecting: files and folders into a workspace. Text is read as UTF-8 (UTF-16 with its mark and
 * Chinese GB18030 are converted), kept once per file as a blob, and cut into records: the lines of
 * a JSONL file, the sayings of a fortune file, or the file as a whole. Tables, documents, archives
 * and media go through the reader of their format (data/readers.h).
 *
 * A run that is killed leaves what it finished in a sound workspace; collecting again adds what is
 * missing. A file that was collected before and did not change costs one read. */
#ifndef ML_DATA_COLLECT_H
#define ML_DATA_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/reader.h"
#include "store/datasets.h"

#define ML_COLLECT_MAX_FILE ((uint64_t)256 << 20) /* bytes, unless the options say otherwise */

/* Zero means default. */
struct ml_collect_options {
    uint64_t max_file_bytes;
    const char *licence; /* SPDX expression for all that is collected, NULL: not known */
    const char *consent; /* NULL: not stated */
    bool allow_denied;   /* collect what may not be used for training too, with its verdict */
    struct ml_reader_limits limits; /* of one file; of an archive with all that is within it */
    /* Called before each file and after each batch; non-zero stops with ML_ERR_CANCELLED, and what
     * earlier batches collected stays. May be NULL. */
    int (*progress)(void *arg, uint64_t files, uint64_t total_files, const char *path);
    void *arg;
};

enum ml_collect_reason {
    ML_SKIP_BINARY,
    ML_SKIP_FORMAT,  /* of a kind whose reader there is not, or was not built in */
    ML_SKIP_DAMAGED, /* not what the name says, or broken */
    ML_SKIP_TOO_LARGE,
    ML_SKIP_EMPTY,
    ML_SKIP_UNREADABLE, /* files or folders */
    ML_SKIP_ENCODING,
    ML_SKIP_BAD_LINE, /* counts lines, not files */
    ML_SKIP_PART,     /* counts rows and members, not files */
    ML_SKIP_WEB,      /* addresses that were not fetched */
    ML_SKIP_CONSENT,  /* may not be used for training */
    ML_SKIP_COUNT
};
/* "binary files", "lines that are not records" ... */
const char *ml_collect_reason_name(enum ml_collect_reason reason);

#define ML_COLLECT_MAX_EXAMPLES  3
#define ML_COLLECT_EXAMPLE_BYTES 200

struct ml_collect_report {
    uint64_t files;    /* found, whether they could be used or not */
    uint64_t bytes;    /* of the files that could be used */
    uint64_t added;    /* records that are new */
    uint64_t present;  /* records that were there */
    uint64_t repeated; /* the same again within one file: one record */
    uint64_t replaced; /* records that their file does not hold any more */
    struct {
        uint64_t count;
        /* "path" or "path:line: why" */
        char examples[ML_COLLECT_MAX_EXAMPLES][ML_COLLECT_EXAMPLE_BYTES];
    } skipped[ML_SKIP_COUNT];
};

/* A path is a file, a folder, "sqlite:FILE?table=NAME" (data/table_sqlite.h) or "emoji:"
 * (data/emoji.h). Members of archives are sources named "ARCHIVE!/MEMBER".
 *
 * *report is filled in also when the call fails. Nothing usable under the paths is
 * ML_ERR_NOT_FOUND and says why; some files left out is success. options may be NULL. */
int ml_collect(struct ml_workspace *workspace, const char *const *paths, size_t count,
               const struct ml_collect_options *options, struct ml_collect_report *report,
               struct ml_error *err);

/* Sources that a collection went over. Zero-initialise, ml_arena_init the arena. */
struct ml_collect_sources {
    struct ml_arena arena;
    const char **uris;
    size_t count, capacity;
};

/* The dataset that holds what lies under the paths (or came from the addresses) now, and what its
 * latest version held before (but for what was replaced). */
int ml_collect_dataset(struct ml_workspace *workspace, const char *name, const char *const *paths,
                       size_t count, struct ml_dataset *out, bool *made, struct ml_error *err);

/* The one message for paths or addresses that gave nothing: ML_ERR_NOT_FOUND. */
int ml_collect_nothing_of(const struct ml_collect_report *report, const char *const *paths,
                          size_t count, struct ml_error *err);

/* How a path is spelt as a record's source: absolute, bytes that are not UTF-8 as %XX. NULL: out
 * of memory. */
char *ml_collect_source(struct ml_arena *arena, const char *absolute_path);

#endif
