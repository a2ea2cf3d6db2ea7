#include "data/export_file.h"

#include "base/fail.h"

/* Datasets are written once and read often, so more effort than usual pays. */
#define LEVEL 9

static int put_plain(void *arg, const void *bytes, size_t n, struct ml_error *err)
{
    struct ml_export_file *file = arg;
    ml_hasher_put(&file->hasher, bytes, n);
    file->bytes += n;
    return ml_writer_put(&file->writer, bytes, n, err);
}

int ml_export_file_open(struct ml_export_file *file, const char *path, bool compress,
                        struct ml_error *err)
{
    *file = (struct ml_export_file){0};
    ml_hasher_init(&file->hasher);
    const struct ml_zstd_sink sink = {.put = put_plain, .arg = file};
    int status = compress ? ml_zstd_open(&file->zstd, LEVEL, &sink, err) : 0;
    if (status == 0)
        status = ml_writer_open(&file->writer, path, err);
    if (status)
        ml_export_file_abort(file);
    return status;
}

int ml_export_file_put(struct ml_export_file *file, const void *bytes, size_t n,
                       struct ml_error *err)
{
    return file->zstd ? ml_zstd_put(file->zstd, bytes, n, err) : put_plain(file, bytes, n, err);
}

int ml_export_file_commit(struct ml_export_file *file, struct ml_export_sum *sum,
                          struct ml_error *err)
{
    uint8_t hash[ML_HASH_BYTES];
    int status = file->zstd ? ml_zstd_finish(file->zstd, err) : 0;
    if (status == 0)
        status = ml_writer_commit(&file->writer, err);
    if (status == 0 && sum) {
        sum->bytes = file->bytes;
        ml_hasher_finish(&file->hasher, hash);
        ml_hash_hex(hash, sum->hash);
    }
    ml_export_file_abort(file);
    return status;
}

void ml_export_file_abort(struct ml_export_file *file)
{
    ml_zstd_close(file->zstd);
    file->zstd = NULL;
    ml_writer_abort(&file->writer);
}
