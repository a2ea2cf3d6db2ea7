#include "store/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "store/blobs.h"
#include "store/store_impl.h"

#define NO_ROW                                                                                     \
    " NOT IN (SELECT blob FROM record) AND id NOT IN (SELECT blob FROM dataset)"                   \
    " AND id NOT IN (SELECT blob FROM source WHERE blob IS NOT NULL)"
/* Records that a curation made and no dataset has. */
#define UNFINISHED                                                                                 \
    " source IN (SELECT id FROM source WHERE uri >= 'curate:' AND uri < 'curate;')"                \
    " AND id NOT IN (SELECT record FROM dataset_record)"                                           \
    " AND id NOT IN (SELECT record FROM label WHERE record IS NOT NULL)"                           \
    " AND id NOT IN (SELECT record FROM curation_verdict)"

struct check {
    struct ml_workspace *ws;
    const struct ml_workspace_check_options *options;
    struct ml_workspace_report *report;
};

static int ask(struct check *c, const char *sql, int64_t *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, c->ws->db, sql, err);
    return status ? status : ml_stmt_run_int(stmt, out, err);
}

static int run(struct check *c, const char *sql, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, c->ws->db, sql, err);
    return status ? status : ml_stmt_run(stmt, err);
}

static int cancelled(const struct check *c, struct ml_error *err)
{
    return c->options->cancel && *c->options->cancel
               ? ml_fail(err, ML_ERR_CANCELLED, "stopped while checking %s", c->ws->folder)
               : 0;
}

/* ---- the database ---- */

static int check_database(struct check *c, struct ml_error *err)
{
    struct ml_workspace_report *r = c->report;
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, c->ws->db, "PRAGMA integrity_check", err);
    if (status)
        return status;
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        const char *said = ml_stmt_text(stmt, 0);
        r->database_sound = strcmp(said, "ok") == 0;
        if (!r->database_sound)
            snprintf(r->database_problem, sizeof r->database_problem, "%.190s", said);
    }
    ml_stmt_end(stmt);
    return got < 0 ? got : 0;
}

static int count_rows(struct check *c, struct ml_error *err)
{
    struct ml_workspace_report *r = c->report;
    const struct {
        const char *sql;
        int64_t *out;
    } asked[] = {
        {"SELECT count(*) FROM blob", &r->blobs},
        {"SELECT coalesce(sum(bytes), 0) FROM blob", &r->blob_bytes},
        {"SELECT count(*) FROM record", &r->records},
        {"SELECT count(*) FROM dataset", &r->datasets},
        {"SELECT count(*) FROM record WHERE" UNFINISHED, &r->unfinished},
    };
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof asked / sizeof asked[0]; i++)
        status = ask(c, asked[i].sql, asked[i].out, err);
    return status;
}

/* ---- blobs that rows name ---- */

/* One blob that is not as it should be, with a source that would restore it. */
static int note_problem(struct check *c, const char *hash, const char *what, struct ml_error *err)
{
    struct ml_workspace_report *r = c->report;
    struct ml_stmt *stmt;
    int64_t n = r->missing + r->damaged - 1;
    if (n >= ML_CHECK_EXAMPLES)
        return 0;
    int status = ml_db_prepare(&stmt, c->ws->db,
                               "SELECT s.uri FROM record r JOIN source s ON s.id = r.source"
                               " JOIN blob b ON b.id = r.blob WHERE b.hash = $1 LIMIT 1",
                               err);
    if (status)
        return status;
    ml_stmt_put_hash(stmt, hash);
    int got = ml_stmt_step(stmt, err);
    const char *source = got > 0 ? ml_stmt_text(stmt, 0) : "no record";
    snprintf(r->examples[n], sizeof r->examples[n], "blob %.12s is %s: %s", hash, what, source);
    r->examples[n][ml_utf8_ready(r->examples[n], strlen(r->examples[n]))] = '\0';
    ml_stmt_end(stmt);
    return got < 0 ? got : 0;
}

static int check_blob(struct check *c, const char *hash, int64_t bytes, struct ml_error *err)
{
    char path[PATH_MAX];
    struct stat info;
    struct ml_error why = {0};
    snprintf(path, sizeof path, "%s/blobs/%.2s/%s", c->ws->folder, hash, hash + 2);
    if (stat(path, &info) != 0) {
        c->report->missing++;
        return note_problem(c, hash, "missing", err);
    }
    if (info.st_size == bytes && (!c->options->deep || ml_blobs_verify(c->ws, hash, &why) == 0))
        return 0;
    c->report->damaged++;
    return note_problem(c, hash, "damaged", err);
}

