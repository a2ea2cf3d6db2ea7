/* Rows of CSV and TSV as documents. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/csv.h"
#include "data/readers.h"
#include "data/table_rows.h"
#include "data/text_decode.h"

#define SAMPLE_ROWS  50
#define HEADER_BYTES 64 /* a longer cell is no column's name */

struct table {
    struct ml_csv csv;
    struct ml_arena arena;
    const char **names;
    size_t columns;
    struct ml_row_keys keys;
    bool header;
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a table");
}

/* ---- what the columns are ---- */

static bool is_number(const char *cell, size_t n)
{
    size_t digits = 0;
    for (size_t i = 0; i < n; i++) {
        if (isdigit((unsigned char)cell[i]))
            digits++;
        else if (!strchr("+-.,eE% ", cell[i]))
            return false;
    }
    return digits > 0;
}

/* What the first rows say about one column. */
struct column_look {
    size_t bytes;   /* in the rows after the first */
    size_t rows;    /* with anything in it, after the first */
    size_t numbers; /* among them */
};

static bool cell_is_name(const struct ml_csv *csv, size_t i)
{
    size_t n, m;
    const char *cell = ml_csv_cell(csv, i, &n);
    if (n == 0)
        return i == 0; /* the unnamed column of row numbers that some tools write */
    if (n > HEADER_BYTES || is_number(cell, n) || memchr(cell, '\n', n))
        return false;
    for (size_t j = 0; j < i; j++) {
        const char *other = ml_csv_cell(csv, j, &m);
        if (m == n && memcmp(cell, other, n) == 0)
            return false;
    }
    return true;
}

/* Whether the row at hand names the columns: its cells are all fit to be names, and one of them is
 * a name that we know, stands above numbers, or above cells that are far longer. */
static bool is_header(const struct ml_csv *csv, const struct column_look *looks)
{
    bool found = false;
    for (size_t i = 0; i < csv->count; i++) {
        size_t n;
        int rank;
        const char *cell = ml_csv_cell(csv, i, &n);
        const struct column_look *look = &looks[i];
        if (!cell_is_name(csv, i))
            return false;
        found = found || ml_column_role(cell, n, &rank) != ML_COLUMN_OTHER ||
                (look->rows > 0 && look->numbers == look->rows) ||
                (look->rows > 1 && look->bytes / look->rows > 4 * n + 16);
    }
    return found;
}

/* Over the rows after the first; the reading position is put back by the caller. */
static int look_at_columns(struct ml_csv *csv, struct column_look *looks, size_t columns,
                           struct ml_error *err)
{
    int got = 1;
    for (int row = 0; row < SAMPLE_ROWS && (got = ml_csv_next(csv, err)) > 0; row++)
        for (size_t i = 0; i < csv->count && i < columns; i++) {
            size_t n;
            const char *cell = ml_csv_cell(csv, i, &n);
            looks[i].bytes += n;
            looks[i].rows += n > 0;
            looks[i].numbers += n > 0 && is_number(cell, n);
        }
    return got < 0 ? got : 0;
}

static int name_columns(struct table *t, struct ml_error *err)
{
    const struct ml_csv *csv = &t->csv;
    t->columns = csv->count;
    t->names = ml_arena_calloc(&t->arena, csv->count, sizeof *t->names);
    for (size_t i = 0; t->names && i < csv->count; i++) {
        size_t n = 0;
        const char *cell = t->header ? ml_csv_cell(csv, i, &n) : "";
        t->names[i] = n ? ml_arena_strndup(&t->arena, cell, n)
                        : ml_arena_printf(&t->arena, "column %zu", i + 1);
        if (!t->names[i])
            return fail_memory(err);
    }
    return t->names ? 0 : fail_memory(err);
}

static void choose_keys(struct table *t, const struct column_look *looks)
{
    int best[3] = {0};
    size_t widest = 0;
    for (size_t i = 0; i < t->columns; i++) {
        int rank;
        enum ml_column_role role = ml_column_role(t->names[i], strlen(t->names[i]), &rank);
        const char **key = role == ML_COLUMN_TEXT ? &t->keys.text : &t->keys.title;
        if (role != ML_COLUMN_OTHER && (!*key || rank < best[role])) {
            *key = t->names[i];
            best[role] = rank;
        }
        if (looks[i].numbers < looks[i].rows && looks[i].bytes > looks[widest].bytes)
            widest = i;
    }
    if (!t->keys.text && t->keys.title) {
        t->keys.text = t->keys.title;
        t->keys.title = NULL;
    }
    if (!t->header)
        t->keys = (struct ml_row_keys){.text = t->names[widest]};
}

