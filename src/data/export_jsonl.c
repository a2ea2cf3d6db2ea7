#include "data/export_jsonl.h"

#include <string.h>

#include "data/export_file.h"

int ml_export_jsonl(struct ml_workspace *ws, const struct ml_dataset *dataset, const char *path,
                    const struct ml_export_options *options, struct ml_export_result *out,
                    struct ml_error *err)
{
    struct ml_export_result result = {.files = 1};
    struct ml_export_rows *rows = NULL;
    struct ml_export_row row;
    struct ml_export_file file = {0};
    struct ml_export_sum sum;
    struct ml_buffer line = {0};
    int got = 0, status = ml_export_file_open(&file, path, options && options->compress, err);
    if (status)
        return status;
    status = ml_export_rows_open(&rows, ws, dataset, options, err);
    while (status == 0 && (got = ml_export_rows_next(rows, &row, err)) > 0) {
        line.size = 0;
        status = ml_export_row_json(&line, &row, ML_EXPORT_FULL, NULL, err);
        if (status == 0)
            status = ml_buffer_put(&line, "\n", 1, err);
        if (status == 0)
            status = ml_export_file_put(&file, line.data, line.size, err);
        result.records++;
    }
    if (status == 0 && got < 0)
        status = got;
    ml_export_rows_close(rows);
    ml_buffer_clear(&line);
    if (status == 0)
        status = ml_export_file_commit(&file, &sum, err);
    ml_export_file_abort(&file);
    if (status)
        return status;
    result.bytes = sum.bytes;
    memcpy(result.hash, sum.hash, sizeof result.hash);
    *out = result;
    return 0;
}
