/* Tables in SQLite's words to tables in PostgreSQL's. Queries need none of this: they are written
 * in what the two share. */
#ifndef ML_STORE_SQL_DIALECT_H
#define ML_STORE_SQL_DIALECT_H

#include "base/arena.h"

/* Appends the translation. Only whole words in capitals outside of quotes are looked at. */
int ml_sql_to_postgres(struct ml_buffer *out, const char *sql, struct ml_error *err);

#endif
