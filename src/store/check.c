#include "store/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "store/blobs.h"
#include "store/datasets.h"
#include "store/store_impl.h"

#define RUN_GRACE      60  /* seconds between the row of a run and the lock on its folder */
#define CURATION_GRACE 600 /* a curation that lives writes records more often than that */

/* A blob with something wrong: `id` 0 is one without a row. */
struct suspect {
    int64_t id;
    char hash[ML_HASH_HEX];
};

struct suspects {
    struct suspect *list;
    size_t count, capacity;
};

struct checker {
    struct ml_workspace *ws;
    const struct ml_check_options *options;
    struct ml_workspace_check report;
    struct ml_stmt *rows; /* of the blobs, in the order of their hashes ... */
    bool row;             /* ... standing on one */
    char row_hash[ML_HASH_HEX];
    struct suspects orphans, bad; /* without a row; without their bytes */
    struct suspects unnamed;      /* a row that nothing names */
    size_t compared;              /* how many bad ones the comparison found */
};

static __attribute__((format(printf, 2, 3))) void note(struct checker *c, const char *format, ...)
{
    if (c->report.example_count == ML_CHECK_EXAMPLES)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(c->report.examples[c->report.example_count++], sizeof c->report.examples[0], format,
              list);
    va_end(list);
}

static int put_suspect(struct suspects *s, int64_t id, const char *hash, struct ml_error *err)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        void *grown = ml_mem_realloc(s->list, capacity * sizeof s->list[0]);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory checking the workspace");
        s->list = grown;
        s->capacity = capacity;
    }
    struct suspect *one = &s->list[s->count++];
    one->id = id;
    snprintf(one->hash, sizeof one->hash, "%s", hash);
    return 0;
}

/* ---- the database ---- */

static int check_database(struct checker *c, struct ml_error *err)
{
    struct ml_buffer findings = {0};
    int status = ml_db_examine(c->ws->db, &findings, err);
    for (char *line = findings.data; status == 0 && line && *line;) {
        char *end = strchr(line, '\n');
        c->report.database++;
        note(c, "database: %.*s", (int)(end ? end - line : (long)strlen(line)), line);
        line = end ? end + 1 : NULL;
    }
    ml_buffer_clear(&findings);
    return status;
}

static int count_all(struct checker *c, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_records_count(c->ws, NULL, &c->report.records, NULL, err);
    if (status == 0)
        status = ml_db_prepare(&stmt, c->ws->db,
                               "SELECT count(*), coalesce(sum(bytes), 0) FROM blob", err);
    if (status)
        return status;
    status = ml_stmt_step(stmt, err);
    if (status > 0) {
        c->report.blobs = ml_stmt_int(stmt, 0);
        c->report.bytes = ml_stmt_int(stmt, 1);
        status = 0;
    }
    ml_stmt_end(stmt);
    return status;
}

/* ---- rows and bytes: two lists in the order of the hashes, walked together ---- */

static int next_row(struct checker *c, struct ml_error *err)
{
    int got = ml_stmt_step(c->rows, err);
    if (got < 0)
        return got;
    c->row = got > 0;
    if (c->row)
        ml_stmt_hash(c->rows, 1, c->row_hash);
    return ml_stmt_check(c->rows, err);
}

static int row_is_missing(struct checker *c, struct ml_error *err)
{
    c->report.missing++;
    note(c, "blob %.12s: its bytes are missing", c->row_hash);
    int status = put_suspect(&c->bad, ml_stmt_int(c->rows, 0), c->row_hash, err);
    return status ? status : next_row(c, err);
}

static int visit(void *arg, const char *hash, const char *path, uint64_t bytes,
                 struct ml_error *err)
{
    struct checker *c = arg;
    int status = 0;
    if (!hash) {
        c->report.strangers++;
        note(c, "%s: not a blob", path);
        return 0;
    }
    while (status == 0 && c->row && strcmp(c->row_hash, hash) < 0)
        status = row_is_missing(c, err);
    if (status)
        return status;
    if (!c->row || strcmp(c->row_hash, hash) != 0) {
        c->report.orphans++;
        c->report.orphan_bytes += (int64_t)bytes;
        note(c, "%s: no row names it", path);
        return put_suspect(&c->orphans, 0, hash, err);
    }
    if ((uint64_t)ml_stmt_int(c->rows, 2) != bytes) {
        c->report.damaged++;
        note(c, "blob %.12s: %llu bytes instead of %lld", hash, (unsigned long long)bytes,
             (long long)ml_stmt_int(c->rows, 2));
        status = put_suspect(&c->bad, ml_stmt_int(c->rows, 0), hash, err);
    }
    return status ? status : next_row(c, err);
}

