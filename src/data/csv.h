/* Tables as text: CSV (RFC 4180) and TSV, with the liberties that people take. The delimiter
 * (comma, tab, semicolon, bar) and whether there is a header are found from the first rows. Each
 * row is a document (data/table_rows.h); without a header the widest column is the text and the
 * others are "column 1", "column 2" ... */
#ifndef ML_DATA_CSV_H
#define ML_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_CSV_MAX_COLUMNS 4096

/* Cuts UTF-8 text with \n at line ends into rows and cells. */
struct ml_csv {
    const char *text;
    size_t size, at;
    char delimiter;
    bool quotes;            /* false once a quote was found that nothing closes */
    int64_t line;           /* where the next row begins, from 1 */
    int64_t row_line;       /* where the row at hand began */
    struct ml_buffer cells; /* the row's cells, each with a NUL behind it */
    size_t *starts;         /* of the cells; [count] is the end */
    size_t count, capacity;
};
/* delimiter 0: find it. */
void ml_csv_open(struct ml_csv *csv, const char *text, size_t n, char delimiter);
/* 1: a row; 0: no more; negative: out of memory, or ML_ERR_LIMIT for too many columns. Empty lines
 * are passed over. */
int ml_csv_next(struct ml_csv *csv, struct ml_error *err);
const char *ml_csv_cell(const struct ml_csv *csv, size_t i, size_t *n); /* borrowed till the next */
void ml_csv_close(struct ml_csv *csv);                                  /* accepts a zeroed one */

#endif
