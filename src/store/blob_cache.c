#include "store/blob_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fail.h"

static int fail_errno(const char *what, struct ml_error *err)
{
    char reason[128];
    int number = errno;
    return ml_fail(err, number == ENOMEM ? ML_ERR_MEMORY : ML_ERR_IO,
                   "the copy of a blob cannot be %s: %s%s", what,
                   strerror_r(number, reason, sizeof reason),
                   number == ENOSPC || number == EDQUOT ? "; free some space and try again" : "");
}

int ml_blob_cache_init(struct ml_blob_cache *cache, const char *workspace, int64_t limit,
                       struct ml_error *err)
{
    struct ml_arena arena;
    ml_arena_init(&arena, 1024);
    char *path = ml_path_join(&arena, workspace, "blobs/.cache");
    *cache = (struct ml_blob_cache){
        .folder = path ? ml_mem_strdup(path) : NULL, .limit = limit, .used = -1};
    ml_arena_clear(&arena);
    return cache->folder ? 0 : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", workspace);
}

void ml_blob_cache_clear(struct ml_blob_cache *cache)
{
    ml_mem_free(cache->folder);
    cache->folder = NULL;
}

static bool copy_path(const struct ml_blob_cache *cache, const char *hash, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/%.2s/%s", cache->folder, hash, hash + 2);
    return n > 0 && n < PATH_MAX;
}

bool ml_blob_cache_view(struct ml_blob_cache *cache, const char *hash, struct ml_file_map *map)
{
    char path[PATH_MAX];
    if (!copy_path(cache, hash, path) || ml_file_map_open(map, path, NULL) != 0)
        return false;
    utimensat(AT_FDCWD, path, NULL, 0); /* used now; a failure only makes it seem older */
    return true;
}

/* ---- making room ---- */

struct copy_file {
    struct timespec used;
    int64_t bytes;
    char path[];
};

struct copies {
    struct copy_file **list;
    size_t count, capacity;
    int64_t bytes;
    struct ml_arena arena;
};

static int note_copy(void *arg, const char *path, uint64_t bytes, struct ml_error *err)
{
    struct copies *all = arg;
    struct stat info;
    if (stat(path, &info) != 0) /* another process made room, too */
        return 0;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? all->capacity * 2 : 256;
        void *grown = ml_mem_realloc(all->list, capacity * sizeof all->list[0]);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory listing copies of blobs");
        all->list = grown;
        all->capacity = capacity;
    }
    struct copy_file *one = ml_arena_alloc(&all->arena, sizeof *one + strlen(path) + 1);
    if (!one)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing copies of blobs");
    one->used = info.st_mtim;
    one->bytes = (int64_t)bytes;
    strcpy(one->path, path);
    all->list[all->count++] = one;
    all->bytes += one->bytes;
    return 0;
}

static int by_use(const void *a, const void *b)
{
    const struct copy_file *x = *(struct copy_file *const *)a, *y = *(struct copy_file *const *)b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

/* Counts what is there; when that is too much, the oldest go until a quarter of the room is free. A
 * copy that somebody has mapped stays readable. */
static int make_room(struct ml_blob_cache *cache, int64_t bytes, struct ml_error *err)
{
    if (cache->used >= 0 && cache->used + bytes <= cache->limit)
        return 0;
    struct copies all = {0};
    ml_arena_init(&all.arena, 0);
    int status =
        ml_path_is_dir(cache->folder) ? ml_dir_walk(cache->folder, note_copy, &all, err) : 0;
    if (status == 0 && all.bytes + bytes > cache->limit && all.count > 0) {
        qsort(all.list, all.count, sizeof all.list[0], by_use);
        for (size_t i = 0; i < all.count && all.bytes + bytes > cache->limit / 4 * 3; i++)
            if (unlink(all.list[i]->path) == 0 || errno == ENOENT)
                all.bytes -= all.list[i]->bytes;
    }
    cache->used = all.bytes;
    ml_mem_free(all.list);
    ml_arena_clear(&all.arena);
    return status;
}

/* ---- making a copy ---- */

int ml_blob_copy_begin(struct ml_blob_copy *copy, struct ml_blob_cache *cache, struct ml_error *err)
{
    ml_blob_copy_drop(copy);
    ml_hasher_init(&copy->hasher);
    copy->bytes = 0;
    copy->in_memory = false;
    if (ml_dir_make(cache->folder, NULL) == 0)
        copy->file = open(cache->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (copy->file < 0) { /* a medium that cannot be written, or a file system without such files */
        copy->file = memfd_create("maliang blob", MFD_CLOEXEC);
        copy->in_memory = true;
    }
    return copy->file >= 0 ? 0 : fail_errno("begun", err);
}

int ml_blob_copy_put(struct ml_blob_copy *copy, const void *bytes, size_t n, struct ml_error *err)
{
    const char *at = bytes;
    ml_hasher_put(&copy->hasher, bytes, n);
    for (size_t left = n; left > 0;) {
        ssize_t put = write(copy->file, at, left);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail_errno("written", err);
        at += put;
        left -= (size_t)put;
    }
    copy->bytes += (int64_t)n;
    return 0;
}

/* That it cannot be kept is no failure: it is there to be read now. */
static void keep_copy(struct ml_blob_copy *copy, struct ml_blob_cache *cache, const char *hash)
{
    char path[PATH_MAX], self[64], folder[PATH_MAX];
    if (copy->in_memory || copy->bytes > cache->limit || !copy_path(cache, hash, path) ||
        make_room(cache, copy->bytes, NULL) != 0)
        return;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    snprintf(self, sizeof self, "/proc/self/fd/%d", copy->file);
    if ((mkdir(folder, 0777) == 0 || errno == EEXIST) && fdatasync(copy->file) == 0 &&
        linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        cache->used += copy->bytes;
}

int ml_blob_copy_finish(struct ml_blob_copy *copy, struct ml_blob_cache *cache, const char *hash,
                        bool keep, struct ml_file_map *map, struct ml_error *err)
{
    uint8_t binary[ML_HASH_BYTES];
    char actual[ML_HASH_HEX];
    int status = 0;
    void *data = NULL;
    ml_hasher_finish(&copy->hasher, binary);
    ml_hash_hex(binary, actual);
    if (strcmp(actual, hash) != 0)
        status = ML_ERR_FORMAT;
    if (status == 0 && copy->bytes > 0) {
        data = mmap(NULL, (size_t)copy->bytes, PROT_READ, MAP_PRIVATE, copy->file, 0);
        if (data == MAP_FAILED)
            status = fail_errno("mapped", err);
    }
    if (status == 0 && keep)
        keep_copy(copy, cache, hash);
    if (status == 0)
        *map = (struct ml_file_map){.data = data, .size = (size_t)copy->bytes};
    ml_blob_copy_drop(copy);
    return status;
}

void ml_blob_copy_drop(struct ml_blob_copy *copy)
{
    if (copy->file >= 0)
        close(copy->file);
    copy->file = -1;
}