/* In pages, because each blob that is found wanting asks the database again. */
static int check_blobs(struct check *c, struct ml_error *err)
{
    int64_t after = 0;
    int status = 0;
    for (bool more = true; status == 0 && more;) {
        struct ml_stmt *stmt;
        char hash[ML_HASH_HEX];
        int64_t bytes = 0;
        status = ml_db_prepare(&stmt, c->ws->db,
                               "SELECT id, hash, bytes FROM blob WHERE id > $1 ORDER BY id LIMIT 1",
                               err);
        if (status)
            return status;
        ml_stmt_put_int(stmt, after);
        int got = ml_stmt_step(stmt, err);
        more = got > 0;
        if (more) {
            after = ml_stmt_int(stmt, 0);
            ml_stmt_hash(stmt, 1, hash);
            bytes = ml_stmt_int(stmt, 2);
        }
        ml_stmt_end(stmt);
        status = got < 0 ? got : cancelled(c, err);
        if (status == 0 && more)
            status = check_blob(c, hash, bytes, err);
    }
    return status;
}

/* ---- files that no row names ---- */

static int check_file(struct check *c, const char *folder, const char *name, struct ml_error *err)
{
    char hash[2 * ML_HASH_HEX], path[PATH_MAX];
    uint8_t binary[ML_HASH_BYTES];
    struct stat info;
    int64_t row;
    snprintf(hash, sizeof hash, "%.2s%.64s", folder, name);
    if ((size_t)snprintf(path, sizeof path, "%s/blobs/%s/%s", c->ws->folder, folder, name) >=
            sizeof path ||
        lstat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return 0;
    if (ml_hash_parse(binary, hash)) {
        int found = ml_blob_row(c->ws, hash, &row, err);
        if (found != ML_ERR_NOT_FOUND)
            return found;
    }
    c->report->stray_files++;
    c->report->stray_bytes += info.st_size;
    if (c->options->repair && unlink(path) != 0)
        return ml_fail(err, ML_ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
    return 0;
}

static int check_folder(struct check *c, const char *folder, struct ml_error *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/blobs/%s", c->ws->folder, folder) >= sizeof path)
        return 0;
    DIR *list = opendir(path);
    int status = 0;
    for (struct dirent *entry; list && status == 0 && (entry = readdir(list));)
        if (entry->d_name[0] != '.')
            status = check_file(c, folder, entry->d_name, err);
    if (list)
        closedir(list);
    return status ? status : cancelled(c, err);
}

static int check_files(struct check *c, struct ml_error *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/blobs", c->ws->folder) >= sizeof path)
        return 0;
    DIR *list = opendir(path);
    int status =
        list ? 0 : ml_fail(err, ML_ERR_IO, "%s: cannot be listed: %s", path, strerror(errno));
    for (struct dirent *entry; status == 0 && (entry = readdir(list));)
        if (strlen(entry->d_name) == 2 && entry->d_name[0] != '.')
            status = check_folder(c, entry->d_name, err);
    if (list)
        closedir(list);
    return status;
}

/* ---- all of it ---- */

/* Rows first: files whose rows go become stray and go with them. */
static int clear_rows(struct check *c, struct ml_error *err)
{
    struct ml_workspace_report *r = c->report;
    int status = 0;
    if (c->options->repair && r->unfinished)
        status = run(c, "DELETE FROM record WHERE" UNFINISHED, err);
    if (status == 0)
        status = ask(c, "SELECT count(*) FROM blob WHERE id" NO_ROW, &r->unused_blobs, err);
    if (status == 0)
        status = ask(c, "SELECT coalesce(sum(bytes), 0) FROM blob WHERE id" NO_ROW,
                     &r->unused_bytes, err);
    if (status == 0 && c->options->repair && r->unused_blobs)
        status = run(c, "DELETE FROM blob WHERE id" NO_ROW, err);
    return status;
}

static int check_all(struct check *c, struct ml_error *err)
{
    int status = check_database(c, err);
    if (status == 0)
        status = count_rows(c, err);
    if (status == 0)
        status = check_blobs(c, err);
    if (status == 0)
        status = clear_rows(c, err);
    return status;
}

/* Files go only after the rows that named them are gone for good: a second pair, so that a kill
 * between the two leaves stray files, never rows without bytes. */
int ml_workspace_check(struct ml_workspace *ws, const struct ml_workspace_check_options *options,
                       struct ml_workspace_report *report, struct ml_error *err)
{
    static const struct ml_workspace_check_options defaults;
    struct check c = {.ws = ws, .options = options ? options : &defaults, .report = report};
    *report = (struct ml_workspace_report){0};
    int status = ml_workspace_begin(ws, err);
    if (status == 0)
        status = ml_workspace_end(ws, check_all(&c, err), err);
    if (status == 0)
        status = ml_workspace_begin(ws, err);
    if (status == 0) {
        ml_blobs_sweep(ws);
        status = ml_workspace_end(ws, check_files(&c, err), err);
    }
    /* What repairing made stray was counted as unused already. */
    if (status == 0 && c.options->repair) {
        report->stray_files -=
            report->unused_blobs < report->stray_files ? report->unused_blobs : report->stray_files;
        report->stray_bytes -=
            report->unused_bytes < report->stray_bytes ? report->unused_bytes : report->stray_bytes;
        report->repaired = true;
    }
    return status;
}
