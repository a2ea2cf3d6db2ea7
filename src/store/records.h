/* Records: the pieces of material. A record's bytes are a blob or a range of one (a file of 50,000
 * poems is one blob and 50,000 records). It is known by its source and the SHA-256 of its bytes, so
 * adding the same thing again changes nothing. */
#ifndef ML_STORE_RECORDS_H
#define ML_STORE_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/blobs.h"

/* Text of what is read is borrowed from whoever gave the record. For adding, NULL is "" (meta "{}",
 * lineage "[]") and zero is default. */
struct ml_record {
    int64_t id;
    const char *kind;       /* "text", "image", "audio", "video", "table" */
    const char *type;       /* media type of the bytes: "text/plain", "application/json" */
    const char *source;     /* path or URI */
    const char *title;      /* "" when it has none */
    const char *meta;       /* JSON object of further fields */
    const char *licence;    /* SPDX expression, "" when not known */
    const char *consent;    /* verdict on use for training, "" when not stated */
    const char *lineage;    /* JSON array of the operations that made it */
    char blob[ML_HASH_HEX]; /* where the bytes lie */
    uint64_t start, length; /* the range; length 0: all of the blob */
    char hash[ML_HASH_HEX]; /* of the record's own bytes */
    uint64_t bytes;         /* how many they are */
    int64_t time;           /* when it was added, Unix seconds */
    int64_t replaced;       /* when its source stopped holding it, or 0 */
};

/* One pass over one source, for readers that give many records at a time. */
struct ml_source_pass {
    int64_t source, pass, blob;
    char blob_hash[ML_HASH_HEX];
    const char *reader; /* what begin was given */
    bool unchanged;     /* the last complete pass saw the same bytes through the same reader */
    int64_t records;    /* how many it saw then, or as counted in this pass */
};
/* `reader` names what reads and how ("jsonl 1"). The blob must be in the store. Call it within
 * ml_workspace_begin and end; the pass itself may span several such pairs. */
int ml_sources_begin(struct ml_workspace *workspace, const char *uri, const char *blob,
                     const char *reader, struct ml_source_pass *pass, struct ml_error *err);
/* Marks records of the source that this pass did not see as replaced; *replaced may be NULL. */
int ml_sources_finish(struct ml_workspace *workspace, const struct ml_source_pass *pass,
                      int64_t *replaced, struct ml_error *err);

enum ml_record_outcome {
    ML_RECORD_ADDED,
    ML_RECORD_PRESENT,  /* was there; its range and what is stated of it are brought up to date */
    ML_RECORD_REPEATED, /* this pass saw the same bytes before */
};
/* A record of the pass: start, length (not 0, unless the blob is the record), hash and bytes, kind
 * and type must be set; source and blob are the pass's. *id and *outcome may be NULL. */
int ml_records_add_part(struct ml_workspace *workspace, struct ml_source_pass *pass,
                        const struct ml_record *record, int64_t *id,
                        enum ml_record_outcome *outcome, struct ml_error *err);

/* A record of the pass whose bytes lie in another blob than the pass's: record->blob. */
int ml_records_add_derived(struct ml_workspace *workspace, struct ml_source_pass *pass,
                           const struct ml_record *record, int64_t *id,
                           enum ml_record_outcome *outcome, struct ml_error *err);

/* A record of its own: keeps the n bytes as a blob and adds or finds the row. What the same source
 * held before is marked as replaced when these bytes are new. kind, type and source must be set. */
int ml_records_add(struct ml_workspace *workspace, const struct ml_record *record,
                   const void *bytes, size_t n, int64_t *id, enum ml_record_outcome *outcome,
                   struct ml_error *err);

/* Which records; zero means all that are not replaced. */
struct ml_record_filter {
    const char *kind;  /* NULL: any */
    const char *under; /* the source is this path or lies below it; NULL: any */
    int64_t dataset;   /* members of this dataset (ml_dataset.id), in its order; replaced too */
    int64_t after;     /* ids above this one; not with dataset */
    int64_t limit;     /* 0: no limit */
    bool with_replaced;
};
struct ml_record_cursor;
int ml_records_open(struct ml_record_cursor **out, struct ml_workspace *workspace,
                    const struct ml_record_filter *filter, struct ml_error *err);
/* 1: *record is the next, borrowed until the next call; 0: no more; negative: failed. */
int ml_records_next(struct ml_record_cursor *cursor, struct ml_record *record,
                    struct ml_error *err);
void ml_records_close(struct ml_record_cursor *cursor); /* accepts NULL */

/* limit and after are not looked at. */
int ml_records_count(struct ml_workspace *workspace, const struct ml_record_filter *filter,
                     int64_t *count, int64_t *bytes, struct ml_error *err);
/* Texts are owned by the arena. ML_ERR_NOT_FOUND. */
int ml_records_get(struct ml_workspace *workspace, int64_t id, struct ml_arena *arena,
                   struct ml_record *out, struct ml_error *err);

/* The record's bytes, borrowed from the view until it is opened for another blob; their hash is
 * checked on every read. */
int ml_records_read(struct ml_workspace *workspace, const struct ml_record *record,
                    struct ml_blob_view *view, const char **bytes, size_t *n, struct ml_error *err);

#endif
