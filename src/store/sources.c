/* Passes over sources, and the records that they see (store/records.h). */
#include <string.h>

#include "base/fail.h"
#include "store/records.h"
#include "store/store_impl.h"

int ml_sources_begin(struct ml_workspace *ws, const char *uri, const char *blob, const char *reader,
                     struct ml_source_pass *pass, struct ml_error *err)
{
    struct ml_source_pass begun = {.reader = reader};
    struct ml_stmt *stmt;
    uint8_t binary[ML_HASH_BYTES];
    if (!*uri)
        return ml_fail(err, ML_ERR_ARG, "a record needs a source");
    int status = ml_blob_row(ws, blob, &begun.blob, err);
    if (status == ML_ERR_NOT_FOUND)
        return ml_fail(err, status, "%s: its bytes (blob %.12s) are not in the store", uri, blob);
    if (status == 0)
        status =
            ml_db_prepare(&stmt, ws->db,
                          "INSERT INTO source(uri) VALUES($1) ON CONFLICT(uri) DO UPDATE"
                          " SET pass = source.pass + 1 RETURNING id, pass, blob, records, reader",
                          err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, uri);
    status = ml_stmt_step(stmt, err);
    if (status > 0) {
        begun.source = ml_stmt_int(stmt, 0);
        begun.pass = ml_stmt_int(stmt, 1);
        begun.unchanged =
            ml_stmt_int(stmt, 2) == begun.blob && strcmp(ml_stmt_text(stmt, 4), reader) == 0;
        begun.records = begun.unchanged ? ml_stmt_int(stmt, 3) : 0;
        status = ml_stmt_check(stmt, err);
        if (status == 0)
            status = ml_stmt_step(stmt, err);
    }
    ml_stmt_end(stmt);
    if (status)
        return status;
    ml_hash_parse(binary, blob);
    ml_hash_hex(binary, begun.blob_hash);
    *pass = begun;
    return 0;
}

int ml_sources_finish(struct ml_workspace *ws, const struct ml_source_pass *pass, int64_t *replaced,
                      struct ml_error *err)
{
    struct ml_stmt *stmt;
    int64_t gone = 0;
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_db_prepare(&stmt, ws->db,
                           "UPDATE record SET replaced = $1"
                           " WHERE source = $2 AND pass <> $3 AND replaced = 0",
                           err);
    if (status == 0) {
        ml_stmt_put_int(stmt, ml_unix_time());
        ml_stmt_put_int(stmt, pass->source);
        ml_stmt_put_int(stmt, pass->pass);
        status = ml_stmt_run(stmt, err);
        gone = ml_db_changes(ws->db);
    }
    if (status == 0)
        status = ml_db_prepare(&stmt, ws->db,
                               "UPDATE source SET blob = $1, records = $2, reader = $3"
                               " WHERE id = $4",
                               err);
    if (status == 0) {
        ml_stmt_put_int(stmt, pass->blob);
        ml_stmt_put_int(stmt, pass->records);
        ml_stmt_put_text(stmt, pass->reader);
        ml_stmt_put_int(stmt, pass->source);
        status = ml_stmt_run(stmt, err);
    }
    status = ml_workspace_end(ws, status, err);
    if (status == 0 && replaced)
        *replaced = gone;
    return status;
}

/* ---- records of a pass ---- */

static const char *or_default(const char *text, const char *instead)
{
    return text && *text ? text : instead;
}

static int insert(struct ml_workspace *ws, const struct ml_source_pass *pass,
                  const struct ml_record *r, int64_t *id, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status =
        ml_db_prepare(&stmt, ws->db,
                      "INSERT INTO record(kind, type, source, hash, blob, start, length, bytes,"
                      " title, meta, licence, consent, lineage, created, pass)"
                      " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
                      " RETURNING id",
                      err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, r->kind);
    ml_stmt_put_text(stmt, r->type);
    ml_stmt_put_int(stmt, pass->source);
    ml_stmt_put_hash(stmt, r->hash);
    ml_stmt_put_int(stmt, pass->blob);
    ml_stmt_put_int(stmt, (int64_t)r->start);
    ml_stmt_put_int(stmt, (int64_t)r->length);
    ml_stmt_put_int(stmt, (int64_t)r->bytes);
    ml_stmt_put_text(stmt, or_default(r->title, ""));
    ml_stmt_put_text(stmt, or_default(r->meta, "{}"));
    ml_stmt_put_text(stmt, or_default(r->licence, ""));
    ml_stmt_put_text(stmt, or_default(r->consent, ""));
    ml_stmt_put_text(stmt, or_default(r->lineage, "[]"));
    ml_stmt_put_int(stmt, r->time ? r->time : ml_unix_time());
    ml_stmt_put_int(stmt, pass->pass);
    return ml_stmt_run_int(stmt, id, err);
}

/* A record that was there: seen by this pass, current again, lying where the pass found it. A
 * title, fields, licence or consent that are stated now replace the old ones (someone wrote a
 * caption); unstated ones leave them. */
