#include "store/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "maliang_config.h"
#include "store/address.h"
#include "store/migrations.h"
#include "store/store_impl.h"

#define DATABASE     "maliang.db"
#define LOCK         "maliang.lock"
#define WAIT_SECONDS 30

/* ---- small things that all of the store uses ---- */

bool ml_stmt_put_hash(struct ml_stmt *stmt, const char *hash)
{
    uint8_t bytes[ML_HASH_BYTES];
    if (!hash || !*hash)
        ml_stmt_put_bytes(stmt, NULL, 0);
    else if (ml_hash_parse(bytes, hash))
        ml_stmt_put_bytes(stmt, bytes, sizeof bytes);
    else
        return false;
    return true;
}

void ml_stmt_hash(struct ml_stmt *stmt, int column, char out[ML_HASH_HEX])
{
    size_t n = 0;
    const void *bytes = ml_stmt_bytes(stmt, column, &n);
    out[0] = '\0';
    if (bytes && n == ML_HASH_BYTES)
        ml_hash_hex(bytes, out);
}

int64_t ml_unix_time(void)
{
    return (int64_t)time(NULL);
}

int ml_name_check(const char *name, const char *what, struct ml_error *err)
{
    size_t n = strlen(name);
    bool fits = n >= 1 && n <= 128 && ml_utf8_valid(name, n) && name[0] != '.' && name[0] != '-' &&
                name[0] != ' ' && name[n - 1] != ' ' && !strpbrk(name, "/\\@");
    for (size_t i = 0; fits && i < n; i++)
        fits = (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
    if (fits)
        return 0;
    return ml_fail(err, ML_ERR_ARG,
                   "\"%.60s\" cannot be the name of a %s: use 1 to 128 bytes of letters, digits, "
                   "'_', '-' and '.', not starting with '.' or '-'",
                   ml_utf8_valid(name, n) ? name : "?", what);
}

/* ---- making and opening ---- */

static bool is_in(const char *folder, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    return n > 0 && (size_t)n < sizeof path && ml_path_exists(path);
}

bool ml_workspace_is_one(const char *folder)
{
    return is_in(folder, DATABASE) || is_in(folder, ML_ADDRESS_FILE);
}

/* A new workspace may take a folder that is empty but for what a creation that was cut short (or
 * a desktop's hidden files) left there. */
static int check_free(const char *folder, struct ml_error *err)
{
    static const char *const ours[] = {
        DATABASE, DATABASE "-wal", DATABASE "-shm", DATABASE "-journal",   LOCK,
        "blobs",  "models",        "runs",          ML_ADDRESS_FILE ".new"};
    char reason[128];
    DIR *list = opendir(folder);
    if (!list)
        return ml_fail(err, ML_ERR_IO, "%s: cannot list the folder: %s", folder,
                       strerror_r(errno, reason, sizeof reason));
    int status = 0;
    for (struct dirent *entry; status == 0 && (entry = readdir(list));) {
        bool known = entry->d_name[0] == '.';
        for (size_t i = 0; !known && i < sizeof ours / sizeof ours[0]; i++)
            known = strcmp(entry->d_name, ours[i]) == 0;
        if (!known)
            status = ml_fail(err, ML_ERR_FORMAT,
                             "%s: not a workspace, and there are other things in it (%.80s); name "
                             "a new or an empty folder",
                             folder, entry->d_name);
    }
    closedir(list);
    return status;
}

static int check_exists(const char *folder, struct ml_error *err)
{
    if (!ml_path_exists(folder))
        return ml_fail(err, ML_ERR_NOT_FOUND,
                       "%s: there is no such workspace; `maliang collect` makes one", folder);
    if (!ml_path_is_dir(folder))
        return ml_fail(err, ML_ERR_FORMAT, "%s: a file; a workspace is a folder", folder);
    if (!ml_workspace_is_one(folder))
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s: not a workspace (no %s in it); name the folder that `maliang collect` "
                       "made, or collect into a new one",
                       folder, DATABASE);
    return 0;
}

static int check_writable(const char *folder, struct ml_error *err)
{
    char reason[128];
    if (access(folder, W_OK | X_OK) == 0)
        return 0;
    return ml_fail(err, ML_ERR_IO,
                   "%s: cannot be written (%s); copy the workspace to a place where you may write",
                   folder, strerror_r(errno, reason, sizeof reason));
}

