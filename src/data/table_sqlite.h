/* Rows of SQLite files as documents. A source is spelt
 *
 *     sqlite:FILE               the only table of it
 *     sqlite:FILE?table=NAME
 *     sqlite:FILE?query=SELECT ...
 *
 * The file is opened as one that nothing changes, nothing is ever written, and no statement but one
 * SELECT runs: no pragma, no attached file, no extension. */
#ifndef ML_DATA_TABLE_SQLITE_H
#define ML_DATA_TABLE_SQLITE_H

#include <stdbool.h>
#include <stddef.h>

/* The parts of such a spelling; false: it is none. *file_n bytes of *file are the path; table and
 * query are NULL where they are not given. */
bool ml_table_sqlite_parse(const char *uri, const char **file, size_t *file_n, const char **table,
                           const char **query);

#endif
