/* Rows of a table and objects of JSON as documents: which column is the text and which the title;
 * the others are further fields. */
#ifndef ML_DATA_TABLE_ROWS_H
#define ML_DATA_TABLE_ROWS_H

#include "base/json.h"
#include "data/reader.h"

enum ml_column_role { ML_COLUMN_OTHER, ML_COLUMN_TITLE, ML_COLUMN_TEXT };
/* What a name means ("content", "正文", "Title" ...). *rank, smaller is better, orders names of one
 * role: "text" is more likely the text than "summary". */
enum ml_column_role ml_column_role(const char *name, size_t n, int *rank);

/* Which fields of a row are its text and title; NULL: none. Without a text the row is written out
 * as lines "name: value". */
struct ml_row_keys {
    const char *text, *title;
};
/* By the names that the object has. A title without a text is the text. */
struct ml_row_keys ml_row_keys(const json_t *row);

/* The same for a table, whose columns are text for all that is known; *keys borrows the names. */
int ml_row_keys_of(struct ml_row_keys *keys, const char *const *names, int count,
                   struct ml_error *err);

/* The cells of a row, one after the other: a value of JSON, or *why the row cannot be used. NULL
 * without a reason: out of memory. */
typedef json_t *ml_cell_fn(void *arg, int column, const char **why);
struct ml_columns {
    const char *const *names;
    int count;
    struct ml_row_keys keys;
};
/* Row `number` as ml_row_document gives it, or left out. */
int ml_row_give(const struct ml_columns *columns, ml_cell_fn *cell, void *arg, int64_t number,
                const struct ml_reader_sink *sink, struct ml_error *err);

/* Gives the row to the sink: a document, or `what` left out when its text is empty. The text is a
 * string, or strings that are joined by line ends. Fields that are no string, number, truth value,
 * list or object are not kept; the object is emptied of its text and title. */
int ml_row_document(json_t *row, const struct ml_row_keys *keys, const char *what,
                    const struct ml_reader_sink *sink, struct ml_error *err);

#endif
