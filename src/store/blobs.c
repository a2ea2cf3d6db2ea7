#include "store/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "store/store_impl.h"

#define SYNC_EACH 16 /* blobs of one transaction that are synced alone; then one sync for all */

static int fail_errno(struct ml_error *err, const char *path, const char *tried, int number)
{
    char reason[128];
    return ml_fail(err, ML_ERR_IO, "%s: cannot %s: %s%s", path, tried,
                   strerror_r(number, reason, sizeof reason),
                   number == ENOSPC || number == EDQUOT ? "; free some space and try again" : "");
}

static int blob_path(const struct ml_workspace *ws, const char *hash, char path[PATH_MAX],
                     struct ml_error *err)
{
    int n = snprintf(path, PATH_MAX, "%s/blobs/%.2s/%s", ws->folder, hash, hash + 2);
    return n > 0 && n < PATH_MAX
               ? 0
               : ml_fail(err, ML_ERR_LIMIT, "%s: the path is too long", ws->folder);
}

char *ml_blobs_path(const struct ml_workspace *ws, struct ml_arena *arena, const char *hash)
{
    return ml_arena_printf(arena, "%s/blobs/%.2s/%s", ws->folder, hash, hash + 2);
}

int ml_blob_row(struct ml_workspace *ws, const char *hash, int64_t *id, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(&stmt, ws->db, "SELECT id FROM blob WHERE hash = $1", err);
    if (status)
        return status;
    if (!ml_stmt_put_hash(stmt, hash)) {
        ml_stmt_end(stmt);
        return ml_fail(err, ML_ERR_ARG, "\"%.70s\" is not a SHA-256", hash);
    }
    return ml_stmt_run_int(stmt, id, err);
}

/* ---- writing ---- */

static bool is_intact(const char *path, const void *bytes, size_t n)
{
    struct ml_file_map map;
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || (uint64_t)info.st_size != n ||
        ml_file_map_open(&map, path, NULL) != 0)
        return false;
    bool same = map.size == n && (n == 0 || memcmp(map.data, bytes, n) == 0);
    ml_file_map_close(&map);
    return same;
}

static int write_bytes(int file, const char *path, const char *bytes, size_t n,
                       struct ml_error *err)
{
    while (n > 0) {
        ssize_t put = write(file, bytes, n < (1u << 30) ? n : (1u << 30));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail_errno(err, path, "write", put < 0 ? errno : ENOSPC);
        bytes += put;
        n -= (size_t)put;
    }
    return 0;
}

static int sync_folder(const char *path, struct ml_error *err)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return fail_errno(err, path, "open", errno);
    int status = fsync(folder) == 0 || errno == EINVAL ? 0 : fail_errno(err, path, "sync", errno);
    close(folder);
    return status;
}

/* A name in blobs/.new becomes the final one by a rename: a reader sees all of it or nothing. The
 * write lock is held, so the one name is free. */
static int write_blob(struct ml_workspace *ws, const char *path, const void *bytes, size_t n,
                      struct ml_error *err)
{
    char fresh[PATH_MAX], folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if ((size_t)snprintf(fresh, sizeof fresh, "%s/blobs/.new/blob", ws->folder) >= sizeof fresh)
        return ml_fail(err, ML_ERR_LIMIT, "%s: the path is too long", ws->folder);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return fail_errno(err, folder, "make the folder", errno);
    int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file < 0)
        return fail_errno(err, fresh, "create", errno);
    bool sync_now = ws->fresh_blobs < SYNC_EACH;
    int status = write_bytes(file, fresh, bytes, n, err);
    if (status == 0 && sync_now && fsync(file) != 0)
        status = fail_errno(err, fresh, "sync", errno);
    if (close(file) != 0 && status == 0)
        status = fail_errno(err, fresh, "write", errno);
    if (status == 0 && rename(fresh, path) != 0)
        status = fail_errno(err, path, "write", errno);
    if (status == 0 && sync_now)
        status = sync_folder(folder, err);
    if (status) {
        unlink(fresh);
        return status;
    }
    ws->fresh_blobs++;
    ws->sync_all = ws->sync_all || !sync_now;
    return 0;
}