static int refresh(struct ml_workspace *ws, const struct ml_source_pass *pass,
                   const struct ml_record *r, int64_t id, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "UPDATE record SET pass = $1, replaced = 0, blob = $2, start = $3,"
                               " length = $4, licence = coalesce($5, licence),"
                               " consent = coalesce($6, consent), title = coalesce($7, title),"
                               " meta = coalesce($8, meta) WHERE id = $9",
                               err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, pass->pass);
    ml_stmt_put_int(stmt, pass->blob);
    ml_stmt_put_int(stmt, (int64_t)r->start);
    ml_stmt_put_int(stmt, (int64_t)r->length);
    ml_stmt_put_text(stmt, or_default(r->licence, NULL));
    ml_stmt_put_text(stmt, or_default(r->consent, NULL));
    ml_stmt_put_text(stmt, or_default(r->title, NULL));
    ml_stmt_put_text(stmt, or_default(r->meta, NULL));
    ml_stmt_put_int(stmt, id);
    return ml_stmt_run(stmt, err);
}

/* 1 and its number and pass, 0 when it is new, or negative. */
static int find(struct ml_workspace *ws, const struct ml_source_pass *pass, const char *hash,
                int64_t *id, int64_t *seen, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db,
                               "SELECT id, pass FROM record WHERE source = $1 AND hash = $2", err);
    if (status)
        return status;
    ml_stmt_put_int(stmt, pass->source);
    if (!ml_stmt_put_hash(stmt, hash)) {
        ml_stmt_end(stmt);
        return ml_fail(err, ML_ERR_ARG, "\"%.70s\" is not a SHA-256", hash);
    }
    int got = ml_stmt_step(stmt, err);
    if (got > 0) {
        *id = ml_stmt_int(stmt, 0);
        *seen = ml_stmt_int(stmt, 1);
    }
    ml_stmt_end(stmt);
    return got;
}

int ml_records_add_part(struct ml_workspace *ws, struct ml_source_pass *pass,
                        const struct ml_record *record, int64_t *id,
                        enum ml_record_outcome *outcome, struct ml_error *err)
{
    int64_t number = 0, seen = 0;
    enum ml_record_outcome what = ML_RECORD_ADDED;
    if (!or_default(record->kind, NULL) || !or_default(record->type, NULL) || !record->hash[0])
        return ml_fail(err, ML_ERR_ARG, "a record needs a kind, a type and a hash");
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    int found = find(ws, pass, record->hash, &number, &seen, err);
    if (found < 0) {
        status = found;
    } else if (!found) {
        status = insert(ws, pass, record, &number, err);
    } else if (seen == pass->pass) {
        what = ML_RECORD_REPEATED;
    } else {
        what = ML_RECORD_PRESENT;
        status = refresh(ws, pass, record, number, err);
    }
    status = ml_workspace_end(ws, status, err);
    if (status)
        return status;
    if (what != ML_RECORD_REPEATED)
        pass->records++;
    if (id)
        *id = number;
    if (outcome)
        *outcome = what;
    return 0;
}

int ml_records_add_derived(struct ml_workspace *ws, struct ml_source_pass *pass,
                           const struct ml_record *record, int64_t *id,
                           enum ml_record_outcome *outcome, struct ml_error *err)
{
    struct ml_source_pass there = *pass;
    int status = ml_blob_row(ws, record->blob, &there.blob, err);
    if (status == ML_ERR_NOT_FOUND)
        return ml_fail(err, status, "a record's bytes (blob %.12s) are not in the store",
                       record->blob);
    if (status == 0)
        status = ml_records_add_part(ws, &there, record, id, outcome, err);
    pass->records = there.records;
    return status;
}

static int add_whole(struct ml_workspace *ws, const struct ml_record *record, const void *bytes,
                     size_t n, int64_t *id, enum ml_record_outcome *outcome, struct ml_error *err)
{
    struct ml_record whole = *record;
    struct ml_source_pass pass;
    whole.start = whole.length = 0;
    whole.bytes = n;
    int status = ml_blobs_put(ws, bytes, n, whole.hash, err);
    if (status == 0)
        status = ml_sources_begin(ws, record->source, whole.hash, "whole", &pass, err);
    pass.records = 0;
    if (status == 0)
        status = ml_records_add_part(ws, &pass, &whole, id, outcome, err);
    if (status == 0)
        status = ml_sources_finish(ws, &pass, NULL, err);
    return status;
}

int ml_records_add(struct ml_workspace *ws, const struct ml_record *record, const void *bytes,
                   size_t n, int64_t *id, enum ml_record_outcome *outcome, struct ml_error *err)
{
    if (!record->source)
        return ml_fail(err, ML_ERR_ARG, "a record needs a source");
    int64_t number = 0;
    enum ml_record_outcome what = ML_RECORD_ADDED;
    int status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    status = ml_workspace_end(ws, add_whole(ws, record, bytes, n, &number, &what, err), err);
    if (status)
        return status;
    if (id)
        *id = number;
    if (outcome)
        *outcome = what;
    return 0;
}
