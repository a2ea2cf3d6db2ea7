/* Blobs as files: blobs/ab/cdef... (store/blob_driver.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fail.h"
#include "store/blob_driver.h"
#include "store/hash.h"

#define SYNC_EACH 16 /* blobs between two syncs that are synced alone; then one sync for all */

struct local_store {
    struct ml_blob_store base;
    char *folder; /* of the workspace */
    int fresh;    /* written since the last sync */
    bool sync_all;
};

static struct local_store *of_store(struct ml_blob_store *store)
{
    return (struct local_store *)store;
}

static int fail_errno(struct ml_error *err, const char *path, const char *tried, int number)
{
    char reason[128];
    return ml_fail(err, ML_ERR_IO, "%s: cannot %s: %s%s", path, tried,
                   strerror_r(number, reason, sizeof reason),
                   number == ENOSPC || number == EDQUOT ? "; free some space and try again" : "");
}

static int fail_long(const struct local_store *s, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_LIMIT, "%s: the path is too long", s->folder);
}

static int blob_path(const struct local_store *s, const char *hash, char path[PATH_MAX],
                     struct ml_error *err)
{
    int n = snprintf(path, PATH_MAX, "%s/blobs/%.2s/%s", s->folder, hash, hash + 2);
    return n > 0 && n < PATH_MAX ? 0 : fail_long(s, err);
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
static int write_blob(struct local_store *s, const char *path, const void *bytes, size_t n,
                      struct ml_error *err)
{
    char fresh[PATH_MAX], folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if ((size_t)snprintf(fresh, sizeof fresh, "%s/blobs/.new/blob", s->folder) >= sizeof fresh)
        return fail_long(s, err);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return fail_errno(err, folder, "make the folder", errno);
    int file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file < 0)
        return fail_errno(err, fresh, "create", errno);
    bool sync_now = s->fresh < SYNC_EACH;
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
    s->fresh++;
    s->sync_all = s->sync_all || !sync_now;
    return 0;
}

static int local_put(struct ml_blob_store *store, const char *hash, const void *bytes, size_t n,
                     bool known, struct ml_error *err)
{
    struct local_store *s = of_store(store);
    char path[PATH_MAX];
    int status = blob_path(s, hash, path, err);
    /* A file that is not known may stem from a writer that lost power before it was synced: that it
     * is there does not say that it is whole. */
    if (status == 0 && !(known && is_intact(path, bytes, n)))
        status = write_blob(s, path, bytes, n, err);
    return status;
}

static int local_sync(struct ml_blob_store *store, struct ml_error *err)
{
    struct local_store *s = of_store(store);
    if (s->sync_all) {
        int folder = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
            return fail_errno(err, s->folder, "open", errno);
        int status = syncfs(folder) == 0 ? 0 : fail_errno(err, s->folder, "sync", errno);
        close(folder);
        if (status)
            return status;
    }
    s->sync_all = false;
    s->fresh = 0;
    return 0;
}

static int local_view(struct ml_blob_store *store, const char *hash, bool at_source,
                      struct ml_file_map *map, struct ml_error *err)
{
    char path[PATH_MAX];
    int status = blob_path(of_store(store), hash, path, err);
    return status ? status : ml_file_map_open(map, path, err);
}

/* ---- tidying up ---- */

struct names {
    char (*list)[ML_HASH_HEX];
    size_t count, capacity;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int put_name(struct names *names, const char *name, struct ml_error *err)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 256;
        void *grown = ml_mem_realloc(names->list, capacity * sizeof names->list[0]);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory listing blobs");
        names->list = grown;
        names->capacity = capacity;
    }
    strcpy(names->list[names->count++], name);
    return 0;
}

static bool is_blob(const char *path, uint64_t *bytes)
{
    struct stat info;
    if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    *bytes = (uint64_t)info.st_size;
    return true;
}

/* Visits what is no blob at once; names of blobs are kept, to be sorted. */
static int read_folder(const char *folder, const char *prefix, struct names *names,
                       ml_blob_visit *visit, void *arg, struct ml_error *err)
{
    char path[PATH_MAX], hash[ML_HASH_HEX + 2];
    uint8_t binary[ML_HASH_BYTES];
    uint64_t bytes;
    DIR *list = opendir(folder);
    if (!list)
        return errno == ENOENT ? 0 : fail_errno(err, folder, "list it", errno);
    int status = 0;
    for (struct dirent *entry; status == 0 && (errno = 0, entry = readdir(list));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
            status = ml_fail(err, ML_ERR_LIMIT, "%s: the path is too long", folder);
        snprintf(hash, sizeof hash, "%.2s%.63s", prefix, name);
        if (status == 0 && ml_hash_parse(binary, hash) && is_blob(path, &bytes))
            status = put_name(names, hash, err);
        else if (status == 0)
            status = visit(arg, NULL, path, 0, err);
    }
    if (status == 0 && errno != 0)
        status = fail_errno(err, folder, "list it", errno);
    closedir(list);
    return status;
}