static int compare(struct checker *c, struct ml_error *err)
{
    struct ml_blob_store *store = c->ws->blobs;
    int status = ml_db_prepare_many(&c->rows, c->ws->db,
                                    "SELECT id, hash, bytes FROM blob ORDER BY hash", err);
    if (status)
        return status;
    status = next_row(c, err);
    if (status == 0)
        status = store->driver->list(store, visit, c, err);
    while (status == 0 && c->row)
        status = row_is_missing(c, err);
    ml_stmt_end(c->rows);
    c->compared = c->bad.count;
    return status;
}

static int remove_orphans(struct checker *c, struct ml_error *err)
{
    struct ml_blob_store *store = c->ws->blobs;
    int status = 0;
    for (size_t i = 0; status == 0 && i < c->orphans.count; i++)
        status = store->driver->remove(store, c->orphans.list[i].hash, err);
    return status;
}

/* ---- every byte ---- */

static int by_hash(const void *hash, const void *suspect)
{
    return strcmp(hash, ((const struct suspect *)suspect)->hash);
}

/* Of the comparison before, which went by hash. */
static bool is_suspect(const struct checker *c, const char *hash)
{
    return c->compared > 0 &&
           bsearch(hash, c->bad.list, c->compared, sizeof c->bad.list[0], by_hash);
}

static int hash_one(struct checker *c, int64_t id, const char *hash, struct ml_error *err)
{
    struct ml_error why = {0};
    int status = ml_blobs_verify(c->ws, hash, &why);
    if (status == 0 || is_suspect(c, hash))
        return 0;
    if (status != ML_ERR_FORMAT && status != ML_ERR_NOT_FOUND && status != ML_ERR_IO)
        return ml_fail(err, status, "%s", why.message);
    if (status == ML_ERR_NOT_FOUND)
        c->report.missing++;
    else
        c->report.damaged++;
    note(c, "%s", why.message);
    return put_suspect(&c->bad, id, hash, err);
}

/* Blobs that were added since are read, too; that they are there is no news. */
static int hash_all(struct checker *c, struct ml_error *err)
{
    struct ml_stmt *stmt;
    char hash[ML_HASH_HEX];
    int64_t done = 0;
    int got, status = ml_db_prepare_many(&stmt, c->ws->db,
                                         "SELECT id, hash, bytes FROM blob ORDER BY hash", err);
    if (status)
        return status;
    while (status == 0 && (got = ml_stmt_step(stmt, err)) != 0) {
        if (got < 0) {
            status = got;
            break;
        }
        if (c->options->progress && c->options->progress(c->options->arg, done, c->report.bytes))
            status = ml_fail(err, ML_ERR_CANCELLED, "stopped; nothing was changed by this step");
        ml_stmt_hash(stmt, 1, hash);
        if (status == 0)
            status = ml_stmt_check(stmt, err);
        if (status == 0)
            status = hash_one(c, ml_stmt_int(stmt, 0), hash, err);
        done += ml_stmt_int(stmt, 2);
    }
    if (status == 0 && c->options->progress)
        c->options->progress(c->options->arg, done, done);
    ml_stmt_end(stmt);
    return status;
}

/* ---- mending ---- */

static int run_with(struct ml_workspace *ws, const char *sql, int64_t a, int64_t b,
                    struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, sql, err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, a);
    if (b)
        ml_stmt_put_int(stmt, b);
    return ml_stmt_run(stmt, err);
}

static int count_lost(struct checker *c, int64_t blob, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int64_t count = 0;
    int status = ml_db_prepare(&stmt, c->ws->db,
                               "SELECT count(*) FROM record WHERE blob = $1 AND replaced = 0", err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, blob);
    status = ml_stmt_run_int(stmt, &count, err);
    c->report.lost_records += count;
    return status;
}

/* The records leave the lists of what is there, and their source's next pass is a full one. */
static int mark_lost(struct checker *c, int64_t blob, struct ml_error *err)
{
    int status = run_with(c->ws, "UPDATE record SET replaced = $1 WHERE blob = $2 AND replaced = 0",
                          ml_unix_time(), blob, err);
    if (status == 0)
        status = run_with(c->ws, "UPDATE source SET blob = NULL, records = 0 WHERE blob = $1", blob,
                          0, err);
    return status;
}

static int mend_blob(struct checker *c, const struct suspect *bad, struct ml_error *err)
{
    bool restored = false;
    int status = 0;
    if (c->options->repair) {
        restored = ml_blobs_verify(c->ws, bad->hash, NULL) == 0; /* collected again meanwhile */
        if (!restored)
            status = ml_datasets_restore(c->ws, bad->id, &restored, err);
    }
    if (status == 0 && restored) {
        c->report.restored++;
        return 0;
    }
    if (status == 0)
        status = count_lost(c, bad->id, err);
    if (status == 0 && c->options->repair)
        status = mark_lost(c, bad->id, err);
    return status;
}

