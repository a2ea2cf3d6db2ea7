#include "data/export_parquet.h"

#include <stdio.h>
#include <string.h>

#include "data/parquet.h"

enum { TEXT, TITLE, KIND, TYPE, SOURCE, LICENCE, CONSENT, HASH, SIZE, TIME, BYTES, LABELS, META };

static const struct ml_parquet_column columns[] = {
    [TEXT] = {"text", ML_PARQUET_TEXT, true},       [TITLE] = {"title", ML_PARQUET_TEXT, true},
    [KIND] = {"kind", ML_PARQUET_TEXT, false},      [TYPE] = {"type", ML_PARQUET_TEXT, false},
    [SOURCE] = {"source", ML_PARQUET_TEXT, false},  [LICENCE] = {"licence", ML_PARQUET_TEXT, true},
    [CONSENT] = {"consent", ML_PARQUET_TEXT, true}, [HASH] = {"hash", ML_PARQUET_TEXT, false},
    [SIZE] = {"size", ML_PARQUET_INT, false},       [TIME] = {"time", ML_PARQUET_INT, false},
    [BYTES] = {"bytes", ML_PARQUET_BYTES, true},    [LABELS] = {"labels", ML_PARQUET_TEXT, false},
    [META] = {"meta", ML_PARQUET_TEXT, false},
};

static int put_json(struct ml_parquet *p, size_t column, const json_t *value, struct ml_error *err)
{
    char *text = NULL;
    int status = ml_json_text(&text, value, JSON_COMPACT | JSON_REAL_PRECISION(15), err);
    if (status == 0)
        status = ml_parquet_put(p, column, text, strlen(text), err);
    ml_mem_free(text);
    return status;
}

static int put_row(struct ml_parquet *p, const struct ml_export_row *row, struct ml_error *err)
{
    const struct ml_record *r = &row->record;
    const struct {
        size_t column;
        const char *text;
    } texts[] = {{TITLE, r->title},     {KIND, r->kind},       {TYPE, r->type}, {SOURCE, r->source},
                 {LICENCE, r->licence}, {CONSENT, r->consent}, {HASH, r->hash}};
    int status = 0;
    if (row->text)
        status = ml_parquet_put(p, TEXT, row->text, row->text_size, err);
    for (size_t i = 0; status == 0 && i < sizeof texts / sizeof texts[0]; i++)
        if (*texts[i].text || !columns[texts[i].column].optional)
            status = ml_parquet_put(p, texts[i].column, texts[i].text, strlen(texts[i].text), err);
    if (status == 0)
        status = ml_parquet_put_int(p, SIZE, (int64_t)r->bytes, err);
    if (status == 0)
        status = ml_parquet_put_int(p, TIME, r->time, err);
    if (status == 0 && row->bytes)
        status = ml_parquet_put(p, BYTES, row->bytes, row->size, err);
    if (status == 0)
        status = put_json(p, LABELS, row->labels, err);
    if (status == 0)
        status = put_json(p, META, row->meta, err);
    return status ? status : ml_parquet_end_row(p, err);
}

int ml_export_parquet(struct ml_workspace *ws, const struct ml_dataset *dataset, const char *path,
                      const struct ml_export_options *options, struct ml_export_result *out,
                      struct ml_error *err)
{
    char name[ML_NAME_BYTES + 16];
    const struct ml_parquet_note notes[] = {{"maliang.dataset", name},
                                            {"maliang.hash", dataset->hash}};
    const struct ml_parquet_spec spec = {.columns = columns,
                                         .column_count = sizeof columns / sizeof columns[0],
                                         .notes = notes,
                                         .note_count = 2,
                                         .group_rows = options ? options->group_rows : 0,
                                         .compress = options && options->compress};
    struct ml_parquet *parquet = NULL;
    struct ml_export_rows *rows = NULL;
    struct ml_export_row row;
    struct ml_export_result result = {.files = 1};
    struct ml_export_sum sum;
    snprintf(name, sizeof name, "%s@%d", dataset->name, dataset->version);
    int got = 0, status = ml_parquet_open(&parquet, path, &spec, err);
    if (status)
        return status;
    status = ml_export_rows_open(&rows, ws, dataset, options, err);
    while (status == 0 && (got = ml_export_rows_next(rows, &row, err)) > 0) {
        status = put_row(parquet, &row, err);
        result.records++;
    }
    if (status == 0 && got < 0)
        status = got;
    ml_export_rows_close(rows);
    if (status == 0)
        status = ml_parquet_commit(parquet, &sum, err);
    ml_parquet_close(parquet);
    if (status)
        return status;
    result.bytes = sum.bytes;
    memcpy(result.hash, sum.hash, sizeof result.hash);
    *out = result;
    return 0;
}
