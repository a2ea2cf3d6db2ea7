#include "data/export_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/files.h"

static int fail_errno(const char *path, const char *tried, int number, struct ml_error *err)
{
    char reason[128];
    return ml_fail(err, ML_ERR_IO, "%s: cannot %s: %s", path, tried,
                   strerror_r(number, reason, sizeof reason));
}

/* Without slashes at the end, which would move the hidden name into the folder itself. */
static char *trimmed(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *copy = ml_mem_alloc(n + 1);
    if (copy) {
        memcpy(copy, path, n);
        copy[n] = '\0';
    }
    return copy;
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = ml_mem_strdup(slash ? path : ".");
    if (parent && slash)
        parent[slash == path ? 1 : slash - path] = '\0';
    return parent;
}

/* What an export would put something over; a folder without anything in it may be replaced. */
static bool is_taken(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return false;
    DIR *folder = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    int names = 0;
    while (folder && names <= 2 && readdir(folder))
        names++;
    bool empty = folder && names <= 2;
    if (folder)
        closedir(folder);
    return !empty;
}

int ml_export_folder_open(struct ml_export_folder *folder, const char *path, struct ml_error *err)
{
    struct ml_export_folder f = {.path = trimmed(path)};
    int status = 0;
    char *parent = f.path ? parent_of(f.path) : NULL;
    const char *slash = f.path ? strrchr(f.path, '/') : NULL;
    size_t bytes = strlen(path) + 16;
    f.temporary = ml_mem_alloc(bytes);
    if (!parent || !f.temporary)
        status = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    else if (is_taken(f.path))
        status = ml_fail(err, ML_ERR_STATE,
                         "%s: is there already; choose another name, or remove it first", path);
    if (status == 0)
        status = ml_dir_make(parent, err);
    if (status == 0) {
        size_t front = slash ? (size_t)(slash - f.path) + 1 : 0;
        snprintf(f.temporary, bytes, "%.*s.%.200s.XXXXXX", (int)front, f.path, f.path + front);
        if (!mkdtemp(f.temporary)) {
            status = fail_errno(path, "make a folder beside it", errno, err);
        } else { /* mkdtemp makes it for its owner alone; what is exported is for others, too */
            mode_t mask = umask(0);
            umask(mask);
            (void)!chmod(f.temporary, 0777 & ~mask);
        }
    }
    ml_mem_free(parent);
    if (status) {
        ml_mem_free(f.path);
        ml_mem_free(f.temporary);
        return status;
    }
    *folder = f;
    return 0;
}

char *ml_export_folder_file(const struct ml_export_folder *folder, struct ml_arena *arena,
                            const char *name)
{
    return ml_path_join(arena, folder->temporary, name);
}

/* Its entries, or those of its parent, are on disk. */
static int sync_folder(const char *path, struct ml_error *err)
{
    int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return 0; /* may be written but not listed */
    int status = fsync(file) == 0 || errno == EINVAL ? 0 : fail_errno(path, "sync it", errno, err);
    close(file);
    return status;
}

int ml_export_folder_commit(struct ml_export_folder *folder, struct ml_error *err)
{
    char *parent = parent_of(folder->path);
    int status = parent ? sync_folder(folder->temporary, err)
                        : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", folder->path);
    if (status == 0 && rename(folder->temporary, folder->path) != 0)
        status = fail_errno(folder->path, "put the finished folder there", errno, err);
    if (status == 0) {
        ml_mem_free(folder->temporary);
        folder->temporary = NULL;
        status = sync_folder(parent, err);
    }
    ml_mem_free(parent);
    ml_export_folder_abort(folder);
    return status;
}

void ml_export_folder_abort(struct ml_export_folder *folder)
{
    if (folder->temporary)
        ml_dir_remove(folder->temporary, NULL);
    ml_mem_free(folder->temporary);
    ml_mem_free(folder->path);
    *folder = (struct ml_export_folder){0};
}