static int list_folder(const struct local_store *s, const char *prefix, ml_blob_visit *visit,
                       void *arg, struct ml_error *err)
{
    char path[PATH_MAX];
    struct names names = {0};
    if ((size_t)snprintf(path, sizeof path, "%s/blobs/%s", s->folder, prefix) >= sizeof path)
        return fail_long(s, err);
    int status = read_folder(path, prefix, &names, visit, arg, err);
    if (status == 0 && names.count > 0)
        qsort(names.list, names.count, sizeof names.list[0], by_name);
    for (size_t i = 0; status == 0 && i < names.count; i++) {
        uint64_t bytes = 0;
        status = blob_path(s, names.list[i], path, err);
        if (status == 0 && is_blob(path, &bytes))
            status = visit(arg, names.list[i], path, bytes, err);
    }
    ml_mem_free(names.list);
    return status;
}

/* What lies in blobs/ beside the 256 folders and those of ours that begin with a dot. */
static int list_strangers(const struct local_store *s, ml_blob_visit *visit, void *arg,
                          struct ml_error *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/blobs", s->folder) >= sizeof path)
        return fail_long(s, err);
    DIR *list = opendir(path);
    if (!list)
        return fail_errno(err, path, "list it", errno);
    int status = 0;
    for (struct dirent *entry; status == 0 && (entry = readdir(list));) {
        const char *name = entry->d_name;
        bool ours = name[0] == '.' || (strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2);
        if (!ours &&
            (size_t)snprintf(path, sizeof path, "%s/blobs/%s", s->folder, name) < sizeof path)
            status = visit(arg, NULL, path, 0, err);
    }
    closedir(list);
    return status;
}

static int local_list(struct ml_blob_store *store, ml_blob_visit *visit, void *arg,
                      struct ml_error *err)
{
    const struct local_store *s = of_store(store);
    char prefix[3];
    int status = list_strangers(s, visit, arg, err);
    for (unsigned i = 0; status == 0 && i < 256; i++) {
        snprintf(prefix, sizeof prefix, "%02x", i);
        status = list_folder(s, prefix, visit, arg, err);
    }
    return status;
}

static int local_remove(struct ml_blob_store *store, const char *hash, struct ml_error *err)
{
    char path[PATH_MAX];
    int status = blob_path(of_store(store), hash, path, err);
    if (status == 0 && unlink(path) != 0 && errno != ENOENT)
        status = fail_errno(err, path, "remove it", errno);
    return status;
}

static int local_leftovers(struct ml_blob_store *store, bool remove, int64_t *count,
                           struct ml_error *err)
{
    const struct local_store *s = of_store(store);
    char folder[PATH_MAX], path[PATH_MAX];
    int64_t found = 0;
    if ((size_t)snprintf(folder, sizeof folder, "%s/blobs/.new", s->folder) >= sizeof folder)
        return fail_long(s, err);
    DIR *list = opendir(folder);
    if (!list && errno != ENOENT)
        return fail_errno(err, folder, "list it", errno);
    int status = 0;
    for (struct dirent *entry; list && status == 0 && (entry = readdir(list));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        found++;
        if (remove &&
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < sizeof path &&
            unlink(path) != 0)
            status = fail_errno(err, path, "remove it", errno);
    }
    if (list)
        closedir(list);
    if (status == 0)
        *count = found;
    return status;
}

/* ---- open and close ---- */

static void local_close(struct ml_blob_store *store)
{
    if (!store)
        return;
    ml_mem_free(of_store(store)->folder);
    ml_mem_free(store);
}

static const struct ml_blob_driver local_driver = {
    .name = "folder",
    .close = local_close,
    .put = local_put,
    .view = local_view,
    .sync = local_sync,
    .list = local_list,
    .remove = local_remove,
    .leftovers = local_leftovers,
};

int ml_blob_local_open(struct ml_blob_store **out, const char *folder, struct ml_error *err)
{
    struct local_store *s = ml_mem_calloc(1, sizeof *s);
    char *copy = ml_mem_strdup(folder);
    if (!s || !copy) {
        ml_mem_free(s);
        ml_mem_free(copy);
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", folder);
    }
    *s = (struct local_store){.base.driver = &local_driver, .folder = copy};
    *out = &s->base;
    return 0;
}