static int mend_blobs(struct checker *c, struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < c->bad.count; i++)
        status = mend_blob(c, &c->bad.list[i], err);
    return status;
}

/* ---- runs ---- */

struct stale {
    int64_t ids[256]; /* of one pass; the next check finds the rest */
    size_t count;
};

/* Whether nobody can be running it. A folder that is not here may be another machine's. */
static bool is_stale(struct checker *c, const char *folder, int64_t updated, bool resumed)
{
    struct ml_arena arena;
    ml_arena_init(&arena, 4096);
    char *path = ml_workspace_path(c->ws, &arena, folder);
    char *lock = path ? ml_path_join(&arena, path, ".lock") : NULL;
    bool here = path && (ml_path_is_dir(path) || !ml_db_is_url(c->ws->database));
    bool stale = resumed || (lock && here && updated + RUN_GRACE < ml_unix_time() &&
                             ml_write_lock_is_free(lock));
    ml_arena_clear(&arena);
    return stale;
}

static int find_stale(struct checker *c, struct stale *stale, struct ml_error *err)
{
    static const char sql[] =
        "SELECT r.id, r.folder, r.updated, r.name,"
        " (SELECT count(*) FROM run n WHERE n.folder = r.folder AND n.id > r.id)"
        " FROM run r WHERE r.state = 'running' ORDER BY r.id";
    struct ml_stmt *stmt;
    int got = 0, status = ml_db_prepare(&stmt, c->ws->db, sql, err);
    if (status)
        return status;
    while (stale->count < sizeof stale->ids / sizeof stale->ids[0] &&
           (got = ml_stmt_step(stmt, err)) > 0)
        if (is_stale(c, ml_stmt_text(stmt, 1), ml_stmt_int(stmt, 2), ml_stmt_int(stmt, 4) > 0)) {
            stale->ids[stale->count++] = ml_stmt_int(stmt, 0);
            note(c, "run %lld (%.100s): says running, but nobody runs it",
                 (long long)ml_stmt_int(stmt, 0), ml_stmt_text(stmt, 3));
        }
    status = got < 0 ? got : ml_stmt_check(stmt, err);
    ml_stmt_end(stmt);
    return status;
}

static int check_runs(struct checker *c, struct ml_error *err)
{
    struct stale stale = {.count = 0};
    int status = find_stale(c, &stale, err);
    c->report.stale_runs = (int64_t)stale.count;
    for (size_t i = 0; status == 0 && c->options->repair && i < stale.count; i++)
        status = run_with(c->ws,
                          "UPDATE run SET state = 'stopped', updated = $1, message ="
                          " 'it was killed; the same command goes on where it stopped'"
                          " WHERE id = $2",
                          ml_unix_time(), stale.ids[i], err);
    return status;
}

/* ---- rows that nothing names ---- */

/* $1: when the grace ends. The records are in no dataset, have no label, and no later curation
 * judged them; their source is not being written to. */
#define UNFINISHED                                                                                 \
    " FROM record WHERE source IN (SELECT id FROM source s WHERE s.uri >= 'curate:'"               \
    " AND s.uri < 'curate;' AND NOT EXISTS (SELECT 1 FROM record n WHERE n.source = s.id"          \
    " AND n.created > $1))"                                                                        \
    " AND NOT EXISTS (SELECT 1 FROM dataset_record d WHERE d.record = record.id)"                  \
    " AND NOT EXISTS (SELECT 1 FROM label l WHERE l.record = record.id)"                           \
    " AND NOT EXISTS (SELECT 1 FROM curation_verdict v WHERE v.record = record.id)"

/* A curation that was killed: its records are part of nothing, yet `find` shows them. */
static int check_unfinished(struct checker *c, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int64_t grace = ml_unix_time() - CURATION_GRACE;
    int status = ml_db_prepare(&stmt, c->ws->db, "SELECT count(*)" UNFINISHED, err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, grace);
    status = ml_stmt_run_int(stmt, &c->report.unfinished, err);
    if (status == 0 && c->report.unfinished > 0) {
        note(c, "%lld records of curations that were killed", (long long)c->report.unfinished);
        if (c->options->repair)
            status = run_with(c->ws, "DELETE" UNFINISHED, grace, 0, err);
    }
    return status;
}