int ml_blobs_sync(struct ml_workspace *ws, struct ml_error *err)
{
    if (!ws->sync_all)
        return 0;
    int folder = open(ws->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return fail_errno(err, ws->folder, "open", errno);
    int status = syncfs(folder) == 0 ? 0 : fail_errno(err, ws->folder, "sync", errno);
    close(folder);
    ws->sync_all = status != 0;
    return status;
}

void ml_blobs_sweep(struct ml_workspace *ws)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/blobs/.new/blob", ws->folder) < sizeof path)
        unlink(path);
}

static int put_row(struct ml_workspace *ws, const char *hash, size_t n, struct ml_error *err)
{
    struct ml_stmt *stmt;
    int status = ml_db_prepare(
        &stmt, ws->db,
        "INSERT INTO blob(hash, bytes, created) VALUES($1, $2, $3) ON CONFLICT(hash) DO NOTHING",
        err);
    if (status)
        return status;
    ml_stmt_put_hash(stmt, hash);
    ml_stmt_put_int(stmt, (int64_t)n);
    ml_stmt_put_int(stmt, ml_unix_time());
    return ml_stmt_run(stmt, err);
}

int ml_blobs_put(struct ml_workspace *ws, const void *bytes, size_t n, char hash[ML_HASH_HEX],
                 struct ml_error *err)
{
    char text[ML_HASH_HEX], path[PATH_MAX];
    ml_hash_text(bytes, n, text);
    int status = blob_path(ws, text, path, err);
    if (status)
        return status;
    status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    int64_t row;
    int found = ml_blob_row(ws, text, &row, err);
    status = found == ML_ERR_NOT_FOUND ? 0 : found;
    /* A file without a row may stem from a writer that lost power before it was synced: only its
     * row says that it is whole. */
    if (status == 0 && (found != 0 || !is_intact(path, bytes, n)))
        status = write_blob(ws, path, bytes, n, err);
    if (status == 0 && found != 0)
        status = put_row(ws, text, n, err);
    status = ml_workspace_end(ws, status, err);
    if (status == 0)
        memcpy(hash, text, sizeof text);
    return status;
}

/* ---- reading ---- */

int ml_blobs_view(struct ml_workspace *ws, struct ml_blob_view *view, const char *hash,
                  struct ml_error *err)
{
    char path[PATH_MAX];
    struct ml_file_map map;
    struct ml_error inner = {0};
    uint8_t binary[ML_HASH_BYTES];
    if (view->hash[0] && strcmp(view->hash, hash) == 0)
        return 0;
    if (!ml_hash_parse(binary, hash))
        return ml_fail(err, ML_ERR_ARG, "\"%.70s\" is not a SHA-256", hash);
    int status = blob_path(ws, hash, path, err);
    if (status)
        return status;
    status = ml_file_map_open(&map, path, &inner);
    if (status)
        return ml_fail(err, status,
                       "blob %.12s cannot be read (%.200s); collect its source again to restore it",
                       hash, inner.message);
    ml_blob_view_clear(view);
    view->map = map;
    memcpy(view->hash, hash, ML_HASH_HEX);
    return 0;
}

void ml_blob_view_clear(struct ml_blob_view *view)
{
    if (!view)
        return;
    ml_file_map_close(&view->map);
    *view = (struct ml_blob_view){0};
}

int ml_blobs_verify(struct ml_workspace *ws, const char *hash, struct ml_error *err)
{
    struct ml_blob_view view = {0};
    char actual[ML_HASH_HEX];
    int status = ml_blobs_view(ws, &view, hash, err);
    if (status)
        return status;
    ml_hash_text(view.map.data, view.map.size, actual);
    if (strcmp(actual, hash) != 0)
        status = ml_fail(err, ML_ERR_FORMAT,
                         "blob %.12s is damaged (its bytes have another SHA-256); collect its "
                         "source again to restore it",
                         hash);
    ml_blob_view_clear(&view);
    return status;
}
