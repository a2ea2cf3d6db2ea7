/* Material into a workspace: from files and folders, and from the web. */
#ifndef MALIANG_MATERIAL_H
#define MALIANG_MATERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ML_COLLECT_REASONS = 12, ML_COLLECT_EXAMPLES = 3 };

struct ml_collect_request {
    const char *workspace;    /* folder; made when it is not there */
    const char *const *paths; /* files, folders, addresses (http, https) */
    int path_count;
    const char *dataset;     /* the dataset that gets all records of these paths; NULL: "default" */
    const char *licence;     /* SPDX expression for what is collected, or NULL: unknown */
    uint64_t max_file_bytes; /* 0: 256 MiB */
    int depth;               /* links of a page that are followed, within its host; 0: none */
    uint64_t max_pages;      /* fetched at most; 0: 1,000 */
    const char *const *allowed_hosts; /* may have private addresses, which are refused otherwise */
    int allowed_host_count;
    bool allow_denied; /* collect what says that it may not be used for training, marked as such */
    ml_cancel *cancel;
    /* Called now and then; may be NULL. */
    void (*progress)(void *arg, uint64_t files, uint64_t total_files, const char *path);
    void *arg;
};

/* Why files or lines were left out, with up to three examples each. */
struct ml_collect_skip {
    char reason[64];
    uint64_t count;
    char examples[ML_COLLECT_EXAMPLES][200];
};

struct ml_collect_result {
    uint64_t files, added, already_there, skipped,
        bytes; /* added and already_there count records */
    int skip_count;
    struct ml_collect_skip skips[ML_COLLECT_REASONS];
    char dataset[144];     /* "name@version" */
    char dataset_hash[65]; /* SHA-256 of the manifest, hexadecimal */
    uint64_t dataset_records;
};

/* Nothing usable at all is ML_ERR_NOT_FOUND, with the reason; partial success is success. */
int ml_engine_collect(struct ml_engine *engine, const struct ml_collect_request *request,
                      struct ml_collect_result *out, struct ml_error *err);

/* A workspace before there is anything in it; collecting into a new folder makes a local one by
 * itself. Zero means default. */
struct ml_create_request {
    const char *workspace; /* folder; new, or empty */
    /* Where its rows and its bytes lie; NULL: in the folder.
     * "postgresql://USER@HOST:PORT/DATABASE?schema=NAME", "s3://BUCKET/PREFIX?endpoint=URL" */
    const char *database, *blobs;
};
struct ml_create_result {
    char folder[4096];  /* absolute */
    char database[256]; /* where the rows lie, without a password */
    char blobs[256];    /* where the bytes lie */
};
/* Tries both before it says yes: a database that does not answer, or a bucket that bytes cannot be
 * written to, read from and removed from, is an error, and the folder stays free. A database that
 * has a workspace already is joined, with the bucket that it was made with. ML_ERR_STATE: the
 * folder is a workspace already, or the files of the joined one do not lie where it was said. */
int ml_engine_create_workspace(struct ml_engine *engine, const struct ml_create_request *request,
                               struct ml_create_result *out, struct ml_error *err);

enum { ML_CHECK_FINDINGS = 5 };

struct ml_check_request {
    const char *workspace;
    int repair; /* mend what can be mended, mark what cannot */
    int deep;   /* read every byte and compare it with its hash */
    ml_cancel *cancel;
    /* With deep: bytes so far and in all. May be NULL. */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

struct ml_check_result {
    char database[256];             /* where the rows lie, without a password */
    uint64_t blobs, bytes, records; /* what there is */
    uint64_t database_faults;       /* the database against its own rules */
    uint64_t orphans, orphan_bytes; /* bytes that no row names (of a killed writer) */
    uint64_t leftovers;             /* half-written files */
    uint64_t strangers;             /* files in blobs/ that are not ours; no fault, left alone */
    uint64_t missing, damaged;      /* files of material that are gone, or have other bytes */
    uint64_t restored;              /* of those, written again */
    uint64_t lost_records;          /* records in them: collecting their sources brings them back */
    uint64_t unnamed, unnamed_bytes; /* files that no record, dataset or source needs any more */
    uint64_t unfinished;             /* records of curations that were killed */
    uint64_t stale_runs;             /* trainings that say running, but were killed */
    uint64_t problems, remaining;    /* all faults; those that repair did not mend */
    int finding_count;
    char findings[ML_CHECK_FINDINGS][200]; /* the first of them, a line each */
};

/* Faults are no failure: look at remaining. Writers wait while rows and files are compared. */
int ml_engine_check_workspace(struct ml_engine *engine, const struct ml_check_request *request,
                              struct ml_check_result *out, struct ml_error *err);

#ifdef __cplusplus
}
#endif
#endif
