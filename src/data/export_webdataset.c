#include "data/export_webdataset.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/export_folder.h"
#include "data/tar_write.h"

#define SHARD_BYTES ((uint64_t)512 << 20)

struct sharder {
    struct ml_export_folder folder;
    struct ml_export_file file;
    bool open;
    uint64_t full; /* bytes */
    struct ml_export_result result;
    struct ml_buffer json;
};

void ml_export_key(char key[ML_EXPORT_KEY], const struct ml_export_row *row)
{
    snprintf(key, ML_EXPORT_KEY, "%08lld-%.12s", (long long)row->position, row->record.hash);
}

static int begin_shard(struct sharder *s, struct ml_error *err)
{
    struct ml_arena arena;
    char name[32];
    ml_arena_init(&arena, 4096);
    snprintf(name, sizeof name, "data-%06d.tar", s->result.files);
    char *path = ml_export_folder_file(&s->folder, &arena, name);
    int status = path ? ml_export_file_open(&s->file, path, false, err)
                      : ml_fail(err, ML_ERR_MEMORY, "out of memory exporting a dataset");
    ml_arena_clear(&arena);
    s->open = status == 0;
    s->result.files += s->open;
    return status;
}

static int end_shard(struct sharder *s, struct ml_error *err)
{
    struct ml_export_sum sum;
    if (!s->open)
        return 0;
    int status = ml_tar_end(&s->file, err);
    if (status == 0)
        status = ml_export_file_commit(&s->file, &sum, err);
    ml_export_file_abort(&s->file);
    s->open = false;
    if (status == 0) {
        s->result.bytes += sum.bytes;
        memcpy(s->result.hash, sum.hash, sizeof sum.hash);
    }
    return status;
}

static int put_file(struct sharder *s, const char *key, const char *ending, const char *bytes,
                    size_t n, struct ml_error *err)
{
    char name[ML_EXPORT_KEY + 20];
    snprintf(name, sizeof name, "%s.%s", key, ending);
    return ml_tar_put(&s->file, name, bytes, n, err);
}

/* A shard is full before a record that it cannot hold, unless that is its only one. */
static int put_row(struct sharder *s, const struct ml_export_row *row, struct ml_error *err)
{
    char key[ML_EXPORT_KEY], ending[16];
    int status = 0;
    s->json.size = 0;
    status = ml_export_row_json(&s->json, row, ML_EXPORT_NO_TEXT, NULL, err);
    uint64_t bytes = row->size + row->text_size + s->json.size;
    if (status == 0 && s->open && s->file.bytes + bytes > s->full)
        status = end_shard(s, err);
    if (status == 0 && !s->open)
        status = begin_shard(s, err);
    ml_export_key(key, row);
    if (status == 0 && row->bytes)
        status =
            put_file(s, key, ml_export_ending(&row->record, ending), row->bytes, row->size, err);
    if (status == 0 && row->text)
        status = put_file(s, key, "txt", row->text, row->text_size, err);
    if (status == 0)
        status = put_file(s, key, "json", s->json.data, s->json.size, err);
    s->result.records++;
    return status;
}

int ml_export_webdataset(struct ml_workspace *ws, const struct ml_dataset *dataset,
                         const char *path, const struct ml_export_options *options,
                         struct ml_export_result *out, struct ml_error *err)
{
    struct sharder s = {.full =
                            options && options->shard_bytes ? options->shard_bytes : SHARD_BYTES};
    struct ml_export_rows *rows = NULL;
    struct ml_export_row row;
    int got = 0, status = ml_export_folder_open(&s.folder, path, err);
    if (status)
        return status;
    status = ml_export_rows_open(&rows, ws, dataset, options, err);
    while (status == 0 && (got = ml_export_rows_next(rows, &row, err)) > 0)
        status = put_row(&s, &row, err);
    if (status == 0 && got < 0)
        status = got;
    if (status == 0)
        status = end_shard(&s, err);
    ml_export_rows_close(rows);
    ml_export_file_abort(&s.file);
    ml_buffer_clear(&s.json);
    if (status == 0)
        status = ml_export_folder_commit(&s.folder, err);
    ml_export_folder_abort(&s.folder);
    if (status)
        return status;
    if (s.result.files > 1)
        s.result.hash[0] = '\0';
    *out = s.result;
    return 0;
}
