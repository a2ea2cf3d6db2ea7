#include "store/migrations.h"

#include <limits.h>
#include <stdio.h>
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

/* event:    the single log: what `subject` did with `item` (or thought of it), and, where a choice
 *           was random, how likely it was (`propensity`).
 * curation: one run of a recipe over a dataset; its verdicts say why a record is not in `output`.
 * label:    what a person or a model says of a record; a newer one marks the older as replaced.
 * fetched:  what a server said of a URI (FETCH is a word of SQL), to ask it "only if it changed"
 * next time. */
static const char version_2[] =
    "CREATE TABLE event("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, subject TEXT NOT NULL,"
    "  item TEXT NOT NULL, action TEXT NOT NULL, propensity REAL, reward REAL,"
    "  meta TEXT NOT NULL);"
    "CREATE INDEX event_item ON event(item, time);"
    "CREATE TABLE curation("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, recipe TEXT NOT NULL,"
    "  recipe_hash BLOB NOT NULL, input INTEGER NOT NULL REFERENCES dataset(id),"
    "  output INTEGER REFERENCES dataset(id), report TEXT NOT NULL, created INTEGER NOT NULL);"
    "CREATE TABLE curation_verdict("
    "  curation INTEGER NOT NULL REFERENCES curation(id),"
    "  record INTEGER NOT NULL REFERENCES record(id), step TEXT NOT NULL, reason TEXT NOT NULL,"
    "  value REAL, PRIMARY KEY(curation, record)) WITHOUT ROWID;"
    "CREATE TABLE label("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, record INTEGER NOT NULL REFERENCES record(id),"
    "  queue TEXT NOT NULL, annotator TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,"
    "  model TEXT NOT NULL DEFAULT '', confidence REAL, seconds REAL, created INTEGER NOT NULL,"
    "  replaced INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX label_queue ON label(queue, record);"
    "CREATE TABLE fetched("
    "  uri TEXT PRIMARY KEY, etag TEXT NOT NULL, modified TEXT NOT NULL, status INTEGER NOT NULL,"
    "  time INTEGER NOT NULL);"
    /* Who names a record or a blob: asked for each that is removed. */
    "CREATE INDEX record_blob ON record(blob);"
    "CREATE INDEX dataset_record_record ON dataset_record(record);"
    "CREATE INDEX curation_verdict_record ON curation_verdict(record);"
    "CREATE INDEX label_record ON label(record);";

/* One text for both databases: five words of it are spelt otherwise in PostgreSQL, and the driver
 * knows which (ml_db_define), so that the two cannot drift apart. */
const struct ml_migration ml_migrations[] = {{1, version_1}, {2, version_2}};
const int ml_migration_count = sizeof ml_migrations / sizeof ml_migrations[0];

/* The number as it is written; below 1 when it cannot be read. */
static int read_version(struct ml_db *db, long *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, db, "SELECT value FROM meta WHERE key = 'schema'", err);
    if (status)
        return status;
    int got = ml_stmt_step(stmt, err);
    *out = got > 0 ? strtol(ml_stmt_text(stmt, 0), NULL, 10) : 0;
    status = got < 0 ? got : ml_stmt_check(stmt, err);
    ml_stmt_end(stmt);
    return status;
}

int ml_schema_version(struct ml_db *db, const char *name, int *out, struct ml_error *err)
{
    int64_t tables = 0, ours = 0;
    long version = 0;
    int status = ml_db_tables(db, NULL, &tables, err);
    if (status == 0 && tables > 0)
        status = ml_db_tables(db, "meta", &ours, err);
    if (status == 0 && tables > 0 && !ours)
        status = ml_fail(err, ML_ERR_FORMAT,
                         "%s: a database, but not one of a workspace; choose another folder", name);
    if (status == 0 && ours) {
        status = read_version(db, &version, err);
        if (status == 0 && (version < 1 || version > INT_MAX))
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
    char number[16];
    int status = ml_db_begin(db, err);
    if (status)
        return status;
    status = ml_db_define(
        db, "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)", err);
    if (status == 0)
        status = ml_db_define(db, change->sql, err);
    if (status == 0)
        status = ml_db_prepare(&stmt, db,
                               "INSERT INTO meta(key, value) VALUES('schema', $1)"
                               " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                               err);
    if (status == 0) {
        snprintf(number, sizeof number, "%d", change->version);
        ml_stmt_put_text(stmt, number);
        status = ml_stmt_run(stmt, err);
    }
    if (status == 0)
        status = ml_db_commit(db, err);
    if (status)
        ml_db_rollback(db);
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
