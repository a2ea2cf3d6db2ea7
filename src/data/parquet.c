#include "data/parquet.h"

#include <string.h>

#include "base/fail.h"
#include "data/thrift_write.h"

#define GROUP_ROWS  65536
#define GROUP_BYTES ((size_t)64 << 20)
#define PAGE_BYTES  ((size_t)1 << 20)
#define PAGE_ROWS   20000
#define LEVEL       3 /* of zstd; pages are small, and more costs more than it saves */

/* Numbers of the format (parquet.thrift). */
enum { TYPE_BOOLEAN = 0, TYPE_INT64 = 2, TYPE_DOUBLE = 5, TYPE_BYTE_ARRAY = 6 };
enum { REQUIRED = 0, OPTIONAL = 1 };
enum { ENCODING_PLAIN = 0, ENCODING_RLE = 3 };
enum { CODEC_UNCOMPRESSED = 0, CODEC_ZSTD = 6 };
enum { CONVERTED_UTF8 = 0, PAGE_DATA = 0 };

/* A column of the group at hand: the page that is being filled, and the finished ones. */
struct column {
    struct ml_buffer values;
    struct ml_buffer levels; /* finished runs */
    struct ml_buffer pages;
    int run_level; /* of the run at hand */
    uint64_t run;
    int bits; /* of the last byte of booleans, 0 to 7 */
    int64_t page_rows;
    int64_t rows, nulls;  /* of the group */
    int64_t uncompressed; /* bytes of all pages with their headers */
    bool given;           /* has its value of this row */
};

struct ml_parquet {
    struct ml_parquet_spec spec;
    struct ml_export_file file;
    struct column *columns;
    struct ml_buffer groups; /* finished ones, as the items of the footer's list */
    struct ml_buffer body, packed;
    size_t group_count;
    int64_t rows, group_rows;
};

static int physical_type(enum ml_parquet_type type)
{
    switch (type) {
    case ML_PARQUET_INT:
        return TYPE_INT64;
    case ML_PARQUET_REAL:
        return TYPE_DOUBLE;
    case ML_PARQUET_BOOL:
        return TYPE_BOOLEAN;
    default:
        return TYPE_BYTE_ARRAY;
    }
}

