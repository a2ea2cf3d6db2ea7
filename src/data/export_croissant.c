/* The folder that croissant.json describes (croissant.h). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/croissant.h"
#include "data/dataset_card.h"
#include "data/export_folder.h"
#include "data/export_webdataset.h"
#include "data/tar_write.h"

struct exporter {
    struct ml_export_folder folder;
    struct ml_arena arena;
    struct ml_export_file records, media;
    struct ml_export_sum records_sum, media_sum;
    bool has_media; /* media is open, or was */
    struct ml_buffer line;
    struct ml_export_result result;
};

static int open_file(struct exporter *x, struct ml_export_file *file, const char *name,
                     struct ml_error *err)
{
    char *path = ml_export_folder_file(&x->folder, &x->arena, name);
    return path ? ml_export_file_open(file, path, false, err)
                : ml_fail(err, ML_ERR_MEMORY, "out of memory exporting a dataset");
}

static int put_row(struct exporter *x, const struct ml_export_row *row, struct ml_error *err)
{
    char name[ML_EXPORT_KEY + 20], key[ML_EXPORT_KEY], ending[16];
    int status = 0;
    if (row->bytes) {
        ml_export_key(key, row);
        snprintf(name, sizeof name, "%s.%s", key, ml_export_ending(&row->record, ending));
        if (!x->has_media)
            status = open_file(x, &x->media, "media.tar", err);
        x->has_media = x->has_media || status == 0;
        if (status == 0)
            status = ml_tar_put(&x->media, name, row->bytes, row->size, err);
    }
    x->line.size = 0;
    if (status == 0)
        status = ml_export_row_json(&x->line, row, ML_EXPORT_FLAT, row->bytes ? name : NULL, err);
    if (status == 0)
        status = ml_buffer_put(&x->line, "\n", 1, err);
    if (status == 0)
        status = ml_export_file_put(&x->records, x->line.data, x->line.size, err);
    x->result.records++;
    return status;
}

static int put_rows(struct exporter *x, struct ml_workspace *ws, const struct ml_dataset *dataset,
                    const struct ml_export_options *options, struct ml_error *err)
{
    struct ml_export_rows *rows = NULL;
    struct ml_export_row row;
    int got = 0, status = open_file(x, &x->records, "records.jsonl", err);
    if (status == 0)
        status = ml_export_rows_open(&rows, ws, dataset, options, err);
    while (status == 0 && (got = ml_export_rows_next(rows, &row, err)) > 0)
        status = put_row(x, &row, err);
    if (status == 0 && got < 0)
        status = got;
    ml_export_rows_close(rows);
    if (status == 0)
        status = ml_export_file_commit(&x->records, &x->records_sum, err);
    if (status == 0 && x->has_media)
        status = ml_tar_end(&x->media, err);
    if (status == 0 && x->has_media)
        status = ml_export_file_commit(&x->media, &x->media_sum, err);
    x->result.files = 1 + x->has_media;
    x->result.bytes = x->records_sum.bytes + x->media_sum.bytes;
    return status;
}

static int put_text(struct exporter *x, const char *name, struct ml_buffer *text,
                    struct ml_error *err)
{
    char *path = ml_export_folder_file(&x->folder, &x->arena, name);
    int status = path ? ml_file_write(path, text->data, text->size, err)
                      : ml_fail(err, ML_ERR_MEMORY, "out of memory exporting a dataset");
    x->result.bytes += text->size;
    x->result.files++;
    text->size = 0;
    return status;
}

static int put_descriptions(struct exporter *x, const struct ml_dataset_facts *facts,
                            const struct ml_export_options *options, struct ml_error *err)
{
    const struct ml_croissant_files files = {.records = &x->records_sum,
                                             .media = x->has_media ? &x->media_sum : NULL};
    x->line.size = 0;
    int status = ml_croissant(&x->line, facts, &files, options, err);
    if (status == 0)
        status = put_text(x, "croissant.json", &x->line, err);
    if (status == 0)
        status = ml_dataset_card(&x->line, facts, false, err);
    if (status == 0)
        status = put_text(x, "README.md", &x->line, err);
    if (status == 0)
        status = ml_dataset_card(&x->line, facts, true, err);
    if (status == 0)
        status = put_text(x, "README.zh.md", &x->line, err);
    return status;
}

int ml_export_croissant(struct ml_workspace *ws, const struct ml_dataset *dataset, const char *path,
                        const struct ml_export_options *options, struct ml_export_result *out,
                        struct ml_error *err)
{
    struct exporter x = {0};
    struct ml_dataset_facts facts = {0};
    struct ml_export_options quietly = options ? *options : (struct ml_export_options){0};
    quietly.progress = NULL; /* the second pass over the same records has no bar of its own */
    int status = ml_export_folder_open(&x.folder, path, err);
    if (status)
        return status;
    ml_arena_init(&x.arena, 4096);
    status = put_rows(&x, ws, dataset, options, err);
    if (status == 0)
        status = ml_dataset_facts_open(&facts, ws, dataset, &quietly, err);
    if (status == 0)
        status = put_descriptions(&x, &facts, options, err);
    ml_dataset_facts_close(&facts);
    ml_export_file_abort(&x.records);
    ml_export_file_abort(&x.media);
    ml_buffer_clear(&x.line);
    if (status == 0)
        status = ml_export_folder_commit(&x.folder, err);
    ml_export_folder_abort(&x.folder);
    ml_arena_clear(&x.arena);
    if (status == 0)
        *out = x.result;
    return status;
}
