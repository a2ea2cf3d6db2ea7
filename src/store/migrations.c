#include "store/migrations.h"

#include <stdlib.h>

#include "base/fail.h"

/* blob:    bytes in blobs/, by SHA-256.
 * source:  where records came from. `blob`, `records`, `reader` say what the last complete pass
 *          over it saw, so that the next can tell at a glance that nothing changed; `pass` counts.
 * record:  one piece of material, `length` bytes at `start` of a blob (0: all of it), known by its
 *          source and the hash of those bytes. `replaced`: when its source stopped holding it.
 * Numbers are never used twice (AUTOINCREMENT), because datasets list them for ever. */
static const char version_1[] =
    "CREATE TABLE blob("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL,"
    "  created INTEGER NOT NULL);"
    "CREATE TABLE source("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, uri TEXT NOT NULL UNIQUE,"
    "  pass INTEGER NOT NULL DEFAULT 0, blob INTEGER REFERENCES blob(id),"
    "  records INTEGER NOT NULL DEFAULT 0, reader TEXT NOT NULL DEFAULT '');"
    "CREATE TABLE record("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, type TEXT NOT NULL,"
    "  source INTEGER NOT NULL REFERENCES source(id), hash BLOB NOT NULL,"
    "  blob INTEGER NOT NULL REFERENCES blob(id), start INTEGER NOT NULL, length INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL, title TEXT NOT NULL, meta TEXT NOT NULL, licence TEXT NOT NULL,"
    "  consent TEXT NOT NULL, lineage TEXT NOT NULL, created INTEGER NOT NULL,"
    "  pass INTEGER NOT NULL, replaced INTEGER NOT NULL DEFAULT 0, UNIQUE(source, hash));"
    "CREATE INDEX record_kind ON record(kind);"
    "CREATE TABLE dataset("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version INTEGER NOT NULL,"
    "  hash BLOB NOT NULL, blob INTEGER NOT NULL REFERENCES blob(id), records INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL, created INTEGER NOT NULL, UNIQUE(name, version));"
    "CREATE TABLE dataset_record("
    "  dataset INTEGER NOT NULL REFERENCES dataset(id), position INTEGER NOT NULL,"
    "  record INTEGER NOT NULL REFERENCES record(id), PRIMARY KEY(dataset, position))"
    "  WITHOUT ROWID;"
    "CREATE TABLE run("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, recipe TEXT NOT NULL,"
    "  recipe_hash BLOB NOT NULL, dataset_hash BLOB, state TEXT NOT NULL, step INTEGER NOT NULL,"
    "  best REAL, message TEXT NOT NULL, folder TEXT NOT NULL, started INTEGER NOT NULL,"
    "  updated INTEGER NOT NULL);"
    "CREATE TABLE model("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL,"
    "  kind TEXT NOT NULL, run INTEGER REFERENCES run(id), recipe_hash BLOB, dataset_hash BLOB,"
    "  parameters INTEGER NOT NULL, metrics TEXT NOT NULL, licence TEXT NOT NULL,"
    "  created INTEGER NOT NULL, stage TEXT NOT NULL);";

/* event: the one log of every rating, click, answer and reward.
 * label: what a person (annotator) or a model said about a record, for a queue. `replaced`: the
 * label that took its place, its own number when it was taken back.
 * fetch: what a server said of an address, to ask for it only if it has changed.
 * curation: one run of a recipe over a dataset; output NULL: it did not come to its end.
 * curation_verdict: why a record was dropped. */