static int find_unnamed(struct checker *c, struct ml_error *err)
{
    static const char sql[] =
        "SELECT id, hash, bytes FROM blob WHERE id NOT IN (SELECT blob FROM record)"
        " AND id NOT IN (SELECT blob FROM dataset)"
        " AND id NOT IN (SELECT blob FROM source WHERE blob IS NOT NULL) ORDER BY hash";
    struct ml_stmt *stmt;
    char hash[ML_HASH_HEX];
    int got = 0, status = ml_db_prepare_many(&stmt, c->ws->db, sql, err);
    if (status)
        return status;
    while (status == 0 && (got = ml_stmt_step(stmt, err)) > 0) {
        ml_stmt_hash(stmt, 1, hash);
        c->report.unnamed++;
        c->report.unnamed_bytes += ml_stmt_int(stmt, 2);
        note(c, "blob %.12s: no record, dataset or source names it", hash);
        status = put_suspect(&c->unnamed, ml_stmt_int(stmt, 0), hash, err);
    }
    if (status == 0)
        status = got < 0 ? got : ml_stmt_check(stmt, err);
    ml_stmt_end(stmt);
    return status;
}

/* Rows go first, and bytes only when that is certain: what is left after a kill between the two is
 * an orphan, which the next repair removes. */
static int check_unnamed(struct checker *c, struct ml_error *err)
{
    int status = find_unnamed(c, err);
    for (size_t i = 0; status == 0 && c->options->repair && i < c->unnamed.count; i++)
        status = run_with(c->ws, "DELETE FROM blob WHERE id = $1", c->unnamed.list[i].id, 0, err);
    return status;
}

/* ---- all of it ---- */

/* Bytes that a writer put there again since the rows went are his. */
static int remove_unnamed(struct checker *c, struct ml_error *err)
{
    struct ml_blob_store *store = c->ws->blobs;
    int status = 0;
    for (size_t i = 0; status == 0 && i < c->unnamed.count; i++) {
        struct ml_stmt *stmt;
        int64_t rows = 0;
        status = ml_db_prepare(&stmt, c->ws->db, "SELECT count(*) FROM blob WHERE hash = $1", err);
        if (status)
            break;
        ml_stmt_put_hash(stmt, c->unnamed.list[i].hash);
        status = ml_stmt_run_int(stmt, &rows, err);
        if (status == 0 && rows == 0)
            status = store->driver->remove(store, c->unnamed.list[i].hash, err);
    }
    return status;
}

static int check_structure(struct checker *c, struct ml_error *err)
{
    struct ml_blob_store *store = c->ws->blobs;
    int status = check_database(c, err);
    if (status == 0)
        status = count_all(c, err);
    if (status == 0)
        status = compare(c, err);
    if (status == 0)
        status = store->driver->leftovers(store, c->options->repair, &c->report.leftovers, err);
    if (status == 0)
        status = check_runs(c, err);
    if (status == 0)
        status = check_unfinished(c, err);
    if (status == 0)
        status = check_unnamed(c, err);
    if (status == 0 && c->options->repair)
        status = remove_orphans(c, err);
    return status;
}

/* Runs a part under the write lock, unless nothing may be written. */
static int locked(struct checker *c, int (*part)(struct checker *, struct ml_error *),
                  struct ml_error *err)
{
    if (ml_workspace_is_read_only(c->ws))
        return part(c, err);
    int status = ml_workspace_begin(c->ws, err);
    return status ? status : ml_workspace_end(c->ws, part(c, err), err);
}

static void sum_up(struct checker *c)
{
    struct ml_workspace_check *r = &c->report;
    int64_t bad = r->missing + r->damaged;
    r->problems =
        r->database + r->orphans + r->leftovers + bad + r->stale_runs + r->unfinished + r->unnamed;
    r->remaining = c->options->repair ? r->database + bad - r->restored : r->problems;
}

int ml_workspace_check(struct ml_workspace *ws, const struct ml_check_options *options,
                       struct ml_workspace_check *out, struct ml_error *err)
{
    static const struct ml_check_options defaults;
    struct checker c = {.ws = ws, .options = options ? options : &defaults};
    if (c.options->repair && ml_workspace_is_read_only(ws))
        return ml_fail(err, ML_ERR_STATE,
                       "%s: was opened for reading only; nothing can be repaired",
                       ml_workspace_folder(ws));
    int status = locked(&c, check_structure, err);
    if (status == 0 && c.options->repair && c.unnamed.count > 0)
        status = locked(&c, remove_unnamed, err);
    if (status == 0 && c.options->deep)
        status = hash_all(&c, err);
    if (status == 0 && c.bad.count > 0)
        status = locked(&c, mend_blobs, err);
    ml_mem_free(c.orphans.list);
    ml_mem_free(c.bad.list);
    ml_mem_free(c.unnamed.list);
    if (status)
        return status;
    sum_up(&c);
    *out = c.report;
    return 0;
}