/* ---- the lock: the folder's, then the database's ---- */

static int fail_locked(struct ml_workspace *ws, struct ml_error *err)
{
    long owner = ml_write_lock_owner(&ws->lock);
    if (owner == (long)getpid())
        return ml_fail(err, ML_ERR_STATE,
                       "%s: this program is writing it already, through another handle; end that "
                       "first",
                       ws->folder);
    return ml_fail(err, ML_ERR_STATE,
                   "%s: another program (process %ld) is writing this workspace; waited %.0f s; "
                   "try again when it is done",
                   ws->folder, owner, ws->wait_seconds);
}

static int lock_database(struct ml_workspace *ws, double wait_seconds, bool *taken,
                         struct ml_error *err)
{
    return ml_db_lock(ws->db, wait_seconds > 0 ? wait_seconds : 0, taken, err);
}

static int fail_database_locked(struct ml_workspace *ws, struct ml_error *err)
{
    char owner[128];
    ml_db_lock_owner(ws->db, owner, sizeof owner);
    return ml_fail(err, ML_ERR_STATE,
                   "%s: another program%s%s%s is writing this workspace's database; waited %.0f s; "
                   "try again when it is done",
                   ws->folder, *owner ? " (" : "", owner, *owner ? ")" : "", ws->wait_seconds);
}

static int take_lock(struct ml_workspace *ws, struct ml_error *err)
{
    bool taken = false;
    double until = ml_time() + ws->wait_seconds;
    int status = ml_write_lock_take(&ws->lock, ws->wait_seconds, &taken, err);
    if (status == 0 && !taken)
        return fail_locked(ws, err);
    if (status || !ws->db)
        return status;
    status = lock_database(ws, until - ml_time(), &taken, err);
    if (status == 0 && !taken)
        status = fail_database_locked(ws, err);
    if (status)
        ml_write_lock_leave(&ws->lock);
    return status;
}

static void leave_lock(struct ml_workspace *ws)
{
    if (ws->db)
        ml_db_unlock(ws->db);
    ml_write_lock_leave(&ws->lock);
}

/* ---- opening ---- */

static int make_folders(struct ml_workspace *ws, struct ml_arena *arena, struct ml_error *err)
{
    static const char *const folders[] = {"blobs/.new", "models", "runs"};
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof folders / sizeof folders[0]; i++) {
        char *path = ml_path_join(arena, ws->folder, folders[i]);
        status = path ? ml_dir_make(path, err)
                      : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", ws->folder);
    }
    return status;
}

/* Under the folder's lock: folders, database, missing migrations. */
static int make(struct ml_workspace *ws, struct ml_arena *arena, struct ml_error *err)
{
    bool taken = false;
    int status = make_folders(ws, arena, err);
    if (status == 0)
        status = ml_db_open(&ws->db, ws->database, ML_DB_CREATE, err);
    if (status == 0)
        status = lock_database(ws, ws->wait_seconds, &taken, err);
    if (status == 0 && !taken)
        status = fail_database_locked(ws, err);
    if (status == 0)
        status = ml_schema_migrate(ws->db, ml_migrations, ml_migration_count, ws->folder, err);
    return status;
}

/* The first look is free of locks, so that opening does not wait for a writer. */
static int open_to_write(struct ml_workspace *ws, struct ml_arena *arena, bool create,
                         struct ml_error *err)
{
    char *lock = ml_path_join(arena, ws->folder, LOCK);
    int version = 0, known = ml_migrations[ml_migration_count - 1].version;
    if (!lock)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", ws->folder);
    int status = check_writable(ws->folder, err);
    if (status == 0)
        status = ml_write_lock_open(&ws->lock, lock, err);
    if (status == 0 && (ml_db_is_url(ws->database) || ml_path_exists(ws->database))) {
        status = ml_db_open(&ws->db, ws->database, ML_DB_WRITE, err);
        if (status == 0)
            status = ml_schema_version(ws->db, ws->folder, &version, err);
        if (status == 0 && version == 0 && !create)
            status = ml_fail(err, ML_ERR_FORMAT,
                             "%s: this workspace was left half made; collect into it to finish it",
                             ws->folder);
    }
    if (status == 0 && version == known && ml_db_is_url(ws->database))
        status = make_folders(ws, arena, err); /* of a second machine, perhaps */
    if (status || version == known)
        return status;
    ml_db_close(ws->db);
    ws->db = NULL;
    status = take_lock(ws, err);
    if (status)
        return status;
    status = make(ws, arena, err);
    leave_lock(ws);
    return status;
}

