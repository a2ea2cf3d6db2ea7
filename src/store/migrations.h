/* The shape of the database, as a numbered list of changes. A change that was released is never
 * edited; the next one is appended. */
#ifndef ML_STORE_MIGRATIONS_H
#define ML_STORE_MIGRATIONS_H

#include "maliang/error.h"
#include "store/sql.h"

struct ml_migration {
    int version; /* 1, 2, 3 ... */
    const char *sql;
};
extern const struct ml_migration ml_migrations[];
extern const int ml_migration_count;

/* 0: an empty database. ML_ERR_FORMAT: tables, but not ours. */
int ml_schema_version(struct ml_db *db, const char *name, int *out, struct ml_error *err);
/* Applies what is missing, each change whole or not at all. ML_ERR_UNSUPPORTED when the database is
 * newer than the list. `name` names it in messages. */
int ml_schema_migrate(struct ml_db *db, const struct ml_migration *list, int count,
                      const char *name, struct ml_error *err);

#endif
