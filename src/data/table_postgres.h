/* Rows of a PostgreSQL server as documents. A source is the address that libpq knows, and at its
 * end what is wanted of the database:
 *
 *     postgresql://USER@HOST:PORT/DATABASE               the only table of it
 *     postgresql://USER@HOST:PORT/DATABASE?table=NAME    or SCHEMA.NAME
 *     postgresql://USER@HOST:PORT/DATABASE?sslmode=require&query=SELECT ...
 *
 * The address becomes part of the records, so a password in it is refused: libpq takes one from
 * PGPASSWORD or ~/.pgpass. The server is one that the user names, so its address may be private.
 *
 * What runs is one SELECT behind a cursor in a transaction that cannot write, with the time limit
 * of the reader; a row at a time is held here. */
#ifndef ML_DATA_TABLE_POSTGRES_H
#define ML_DATA_TABLE_POSTGRES_H

#include <stdbool.h>

#include "base/arena.h"
#include "maliang/error.h"

/* Whether a source is spelt so. */
bool ml_table_postgres_is(const char *source);
/* ML_ERR_ARG: not an address, or one with a password; no message quotes it. ML_ERR_UNSUPPORTED:
 * built without libpq. */
int ml_table_postgres_check(const char *source, struct ml_error *err);

/* What is asked of it, owned by the arena. table and query are NULL where they are not given. */
struct ml_postgres_source {
    char *address;
    const char *table, *query;
};
int ml_table_postgres_parse(struct ml_postgres_source *out, struct ml_arena *arena,
                            const char *source, struct ml_error *err);

#endif