/* A medium that cannot change needs no side files; a log that was not moved into the database yet
 * needs them. */
static int open_to_read(struct ml_workspace *ws, struct ml_arena *arena, struct ml_error *err)
{
    int version = 0, known = ml_migrations[ml_migration_count - 1].version;
    char *log = ml_arena_printf(arena, "%s-wal", ws->database);
    struct stat info;
    if (!log)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", ws->folder);
    bool still = access(ws->folder, W_OK) != 0 && (stat(log, &info) != 0 || info.st_size == 0);
    int status = ml_db_open(&ws->db, ws->database, still ? ML_DB_READ_STILL : ML_DB_READ, err);
    if (status == 0)
        status = ml_schema_version(ws->db, ws->folder, &version, err);
    if (status == 0 && version > known)
        status = ml_schema_migrate(ws->db, ml_migrations, ml_migration_count, ws->folder, err);
    else if (status == 0 && version < known)
        status = ml_fail(err, ML_ERR_UNSUPPORTED,
                         "%s: %s; open it once for writing (`maliang collect`)", ws->folder,
                         version ? "made by an older version of this program"
                                 : "this workspace was left half made");
    return status;
}

static int open_blobs(struct ml_workspace *ws, const char *url, struct ml_error *err)
{
    if (!url)
        return ml_blob_local_open(&ws->blobs, ws->folder, err);
#ifdef MALIANG_HAVE_CURL
    return ml_blob_s3_open(&ws->blobs, ws->folder, url, err);
#else
    return ml_fail(err, ML_ERR_UNSUPPORTED,
                   "%s: its material lies in S3, which this build does not speak; install the "
                   "package libcurl4-openssl-dev and build again",
                   ws->folder);
#endif
}

/* Where rows and bytes lie: as the folder's file says; a new workspace gets the file from the
 * options. */
static int locate(struct ml_workspace *ws, const struct ml_workspace_options *options, bool make_it,
                  struct ml_arena *arena, struct ml_error *err)
{
    const struct ml_address wanted = {.database = options->database_url,
                                      .blobs = options->blobs_url};
    bool elsewhere = wanted.database || wanted.blobs;
    struct ml_address address;
    bool is_old = ml_workspace_is_one(ws->folder);
    int status = ml_address_read(&address, arena, ws->folder, err);
    if (status == 0 && wanted.database && !ml_db_is_url(wanted.database))
        status = ml_fail(err, ML_ERR_ARG, "%s: the address of a database begins with postgresql://",
                         ws->folder);
    if (status == 0 && elsewhere && is_old && !ml_address_equal(&wanted, &address))
        status = ml_fail(err, ML_ERR_STATE,
                         "%s: a workspace already, whose rows or bytes lie elsewhere; name a new "
                         "folder",
                         ws->folder);
    if (status == 0 && elsewhere && !is_old && make_it) {
        status = ml_address_write(&wanted, ws->folder, err);
        address = wanted;
    }
    if (status)
        return status;
    char *file = ml_path_join(arena, ws->folder, DATABASE);
    ws->database = file ? ml_mem_strdup(address.database ? address.database : file) : NULL;
    if (!ws->database)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", ws->folder);
    return open_blobs(ws, address.blobs, err);
}

static int open_folder(struct ml_workspace *ws, const char *folder,
                       const struct ml_workspace_options *options, struct ml_error *err)
{
    char absolute[PATH_MAX], reason[128];
    int status = 0;
    bool make_it = options->create && !options->read_only;
    if (make_it && !ml_workspace_is_one(folder)) {
        status = ml_dir_make(folder, err);
        if (status == 0)
            status = check_free(folder, err);
    } else {
        status = check_exists(folder, err);
    }
    if (status)
        return status;
    if (!realpath(folder, absolute))
        return ml_fail(err, ML_ERR_IO, "%s: cannot be opened: %s", folder,
                       strerror_r(errno, reason, sizeof reason));
    ws->folder = ml_mem_strdup(absolute);
    if (!ws->folder)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", folder);
    struct ml_arena arena;
    ml_arena_init(&arena, 4096);
    status = locate(ws, options, make_it, &arena, err);
    if (status == 0)
        status = options->read_only ? open_to_read(ws, &arena, err)
                                    : open_to_write(ws, &arena, make_it, err);
    ml_arena_clear(&arena);
    return status;
}

