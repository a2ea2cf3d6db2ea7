#include "data/collect_files.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "store/workspace.h"

struct search {
    struct ml_arena *arena;
    struct ml_found_file *files; /* on the heap while it grows */
    size_t count, capacity;
    ml_unreadable_fn *unreadable;
    void *arg;
};

static int put_file(struct search *s, const char *path, uint64_t bytes, struct ml_error *err)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 256;
        struct ml_found_file *grown = ml_mem_realloc(s->files, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory listing %zu files", capacity);
        s->files = grown;
        s->capacity = capacity;
    }
    char *copy = ml_arena_strdup(s->arena, path);
    if (!copy)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing files");
    s->files[s->count++] = (struct ml_found_file){.path = copy, .bytes = bytes};
    return 0;
}

static int visit(struct search *s, FTS *tree, FTSENT *entry, struct ml_error *err)
{
    switch (entry->fts_info) {
    case FTS_D:
        if (entry->fts_level > 0 &&
            (entry->fts_name[0] == '.' || ml_workspace_is_one(entry->fts_path)))
            fts_set(tree, entry, FTS_SKIP);
        return 0;
    case FTS_F:
        if (entry->fts_level > 0 && entry->fts_name[0] == '.')
            return 0;
        return put_file(s, entry->fts_path, (uint64_t)entry->fts_statp->st_size, err);
    case FTS_DNR:
    case FTS_NS:
    case FTS_ERR:
        if (entry->fts_errno == ENOMEM)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory listing files");
        return s->unreadable(s->arg, entry->fts_path, entry->fts_errno, err);
    default: /* links, devices, pipes, the way back out of a folder */
        return 0;
    }
}

static int search_path(struct search *s, char *path, struct ml_error *err)
{
    char reason[128];
    FTSENT *entry;
    int status = 0;
    FTS *tree = fts_open((char *[]){path, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!tree)
        return ml_fail(err, errno == ENOMEM ? ML_ERR_MEMORY : ML_ERR_IO, "%s: cannot be listed: %s",
                       path, strerror_r(errno, reason, sizeof reason));
    while (status == 0 && (errno = 0, entry = fts_read(tree)))
        status = visit(s, tree, entry, err);
    if (status == 0 && errno != 0)
        status =
            ml_fail(err, errno == ENOMEM ? ML_ERR_MEMORY : ML_ERR_IO, "%s: cannot be listed: %s",
                    path, strerror_r(errno, reason, sizeof reason));
    fts_close(tree);
    return status;
}

/* Says what is wrong with a named path before anything is collected. */
static int resolve(const char *path, char absolute[PATH_MAX], struct ml_error *err)
{
    char reason[128];
    struct stat info;
    if (!realpath(path, absolute) || stat(absolute, &info) != 0)
        return ml_fail(err, errno == ENOENT || errno == ENOTDIR ? ML_ERR_NOT_FOUND : ML_ERR_IO,
                       "%s: %s", *path ? path : "\"\"",
                       errno == ENOENT || errno == ENOTDIR
                           ? "there is no such file or folder"
                           : strerror_r(errno, reason, sizeof reason));
    if (S_ISDIR(info.st_mode) && ml_workspace_is_one(absolute))
        return ml_fail(err, ML_ERR_ARG,
                       "%s: this is a workspace itself; name the folder with your material", path);
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode))
        return ml_fail(err, ML_ERR_ARG, "%s: neither a file nor a folder", path);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct ml_found_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int keep_each_once(struct search *s, struct ml_found_file **out, size_t *count,
                          struct ml_error *err)
{
    struct ml_found_file *list = ml_arena_calloc(s->arena, s->count + 1, sizeof *list);
    size_t kept = 0;
    if (!list)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing %zu files", s->count);
    if (s->count > 1)
        qsort(s->files, s->count, sizeof s->files[0], by_path);
    for (size_t i = 0; i < s->count; i++)
        if (kept == 0 || strcmp(list[kept - 1].path, s->files[i].path) != 0)
            list[kept++] = s->files[i];
    *out = list;
    *count = kept;
    return 0;
}

int ml_collect_find(struct ml_arena *arena, const char *const *paths, size_t count,
                    ml_unreadable_fn *unreadable, void *arg, struct ml_found_file **out,
                    size_t *out_count, struct ml_error *err)
{
    struct search s = {.arena = arena, .unreadable = unreadable, .arg = arg};
    char absolute[PATH_MAX];
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i++)
        status = resolve(paths[i], absolute, err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        status = resolve(paths[i], absolute, err);
        if (status == 0)
            status = search_path(&s, absolute, err);
    }
    if (status == 0)
        status = keep_each_once(&s, out, out_count, err);
    ml_mem_free(s.files);
    return status;
}