static void to_le(unsigned char *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

/* ---- open and close ---- */

int ml_parquet_open(struct ml_parquet **out, const char *path, const struct ml_parquet_spec *spec,
                    struct ml_error *err)
{
    if (spec->column_count == 0)
        return ml_fail(err, ML_ERR_ARG, "%s: a table needs a column", path);
    struct ml_parquet *p = ml_mem_calloc(1, sizeof *p);
    if (p) {
        p->spec = *spec;
        if (p->spec.group_rows <= 0)
            p->spec.group_rows = GROUP_ROWS;
        p->columns = ml_mem_calloc(spec->column_count, sizeof *p->columns);
    }
    int status = p && p->columns ? 0 : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    if (status == 0 && spec->compress && !ml_zstd_present())
        status = ml_zstd_block(&p->packed, "", 0, LEVEL, err);
    if (status == 0)
        status = ml_export_file_open(&p->file, path, false, err);
    if (status == 0)
        status = ml_export_file_put(&p->file, "PAR1", 4, err);
    if (status)
        ml_parquet_close(p);
    else
        *out = p;
    return status;
}

void ml_parquet_close(struct ml_parquet *p)
{
    if (!p)
        return;
    ml_export_file_abort(&p->file);
    for (size_t i = 0; p->columns && i < p->spec.column_count; i++) {
        ml_buffer_clear(&p->columns[i].values);
        ml_buffer_clear(&p->columns[i].levels);
        ml_buffer_clear(&p->columns[i].pages);
    }
    ml_mem_free(p->columns);
    ml_buffer_clear(&p->groups);
    ml_buffer_clear(&p->body);
    ml_buffer_clear(&p->packed);
    ml_mem_free(p);
}

/* ---- pages ---- */

/* Definition levels in the run-length form of the format: twice the length as a varint, then the
 * level in one byte. */
static int end_run(struct column *c, struct ml_error *err)
{
    unsigned char bytes[11];
    size_t n = 0;
    uint64_t head = c->run << 1;
    if (c->run == 0)
        return 0;
    for (; head >= 0x80; head >>= 7)
        bytes[n++] = (unsigned char)(head | 0x80);
    bytes[n++] = (unsigned char)head;
    bytes[n++] = (unsigned char)c->run_level;
    c->run = 0;
    return ml_buffer_put(&c->levels, bytes, n, err);
}

static int put_level(struct column *c, int level, struct ml_error *err)
{
    int status = c->run && c->run_level != level ? end_run(c, err) : 0;
    c->run_level = level;
    c->run++;
    return status;
}

static int put_page_header(struct ml_parquet *p, struct column *c, size_t stored,
                           struct ml_error *err)
{
    struct ml_thrift t = {.out = &c->pages, .err = err};
    ml_thrift_int(&t, 1, ML_THRIFT_I32, PAGE_DATA);
    ml_thrift_int(&t, 2, ML_THRIFT_I32, (int64_t)p->body.size);
    ml_thrift_int(&t, 3, ML_THRIFT_I32, (int64_t)stored);
    ml_thrift_begin(&t, 5); /* DataPageHeader */
    ml_thrift_int(&t, 1, ML_THRIFT_I32, c->page_rows);
    ml_thrift_int(&t, 2, ML_THRIFT_I32, ENCODING_PLAIN);
    ml_thrift_int(&t, 3, ML_THRIFT_I32, ENCODING_RLE);
    ml_thrift_int(&t, 4, ML_THRIFT_I32, ENCODING_RLE);
    ml_thrift_end(&t);
    ml_thrift_end(&t);
    return t.status;
}

static int end_page(struct ml_parquet *p, size_t i, struct ml_error *err)
{
    struct column *c = &p->columns[i];
    unsigned char length[4];
    int status = 0;
    if (c->page_rows == 0)
        return 0;
    p->body.size = p->packed.size = 0;
    if (p->spec.columns[i].optional) {
        status = end_run(c, err);
        to_le(length, c->levels.size, 4);
        if (status == 0)
            status = ml_buffer_put(&p->body, length, 4, err);
        if (status == 0)
            status = ml_buffer_put(&p->body, c->levels.data, c->levels.size, err);
    }
    if (status == 0)
        status = ml_buffer_put(&p->body, c->values.data, c->values.size, err);
    if (status == 0 && p->spec.compress)
        status = ml_zstd_block(&p->packed, p->body.data, p->body.size, LEVEL, err);
    const struct ml_buffer *stored = p->spec.compress ? &p->packed : &p->body;
    size_t before = c->pages.size;
    if (status == 0)
        status = put_page_header(p, c, stored->size, err);
    c->uncompressed += (int64_t)(c->pages.size - before + p->body.size);
    if (status == 0)
        status = ml_buffer_put(&c->pages, stored->data, stored->size, err);
    c->values.size = c->levels.size = 0;
    c->page_rows = c->bits = 0;
    return status;
}

/* ---- groups ---- */

static void describe_chunk(struct ml_thrift *t, const struct ml_parquet *p, size_t i,
                           uint64_t offset)
{
    const struct column *c = &p->columns[i];
    ml_thrift_begin(t, 0); /* ColumnChunk */
    ml_thrift_int(t, 2, ML_THRIFT_I64, 0);
    ml_thrift_begin(t, 3); /* ColumnMetaData */
    ml_thrift_int(t, 1, ML_THRIFT_I32, physical_type(p->spec.columns[i].type));
    ml_thrift_list(t, 2, ML_THRIFT_I32, 2);
    ml_thrift_item_int(t, ENCODING_PLAIN);
    ml_thrift_item_int(t, ENCODING_RLE);
    ml_thrift_list(t, 3, ML_THRIFT_TEXT, 1);
    ml_thrift_item_text(t, p->spec.columns[i].name);
    ml_thrift_int(t, 4, ML_THRIFT_I32, p->spec.compress ? CODEC_ZSTD : CODEC_UNCOMPRESSED);
    ml_thrift_int(t, 5, ML_THRIFT_I64, c->rows);
    ml_thrift_int(t, 6, ML_THRIFT_I64, c->uncompressed);
    ml_thrift_int(t, 7, ML_THRIFT_I64, (int64_t)c->pages.size);
    ml_thrift_int(t, 9, ML_THRIFT_I64, (int64_t)offset);
    ml_thrift_begin(t, 12); /* Statistics */
    ml_thrift_int(t, 3, ML_THRIFT_I64, c->nulls);
    ml_thrift_end(t);
    ml_thrift_end(t);
    ml_thrift_end(t);
}

static int end_group(struct ml_parquet *p, struct ml_error *err)
{
    struct ml_thrift t = {.out = &p->groups, .err = err};
    int64_t uncompressed = 0, stored = 0;
    uint64_t offset = p->file.bytes;
    int status = 0;
    if (p->group_rows == 0)
        return 0;
    for (size_t i = 0; status == 0 && i < p->spec.column_count; i++)
        status = end_page(p, i, err);
    ml_thrift_begin(&t, 0); /* RowGroup */
    ml_thrift_list(&t, 1, ML_THRIFT_STRUCT, p->spec.column_count);
    for (size_t i = 0; status == 0 && i < p->spec.column_count; i++) {
        struct column *c = &p->columns[i];
        describe_chunk(&t, p, i, offset);
        status = ml_export_file_put(&p->file, c->pages.data, c->pages.size, err);
        offset += c->pages.size;
        uncompressed += c->uncompressed;
        stored += (int64_t)c->pages.size;
        c->pages.size = 0;
        c->rows = c->nulls = c->uncompressed = 0;
    }
    ml_thrift_int(&t, 2, ML_THRIFT_I64, uncompressed);
    ml_thrift_int(&t, 3, ML_THRIFT_I64, p->group_rows);
    ml_thrift_int(&t, 6, ML_THRIFT_I64, stored);
    ml_thrift_end(&t);
    p->group_count++;
    p->group_rows = 0;
    return status ? status : t.status;
}

/* ---- values ---- */

/* The column, ready for its value of this row. */
static int take_column(struct ml_parquet *p, size_t i, enum ml_parquet_type type,
                       struct column **out, struct ml_error *err)
{
    bool known = i < p->spec.column_count;
    enum ml_parquet_type is = known ? p->spec.columns[i].type : type;
    bool fits = is == type || (type == ML_PARQUET_BYTES && is == ML_PARQUET_TEXT);
    if (!known || !fits || p->columns[i].given)
        return ml_fail(err, ML_ERR_ARG, "column %zu of a table %s", i,
                       !known  ? "does not exist"
                       : !fits ? "has another type"
                               : "was given two values in one row");
    struct column *c = &p->columns[i];
    c->given = true;
    *out = c;
    return p->spec.columns[i].optional ? put_level(c, 1, err) : 0;
}

int ml_parquet_put(struct ml_parquet *p, size_t column, const void *bytes, size_t n,
                   struct ml_error *err)
{
    struct column *c;
    unsigned char length[4];
    if (n > ML_PARQUET_MAX_VALUE)
        return ml_fail(err, ML_ERR_LIMIT,
                       "a value of %zu bytes is too large for a Parquet file (at most %zu); export "
                       "as webdataset",
                       n, ML_PARQUET_MAX_VALUE);
    int status = take_column(p, column, ML_PARQUET_BYTES, &c, err);
    to_le(length, n, 4);
    if (status == 0)
        status = ml_buffer_put(&c->values, length, 4, err);
    return status || n == 0 ? status : ml_buffer_put(&c->values, bytes, n, err);
}

int ml_parquet_put_int(struct ml_parquet *p, size_t column, int64_t value, struct ml_error *err)
{
    struct column *c;
    unsigned char bytes[8];
    int status = take_column(p, column, ML_PARQUET_INT, &c, err);
    to_le(bytes, (uint64_t)value, 8);
    return status ? status : ml_buffer_put(&c->values, bytes, 8, err);
}

int ml_parquet_put_real(struct ml_parquet *p, size_t column, double value, struct ml_error *err)
{
    struct column *c;
    unsigned char bytes[8];
    uint64_t bits;
    int status = take_column(p, column, ML_PARQUET_REAL, &c, err);
    memcpy(&bits, &value, sizeof bits);
    to_le(bytes, bits, 8);
    return status ? status : ml_buffer_put(&c->values, bytes, 8, err);
}

/* Eight in a byte, the first in the lowest bit. */
int ml_parquet_put_bool(struct ml_parquet *p, size_t column, bool value, struct ml_error *err)
{
    struct column *c;
    int status = take_column(p, column, ML_PARQUET_BOOL, &c, err);
    if (status == 0 && c->bits == 0)
        status = ml_buffer_put(&c->values, "", 1, err);
    if (status)
        return status;
    c->values.data[c->values.size - 1] |= (char)(value << c->bits);
    c->bits = (c->bits + 1) % 8;
    return 0;
}

int ml_parquet_end_row(struct ml_parquet *p, struct ml_error *err)
{
    size_t held = 0;
    int status = 0;
    for (size_t i = 0; status == 0 && i < p->spec.column_count; i++) {
        struct column *c = &p->columns[i];
        if (!c->given && !p->spec.columns[i].optional)
            return ml_fail(err, ML_ERR_ARG, "a row has no value for the column %s",
                           p->spec.columns[i].name);
        if (!c->given) {
            status = put_level(c, 0, err);
            c->nulls++;
        }
        c->given = false;
        c->rows++;
        c->page_rows++;
        if (status == 0 && (c->page_rows == PAGE_ROWS || c->values.size >= PAGE_BYTES))
            status = end_page(p, i, err);
        held += c->pages.size + c->values.size;
    }
    p->rows++;
    p->group_rows++;
    if (status == 0 && (p->group_rows >= p->spec.group_rows || held >= GROUP_BYTES))
        status = end_group(p, err);
    return status;
}

/* ---- the footer ---- */

static void describe_columns(struct ml_thrift *t, const struct ml_parquet *p)
{
    ml_thrift_list(t, 2, ML_THRIFT_STRUCT, p->spec.column_count + 1);
    ml_thrift_begin(t, 0); /* SchemaElement: the root */
    ml_thrift_text(t, 4, "schema");
    ml_thrift_int(t, 5, ML_THRIFT_I32, (int64_t)p->spec.column_count);
    ml_thrift_end(t);
    for (size_t i = 0; i < p->spec.column_count; i++) {
        const struct ml_parquet_column *column = &p->spec.columns[i];
        ml_thrift_begin(t, 0);
        ml_thrift_int(t, 1, ML_THRIFT_I32, physical_type(column->type));
        ml_thrift_int(t, 3, ML_THRIFT_I32, column->optional ? OPTIONAL : REQUIRED);
        ml_thrift_text(t, 4, column->name);
        if (column->type == ML_PARQUET_TEXT) {
            ml_thrift_int(t, 6, ML_THRIFT_I32, CONVERTED_UTF8);
            ml_thrift_begin(t, 10); /* LogicalType, a union: STRING is its field 1 */
            ml_thrift_begin(t, 1);
            ml_thrift_end(t);
            ml_thrift_end(t);
        }
        ml_thrift_end(t);
    }
}

static int put_footer(struct ml_parquet *p, struct ml_error *err)
{
    struct ml_buffer footer = {0};
    struct ml_thrift t = {.out = &footer, .err = err};
    unsigned char length[4];
    ml_thrift_int(&t, 1, ML_THRIFT_I32, 1); /* version of the format */
    describe_columns(&t, p);
    ml_thrift_int(&t, 3, ML_THRIFT_I64, p->rows);
    ml_thrift_list(&t, 4, ML_THRIFT_STRUCT, p->group_count);
    if (t.status == 0)
        t.status = ml_buffer_put(&footer, p->groups.data, p->groups.size, err);
    if (p->spec.note_count) {
        ml_thrift_list(&t, 5, ML_THRIFT_STRUCT, p->spec.note_count);
        for (size_t i = 0; i < p->spec.note_count; i++) {
            ml_thrift_begin(&t, 0);
            ml_thrift_text(&t, 1, p->spec.notes[i].key);
            ml_thrift_text(&t, 2, p->spec.notes[i].value);
            ml_thrift_end(&t);
        }
    }
    ml_thrift_text(&t, 6, "maliang version " MALIANG_VERSION);
    ml_thrift_end(&t);
    to_le(length, footer.size, 4);
    int status = t.status;
    if (status == 0)
        status = ml_export_file_put(&p->file, footer.data, footer.size, err);
    if (status == 0)
        status = ml_export_file_put(&p->file, length, 4, err);
    if (status == 0)
        status = ml_export_file_put(&p->file, "PAR1", 4, err);
    ml_buffer_clear(&footer);
    return status;
}

int ml_parquet_commit(struct ml_parquet *p, struct ml_export_sum *sum, struct ml_error *err)
{
    int status = end_group(p, err);
    if (status == 0)
        status = put_footer(p, err);
    return status ? status : ml_export_file_commit(&p->file, sum, err);
}
