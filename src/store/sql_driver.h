/* What a database must be able to do for the store. sql.c keeps the statements and hands everything
 * else to one of these; its handle and its statement begin with ml_db and ml_stmt. The calls mean
 * what they mean in store/sql.h. */
#ifndef ML_STORE_SQL_DRIVER_H
#define ML_STORE_SQL_DRIVER_H

#include "store/sql.h"

struct ml_db {
    const struct ml_db_driver *driver;
    char *name; /* for messages: a path, or an address without its password */
    struct ml_stmt *statements;
};

struct ml_stmt {
    struct ml_db *db;
    const char *sql;
    struct ml_stmt *next;
    bool many; /* of ml_db_prepare_many */
    bool busy;
};

struct ml_db_driver {
    const char *name;
    int (*open)(struct ml_db **out, const char *where, enum ml_db_mode mode, struct ml_error *err);
    void (*close)(struct ml_db *db); /* its statements are discarded before */

    int (*exec)(struct ml_db *db, const char *sql, struct ml_error *err);
    int (*define)(struct ml_db *db, const char *sql, struct ml_error *err);
    int (*tables)(struct ml_db *db, const char *name, int64_t *count, struct ml_error *err);
    int (*begin)(struct ml_db *db, struct ml_error *err);
    int (*commit)(struct ml_db *db, struct ml_error *err);
    void (*rollback)(struct ml_db *db);
    bool (*in_transaction)(struct ml_db *db);
    int64_t (*changes)(struct ml_db *db);
    int (*lock)(struct ml_db *db, double wait_seconds, bool *taken, struct ml_error *err);
    void (*unlock)(struct ml_db *db);
    void (*lock_owner)(struct ml_db *db, char *out, size_t size);
    void (*checkpoint)(struct ml_db *db);
    int (*examine)(struct ml_db *db, struct ml_buffer *findings, struct ml_error *err);

    /* A new statement; sql.c fills in what it knows of it. */
    int (*compile)(struct ml_stmt **out, struct ml_db *db, const char *sql, struct ml_error *err);
    void (*discard)(struct ml_stmt *stmt);
    void (*start)(struct ml_stmt *stmt); /* a new run: no parameters, no failure */
    void (*end)(struct ml_stmt *stmt);
    void (*put_null)(struct ml_stmt *stmt); /* of an integer */
    void (*put_int)(struct ml_stmt *stmt, int64_t value);
    void (*put_real)(struct ml_stmt *stmt, double value);
    void (*put_text)(struct ml_stmt *stmt, const char *text);
    void (*put_bytes)(struct ml_stmt *stmt, const void *bytes, size_t n);
    int (*step)(struct ml_stmt *stmt, struct ml_error *err);
    int64_t (*get_int)(struct ml_stmt *stmt, int column);
    double (*get_real)(struct ml_stmt *stmt, int column);
    const char *(*get_text)(struct ml_stmt *stmt, int column);
    const void *(*get_bytes)(struct ml_stmt *stmt, int column, size_t *n);
    int (*check)(struct ml_stmt *stmt, struct ml_error *err);
};

extern const struct ml_db_driver ml_db_sqlite;
extern const struct ml_db_driver ml_db_postgres; /* with MALIANG_HAVE_POSTGRES */

#endif