int ml_workspace_open(struct ml_workspace **out, const char *folder,
                      const struct ml_workspace_options *options, struct ml_error *err)
{
    static const struct ml_workspace_options defaults;
    const struct ml_workspace_options *o = options ? options : &defaults;
    struct ml_workspace *ws = ml_mem_calloc(1, sizeof *ws);
    if (!ws)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", folder);
    ws->lock.file = -1;
    ws->read_only = o->read_only;
    ws->wait_seconds = o->wait_seconds < 0    ? 0
                       : o->wait_seconds == 0 ? WAIT_SECONDS
                                              : o->wait_seconds;
    int status = open_folder(ws, folder, o, err);
    if (status) {
        ml_workspace_close(ws);
        return status;
    }
    *out = ws;
    return 0;
}

void ml_workspace_close(struct ml_workspace *ws)
{
    if (!ws)
        return;
    while (ws->depth > 0)
        ml_workspace_end(ws, ML_ERR_CANCELLED, NULL);
    ws->wait_seconds = 0; /* whoever writes now tidies up when it is done */
    if (ws->db && ws->lock.file >= 0 && take_lock(ws, NULL) == 0) {
        ws->blobs->driver->leftovers(ws->blobs, true, &(int64_t){0}, NULL);
        ml_db_checkpoint(ws->db);
        leave_lock(ws);
    }
    ml_db_close(ws->db);
    if (ws->blobs)
        ws->blobs->driver->close(ws->blobs);
    ml_write_lock_close(&ws->lock);
    ml_mem_free(ws->database);
    ml_mem_free(ws->folder);
    ml_mem_free(ws);
}

/* ---- paths ---- */

const char *ml_workspace_folder(const struct ml_workspace *ws)
{
    return ws->folder;
}

const char *ml_workspace_database(const struct ml_workspace *ws)
{
    return ml_db_name(ws->db);
}

bool ml_workspace_is_read_only(const struct ml_workspace *ws)
{
    return ws->read_only;
}

char *ml_workspace_path(const struct ml_workspace *ws, struct ml_arena *arena, const char *path)
{
    return path[0] == '/' ? ml_arena_strdup(arena, path) : ml_path_join(arena, ws->folder, path);
}

char *ml_workspace_relative(const struct ml_workspace *ws, struct ml_arena *arena, const char *path)
{
    size_t n = strlen(ws->folder);
    bool inside = strncmp(path, ws->folder, n) == 0 && path[n] == '/';
    return ml_arena_strdup(arena, inside ? path + n + 1 : path);
}

/* ---- writing ---- */

int ml_workspace_begin(struct ml_workspace *ws, struct ml_error *err)
{
    if (ws->read_only)
        return ml_fail(err, ML_ERR_STATE, "%s: was opened for reading only; nothing can be written",
                       ws->folder);
    if (ws->depth > 0) {
        ws->depth++;
        return 0;
    }
    int status = take_lock(ws, err);
    if (status)
        return status;
    status = ml_db_begin(ws->db, err);
    if (status) {
        leave_lock(ws);
        return status;
    }
    ws->depth = 1;
    ws->doomed = false;
    return 0;
}

int ml_workspace_end(struct ml_workspace *ws, int status, struct ml_error *err)
{
    if (status)
        ws->doomed = true;
    if (--ws->depth > 0)
        return status;
    if (status == 0 && ws->doomed)
        status = ml_fail(err, ML_ERR_STATE,
                         "%s: a step failed before, so nothing of this batch was kept", ws->folder);
    if (status == 0)
        status = ws->blobs->driver->sync(ws->blobs, err);
    if (status == 0)
        status = ml_db_commit(ws->db, err);
    if (status)
        ml_db_rollback(ws->db);
    leave_lock(ws);
    return status;
}