static const char version_2[] =
    "CREATE TABLE event("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, subject TEXT NOT NULL,"
    "  item TEXT NOT NULL, action TEXT NOT NULL, propensity REAL, reward REAL, meta TEXT NOT NULL);"
    "CREATE INDEX event_item ON event(item);"
    "CREATE INDEX event_time ON event(time);"
    "CREATE TABLE label("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, record INTEGER REFERENCES record(id), queue TEXT,"
    "  annotator TEXT, kind TEXT, value TEXT, model TEXT, confidence REAL, seconds REAL,"
    "  created INTEGER, replaced INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX label_queue ON label(queue, record);"
    "CREATE TABLE fetch("
    "  uri TEXT PRIMARY KEY, etag TEXT NOT NULL, modified TEXT NOT NULL, status INTEGER NOT NULL,"
    "  time INTEGER NOT NULL);"
    "CREATE TABLE curation("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, recipe TEXT NOT NULL,"
    "  recipe_hash BLOB NOT NULL, input INTEGER NOT NULL REFERENCES dataset(id),"
    "  output INTEGER REFERENCES dataset(id), report TEXT NOT NULL, created INTEGER NOT NULL);"
    "CREATE TABLE curation_verdict("
    "  curation INTEGER NOT NULL REFERENCES curation(id), record INTEGER NOT NULL"
    "  REFERENCES record(id), step TEXT NOT NULL, reason TEXT NOT NULL, value REAL,"
    "  PRIMARY KEY(curation, record)) WITHOUT ROWID;"
    /* Who names a record or a blob: asked for each that is removed. */
    "CREATE INDEX record_blob ON record(blob);"
    "CREATE INDEX dataset_record_record ON dataset_record(record);"
    "CREATE INDEX curation_verdict_record ON curation_verdict(record);"
    "CREATE INDEX label_record ON label(record);";

const struct ml_migration ml_migrations[] = {{1, version_1}, {2, version_2}};
const int ml_migration_count = sizeof ml_migrations / sizeof ml_migrations[0];

/* One integer of a query without parameters. */
static int ask(struct ml_db *db, const char *sql, int64_t *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, db, sql, err);
    return status ? status : ml_stmt_run_int(stmt, out, err);
}

int ml_schema_version(struct ml_db *db, const char *name, int *out, struct ml_error *err)
{
    int64_t tables = 0, ours = 0, version = 0;
    int status = ask(db, "SELECT count(*) FROM sqlite_master", &tables, err);
    if (status == 0)
        status =
            ask(db, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'",
                &ours, err);
    if (status == 0 && tables > 0 && !ours)
        status = ml_fail(err, ML_ERR_FORMAT,
                         "%s: a database, but not one of a workspace; choose another folder", name);
    if (status == 0 && ours) {
        status =
            ask(db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schema'", &version, err);
        if (status == ML_ERR_NOT_FOUND || (status == 0 && version < 1))
            status = ml_fail(err, ML_ERR_FORMAT,
                             "%s: its version cannot be read: damaged, or not a workspace's "
                             "database; restore it from a copy",
                             name);
    }
    if (status == 0)
        *out = (int)version;
    return status;
}

/* One change and the number that says that it was made, together. */
static int apply(struct ml_db *db, const struct ml_migration *change, struct ml_error *err)
{
    struct ml_stmt *stmt = NULL;
    int status = ml_db_exec(db, "BEGIN IMMEDIATE", err);
    if (status)
        return status;
    status = ml_db_exec(
        db, "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)", err);
    if (status == 0)
        status = ml_db_exec(db, change->sql, err);
    if (status == 0)
        status = ml_db_prepare(&stmt, db,
                               "INSERT INTO meta(key, value) VALUES('schema', $1)"
                               " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                               err);
    if (status == 0) {
        ml_stmt_put_int(stmt, change->version);
        status = ml_stmt_run(stmt, err);
    }
    if (status == 0)
        status = ml_db_exec(db, "COMMIT", err);
    if (status && ml_db_in_transaction(db))
        ml_db_exec(db, "ROLLBACK", NULL);
    return status;
}

int ml_schema_migrate(struct ml_db *db, const struct ml_migration *list, int count,
                      const char *name, struct ml_error *err)
{
    int version = 0, known = count ? list[count - 1].version : 0;
    int status = ml_schema_version(db, name, &version, err);
    if (status == 0 && version > known)
        status = ml_fail(err, ML_ERR_UNSUPPORTED,
                         "%s: made by a newer version of this program (format %d; this one knows "
                         "up to %d); update the program",
                         name, version, known);
    for (int i = 0; status == 0 && i < count; i++)
        if (list[i].version > version)
            status = apply(db, &list[i], err);
    return status;
}
