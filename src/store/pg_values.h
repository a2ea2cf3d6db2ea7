/* Values as PostgreSQL sends them in binary: numbers in network order, text as it is. */
#ifndef ML_STORE_PG_VALUES_H
#define ML_STORE_PG_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Numbers of the types in the server's catalogue, which never change (pg_type.dat). */
enum ml_pg_type {
    ML_PG_BOOL = 16,
    ML_PG_BYTEA = 17,
    ML_PG_NAME = 19,
    ML_PG_INT8 = 20,
    ML_PG_INT2 = 21,
    ML_PG_INT4 = 23,
    ML_PG_TEXT = 25,
    ML_PG_FLOAT4 = 700,
    ML_PG_FLOAT8 = 701,
    ML_PG_VARCHAR = 1043,
    ML_PG_NUMERIC = 1700,
};

void ml_pg_put_int(char out[8], int64_t value);
void ml_pg_put_real(char out[8], double value);

/* A value of any of these types as a number; 0 when it is none. What does not fit is the nearest
 * that does. */
int64_t ml_pg_int(unsigned type, const char *bytes, size_t n);
double ml_pg_real(unsigned type, const char *bytes, size_t n);

/* PostgreSQL takes only UTF-8, but a file's name may be any bytes. Bytes that are not UTF-8 are
 * kept as U+10FF80 ... U+10FFFF (private use), one a byte; these characters themselves count as
 * bytes that are not UTF-8, so that everything comes back as it was. Folders stay prefixes. */
bool ml_pg_text_is_plain(const char *text, size_t n);
char *ml_pg_text_escape(struct ml_arena *arena, const char *text, size_t n); /* NULL: no memory */
bool ml_pg_text_is_escaped(const char *text, size_t n);
char *ml_pg_text_unescape(struct ml_arena *arena, const char *text, size_t n);

#endif