/* Reads the first row, and the next few to judge it, then goes back to the first row of data. */
static int find_columns(struct table *t, struct ml_error *err)
{
    struct ml_csv *csv = &t->csv;
    size_t at = csv->at, data_at = 0, columns = 0;
    int64_t line = csv->line, data_line = 0;
    int got = ml_csv_next(csv, err);
    if (got <= 0)
        return got;
    columns = csv->count;
    data_at = csv->at;
    data_line = csv->line;
    struct column_look *looks = ml_arena_calloc(&t->arena, columns, sizeof *looks);
    int status = looks ? look_at_columns(csv, looks, columns, err) : fail_memory(err);
    csv->at = at;
    csv->line = line;
    csv->quotes = true;
    if (status == 0)
        status = ml_csv_next(csv, err);
    if (status < 0)
        return status;
    t->header = is_header(csv, looks);
    status = name_columns(t, err);
    if (status)
        return status;
    if (!t->header)
        for (size_t i = 0; i < columns; i++) {
            size_t n;
            ml_csv_cell(csv, i, &n);
            looks[i].bytes += n; /* a table of one row has no others */
        }
    choose_keys(t, looks);
    csv->at = t->header ? data_at : at;
    csv->line = t->header ? data_line : line;
    return 0;
}

/* ---- rows ---- */

/* NULL, and what is wrong with it in why, or out of memory (why is empty). */
static json_t *row_of(const struct table *t, char why[100])
{
    const struct ml_csv *csv = &t->csv;
    json_t *row = json_object();
    bool full = row == NULL;
    for (size_t i = 0; !full && i < csv->count; i++) {
        size_t n;
        const char *cell = ml_csv_cell(csv, i, &n);
        if (i >= t->columns && n > 0) {
            snprintf(why, 100, "it has %zu cells, the first row %zu", csv->count, t->columns);
            json_decref(row);
            return NULL;
        }
        if (n > 0 && i < t->columns)
            full = json_object_set_new(row, t->names[i], json_stringn(cell, n)) != 0;
    }
    if (!full)
        return row;
    json_decref(row);
    return NULL;
}

static int give_row(const struct table *t, const struct ml_reader_sink *sink, struct ml_error *err)
{
    char what[40], why[100] = "";
    snprintf(what, sizeof what, "line %lld", (long long)t->csv.row_line);
    json_t *row = row_of(t, why);
    if (!row && !*why)
        return fail_memory(err);
    if (!row) {
        sink->left_out(sink->arg, what, why);
        return 0;
    }
    int status = ml_row_document(row, &t->keys, what, sink, err);
    json_decref(row);
    return status;
}

static bool is_tabs(const struct ml_reader_input *input)
{
    size_t n;
    const char *ending = ml_reader_ending(input->uri, &n);
    return (n == 3 && (strncasecmp(ending, "tsv", 3) == 0 || strncasecmp(ending, "tab", 3) == 0)) ||
           (input->type && strcasecmp(input->type, "text/tab-separated-values") == 0);
}

static int read_table(const struct ml_reader_input *input, const struct ml_decoded *decoded,
                      const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct table t = {0};
    ml_json_setup();
    ml_arena_init(&t.arena, 0);
    ml_csv_open(&t.csv, decoded->text, decoded->size, is_tabs(input) ? '\t' : 0);
    int got = find_columns(&t, err);
    while (got == 0 && t.columns > 0 && (got = ml_csv_next(&t.csv, err)) > 0)
        got = give_row(&t, sink, err);
    if (got == ML_ERR_LIMIT)
        ml_fail_context(err, "%s", input->uri);
    ml_csv_close(&t.csv);
    ml_arena_clear(&t.arena);
    return got;
}

static int read_csv(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                    const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    (void)limits; /* what comes out is no larger than what went in */
    int status = ml_text_decode(&decoded, input->bytes, input->size, NULL, err);
    if (status)
        return status;
    if (decoded.verdict == ML_TEXT_OK)
        status = read_table(input, &decoded, sink, err);
    else if (decoded.verdict != ML_TEXT_EMPTY)
        status = ml_fail(err, ML_ERR_FORMAT, "%s: not a table: %s", input->uri,
                         decoded.verdict == ML_TEXT_BINARY
                             ? "it is binary"
                             : "its encoding is neither UTF-8 nor GB18030");
    ml_decoded_clear(&decoded);
    return status;
}

const struct ml_reader ml_reader_csv = {
    .name = "csv 1",
    .endings = (const char *const[]){"csv", "tsv", "tab", NULL},
    .types = (const char *const[]){"text/csv", "text/tab-separated-values", NULL},
    .read = read_csv,
};
