/* What the files that collect share, and how others (the web) bring what they fetched: a collector
 * takes items, one after another, in batches that are kept as a whole. */
#ifndef ML_DATA_COLLECT_IMPL_H
#define ML_DATA_COLLECT_IMPL_H

#include "base/arena.h"
#include "data/collect.h"

struct ml_collector {
    struct ml_workspace *ws;
    const struct ml_collect_options *options;
    struct ml_collect_report *report;
    struct ml_collect_report kept; /* as of the last batch that was kept */
    struct ml_arena scratch;       /* of one record */
    const char *path;              /* of the file at hand, for progress */
    uint64_t done, total;          /* files, for progress */
    uint64_t batch_records, batch_bytes;
    double batch_began;
    bool open; /* a batch is */
    /* Archives within archives: how deep we are, and what all of them together may still unpack. */
    int depth;
    uint64_t bytes_left, members_left;
};

/* Zero-initialise *report. options may not be NULL. */
void ml_collector_open(struct ml_collector *collector, struct ml_workspace *ws,
                       const struct ml_collect_options *options, struct ml_collect_report *report);
/* Keeps the last batch when status is 0. When it fails, *report is as of the last batch that was
 * kept. Returns status, or what went wrong. */
int ml_collector_close(struct ml_collector *collector, int status, struct ml_error *err);

/* One thing to collect: a file, a member of an archive, a resource of the web. All is borrowed. */
struct ml_collect_item {
    const char *uri;  /* the source of its records, UTF-8; its ending may say what it is */
    const char *type; /* media type as the source states it, without parameters; NULL: not stated */
    const char *bytes; /* may be NULL when size is 0 */
    size_t size;
    const char *charset;           /* as the source states it; NULL or "": not stated */
    const char *consent, *licence; /* NULL: what the options say */
    const char *meta; /* JSON object of fields that its documents get (a caption); NULL: none */
};
/* Reads it with the reader of its format, or as text, and adds its records. What cannot be used is
 * counted in the report and is no error. */
int ml_collect_item(struct ml_collector *collector, const struct ml_collect_item *item,
                    struct ml_error *err);

/* Whether it may not be used for training and was not asked for all the same. NULL: nothing stated.
 */
bool ml_collect_is_denied(const struct ml_collector *collector, const char *consent);

/* ---- batches (collect_batch.c) ---- */

int ml_collect_tell(struct ml_collector *collector, struct ml_error *err); /* progress; may stop */
int ml_collect_begin_batch(struct ml_collector *collector, struct ml_error *err);
/* Ends it and begins the next when it holds enough. */
int ml_collect_next_batch(struct ml_collector *collector, struct ml_error *err);

/* ---- passes and records (collect_item.c) ---- */

/* Puts the blob and begins the pass over it. */
int ml_collect_begin_pass(struct ml_collector *collector, const struct ml_collect_item *item,
                          const char *bytes, size_t n, const char *reader,
                          struct ml_source_pass *pass, struct ml_error *err);
int ml_collect_add_record(struct ml_collector *collector, struct ml_source_pass *pass,
                          const struct ml_record *record, struct ml_error *err);
int ml_collect_end_pass(struct ml_collector *collector, struct ml_source_pass *pass,
                        struct ml_error *err);
/* "NAME LICENCE CONSENT": a stated licence or consent is part of what reads, so that stating
 * another one goes over the records again. */
void ml_collect_reader_text(char *out, size_t room, const char *name,
                            const struct ml_collect_item *item);
/* The last part of a path or URL without its ending; owned by scratch. NULL: out of memory. */
char *ml_collect_title(struct ml_collector *collector, const char *uri);

/* ---- items of a kind ---- */

/* Text without a reader (collect_text.c). */
int ml_collect_text(struct ml_collector *collector, const struct ml_collect_item *item,
                    struct ml_error *err);
/* What a reader makes of it (collect_read.c). */
struct ml_reader;
int ml_collect_documents(struct ml_collector *collector, const struct ml_collect_item *item,
                         const struct ml_reader *reader, struct ml_error *err);

/* ---- links of a page (collect_links.c), for data/web.h ---- */

struct ml_web_resource;
int ml_collect_links(void *arg, const struct ml_web_resource *page,
                     int (*found)(void *arg, const char *reference, struct ml_error *err),
                     void *found_arg, struct ml_error *err);

/* ---- the report (collect_report.c) ---- */

/* Counts one thing that was left out. line 0 and why NULL: nothing to say. */
void ml_collect_skip(struct ml_collect_report *report, enum ml_collect_reason reason,
                     const char *path, int64_t line, const char *why);
/* ---- files as bytes (collect_bytes.c) ---- */

/* What a file's name says about what is in it. */
enum ml_file_kind {
    ML_FILE_TEXT,    /* text by its name: any encoding that we know */
    ML_FILE_JSONL,   /* a record a line */
    ML_FILE_UNKNOWN, /* may be text: UTF-8 only; may be a fortune file */
    ML_FILE_FOREIGN, /* needs a reader that there is not */
};
enum ml_file_kind ml_file_kind(const char *path);

/* Reads a regular file of at most `limit` bytes. *skip is the reason when it cannot be used
 * (ML_SKIP_COUNT: it can); only running out of memory is an error. */
int ml_collect_load(struct ml_buffer *out, const char *path, uint64_t limit,
                    enum ml_collect_reason *skip, char why[100], struct ml_error *err);

#endif
