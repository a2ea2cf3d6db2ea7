#include "data/csv.h"

#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"

/* ---- cells ---- */

static int end_cell(struct ml_csv *csv, struct ml_error *err)
{
    if (csv->count + 1 >= ML_CSV_MAX_COLUMNS)
        return ml_fail(err, ML_ERR_LIMIT, "line %lld has more than %d columns",
                       (long long)csv->row_line, ML_CSV_MAX_COLUMNS);
    if (csv->count + 2 > csv->capacity) {
        size_t capacity = csv->capacity ? csv->capacity * 2 : 64;
        size_t *grown = ml_mem_realloc(csv->starts, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a table");
        csv->starts = grown;
        csv->capacity = capacity;
        if (csv->count == 0)
            csv->starts[0] = 0;
    }
    int status = ml_buffer_put(&csv->cells, "", 1, err);
    if (status == 0)
        csv->starts[++csv->count] = csv->cells.size;
    return status;
}

/* The quote that closes the cell whose content begins at `from`, or the text's size. In a table of
 * tabs a quote is mostly just a quote, so there it must close on its line. */
static size_t closing_quote(const struct ml_csv *csv, size_t from)
{
    const char *text = csv->text;
    size_t limit = csv->size;
    if (csv->delimiter == '\t') {
        const char *end = memchr(text + from, '\n', limit - from);
        limit = end ? (size_t)(end - text) : limit;
    }
    while (from < limit) {
        const char *quote = memchr(text + from, '"', limit - from);
        if (!quote)
            break;
        size_t at = (size_t)(quote - text);
        if (at + 1 == limit || text[at + 1] != '"')
            return at;
        from = at + 2; /* a doubled one is part of the cell */
    }
    return csv->size;
}

/* "a ""b"" c" without its quotes, at csv->at. Leaves csv->at alone when nothing closes it. */
static int quoted(struct ml_csv *csv, struct ml_error *err)
{
    size_t from = csv->at + 1, close = closing_quote(csv, from);
    int status = 0;
    if (close == csv->size) {
        /* Looked for once only: a file full of stray quotes must not cost its square. */
        csv->quotes = csv->delimiter == '\t';
        return 0;
    }
    while (status == 0 && from < close) {
        const char *quote = memchr(csv->text + from, '"', close - from);
        size_t n = quote ? (size_t)(quote - csv->text) + 1 - from : close - from;
        status = ml_buffer_put(&csv->cells, csv->text + from, n, err);
        for (size_t i = 0; i < n; i++)
            csv->line += csv->text[from + i] == '\n';
        from += n + (quote ? 1 : 0);
    }
    csv->at = close + 1;
    return status;
}

static int next_cell(struct ml_csv *csv, struct ml_error *err)
{
    int status = 0;
    if (csv->quotes && csv->at < csv->size && csv->text[csv->at] == '"')
        status = quoted(csv, err);
    size_t end = csv->at; /* what follows a closing quote belongs to the cell as it stands */
    while (end < csv->size && csv->text[end] != csv->delimiter && csv->text[end] != '\n')
        end++;
    if (status == 0 && end > csv->at)
        status = ml_buffer_put(&csv->cells, csv->text + csv->at, end - csv->at, err);
    csv->at = end;
    return status ? status : end_cell(csv, err);
}

int ml_csv_next(struct ml_csv *csv, struct ml_error *err)
{
    while (csv->at < csv->size && csv->text[csv->at] == '\n') {
        csv->at++;
        csv->line++;
    }
    if (csv->at >= csv->size)
        return 0;
    csv->cells.size = 0;
    csv->count = 0;
    csv->row_line = csv->line;
    for (bool more = true; more;) {
        int status = next_cell(csv, err);
        if (status)
            return status;
        more = csv->at < csv->size && csv->text[csv->at] == csv->delimiter;
        csv->at += csv->at < csv->size;
    }
    csv->line++;
    return 1;
}

const char *ml_csv_cell(const struct ml_csv *csv, size_t i, size_t *n)
{
    *n = csv->starts[i + 1] - csv->starts[i] - 1;
    return csv->cells.data + csv->starts[i];
}

void ml_csv_close(struct ml_csv *csv)
{
    ml_buffer_clear(&csv->cells);
    ml_mem_free(csv->starts);
    *csv = (struct ml_csv){0};
}

/* ---- the delimiter ---- */

#define SAMPLE_BYTES 65536
#define SAMPLE_ROWS  50

/* Delimiters outside quotes in each of the first rows; returns how many rows. One that the sample
 * cuts off does not count. */
static int count_delimiters(const char *text, size_t n, char delimiter, int counts[SAMPLE_ROWS])
{
    int rows = 0, here = 0;
    bool inside = false, begin = true;
    size_t i = 0;
    for (; i < n && rows < SAMPLE_ROWS; i++) {
        if (text[i] == '"' && (inside || begin))
            inside = !inside;
        begin = text[i] == delimiter || text[i] == '\n' || text[i] == '"';
        if (!inside && text[i] == '\n') {
            counts[rows++] = here;
            here = 0;
        }
        here += !inside && text[i] == delimiter;
    }
    if (i == n && n < SAMPLE_BYTES && n > 0 && text[n - 1] != '\n' && rows < SAMPLE_ROWS)
        counts[rows++] = here;
    return rows;
}

/* How many rows have as many delimiters as most of them; 0 when those have none. */
static int agreement(const char *text, size_t n, char delimiter)
{
    int counts[SAMPLE_ROWS], best = 0;
    int rows = count_delimiters(text, n, delimiter, counts);
    for (int i = 0; i < rows; i++) {
        int same = 0;
        for (int j = 0; j < rows; j++)
            same += counts[j] == counts[i];
        best = counts[i] > 0 && same > best ? same : best;
    }
    return best;
}

static char find_delimiter(const char *text, size_t n)
{
    static const char candidates[] = ",\t;|";
    char best = ',';
    int most = 0;
    n = n < SAMPLE_BYTES ? n : SAMPLE_BYTES;
    for (const char *c = candidates; *c; c++) {
        int rows = agreement(text, n, *c);
        if (rows > most) {
            most = rows;
            best = *c;
        }
    }
    return best;
}

void ml_csv_open(struct ml_csv *csv, const char *text, size_t n, char delimiter)
{
    *csv =
        (struct ml_csv){.text = text, .size = n, .line = 1, .quotes = true, .delimiter = delimiter};
    if (!delimiter && n > 6 && memcmp(text, "sep=", 4) == 0 && text[5] == '\n') {
        /* What Excel reads and writes in front. */
        csv->delimiter = text[4];
        csv->at = 6;
        csv->line = 2;
    } else if (!delimiter) {
        csv->delimiter = find_delimiter(text, n);
    }
}
