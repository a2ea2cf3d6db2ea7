/* Folders and paths (base/files.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/files.h"

#define MAX_DEPTH                                                                                  \
    128 /* folders within folders; each level holds one open file while it is removed */

static int fail_folder(struct ml_error *err, const char *path, const char *tried, int number)
{
    char reason[128];
    return ml_fail(err, number == ENOENT ? ML_ERR_NOT_FOUND : ML_ERR_IO, "%s: cannot %s: %s", path,
                   tried, strerror_r(number, reason, sizeof reason));
}

bool ml_path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool ml_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *ml_path_join(struct ml_arena *arena, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    return ml_arena_printf(arena, "%s%s%s", folder, n == 0 || folder[n - 1] == '/' ? "" : "/",
                           name);
}

int ml_dir_make(const char *path, struct ml_error *err)
{
    int status = 0;
    char *parent = ml_mem_strdup(path);
    if (!parent)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    for (char *slash = parent; status == 0 && *slash;) {
        slash += strspn(slash, "/");
        slash += strcspn(slash, "/");
        char held = *slash;
        *slash = '\0';
        /* An existing folder may answer with another error than EEXIST (read-only parent). */
        if (mkdir(parent, 0777) != 0) {
            int number = errno;
            if (!ml_path_is_dir(parent))
                status =
                    number == EEXIST || number == ENOTDIR
                        ? ml_fail(err, ML_ERR_IO, "%s: %s is a file, not a folder", path, parent)
                        : fail_folder(err, path, "make the folder", number);
        }
        *slash = held;
    }
    ml_mem_free(parent);
    return status;
}

static int remove_inside(int folder, const char *path, int depth, struct ml_error *err);

/* Removes one entry of an open folder. A link is removed itself: O_NOFOLLOW never enters one. */
static int remove_entry(int folder, const char *name, const char *path, int depth,
                        struct ml_error *err)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return fail_folder(err, path, "remove what is in it", errno);
    if (depth == MAX_DEPTH)
        return ml_fail(err, ML_ERR_LIMIT, "%s: more than %d folders deep", path, MAX_DEPTH);
    int inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0)
        return fail_folder(err, path, "open a folder in it", errno);
    int status = remove_inside(inner, path, depth + 1, err);
    if (status == 0 && unlinkat(folder, name, AT_REMOVEDIR) != 0)
        status = fail_folder(err, path, "remove a folder in it", errno);
    return status;
}

/* Empties an open folder and closes it. */
static int remove_inside(int folder, const char *path, int depth, struct ml_error *err)
{
    DIR *list = fdopendir(folder);
    if (!list) {
        int number = errno;
        close(folder);
        return fail_folder(err, path, "list it", number);
    }
    int status = 0;
    struct dirent *entry;
    while (status == 0 && (errno = 0, entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = remove_entry(dirfd(list), entry->d_name, path, depth, err);
    if (status == 0 && errno != 0)
        status = fail_folder(err, path, "list it", errno);
    closedir(list);
    return status;
}

int ml_dir_remove(const char *path, struct ml_error *err)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return fail_folder(err, path, "open it as a folder", errno);
    int status = remove_inside(folder, path, 0, err);
    if (status == 0 && rmdir(path) != 0)
        status = fail_folder(err, path, "remove it", errno);
    return status;
}

/* ---- walking ---- */

struct walk {
    ml_walk_fn *visit;
    void *arg;
};

struct listing { /* names of one folder; folders carry a '/' at their end */
    char **names;
    size_t count, capacity;
};

/* With '/' at the end of folders, the order of the names is the order of the whole paths below
 * them: "a-b" < "a/x" < "a0". */
static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int listing_add(struct listing *list, struct ml_arena *arena, const char *name, bool folder)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        char **grown = ml_mem_realloc(list->names, capacity * sizeof *grown);
        if (!grown)
            return ML_ERR_MEMORY;
        list->names = grown;
        list->capacity = capacity;
    }
    char *copy = ml_arena_printf(arena, "%s%s", name, folder ? "/" : "");
    if (!copy)
        return ML_ERR_MEMORY;
    list->names[list->count++] = copy;
    return 0;
}

/* Regular files and folders of one folder, sorted; hidden entries, links, pipes and devices left
 * out. An entry that disappears while we look is not an error. */
static int list_folder(struct listing *list, struct ml_arena *arena, const char *path,
                       struct ml_error *err)
{
    DIR *folder = opendir(path);
    if (!folder)
        return fail_folder(err, path, "list the folder", errno);
    int status = 0;
    struct dirent *entry;
    while (status == 0 && (errno = 0, entry = readdir(folder))) {
        struct stat info;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)))
            continue;
        if (listing_add(list, arena, entry->d_name, S_ISDIR(info.st_mode)) != 0)
            status = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory listing the folder", path);
    }
    if (status == 0 && errno != 0)
        status = fail_folder(err, path, "list the folder", errno);
    closedir(folder);
    if (list->count > 1)
        qsort(list->names, list->count, sizeof list->names[0], by_bytes);
    return status;
}

static int walk_folder(const struct walk *walk, const char *path, int depth, struct ml_error *err)
{
    if (depth > MAX_DEPTH)
        return ml_fail(err, ML_ERR_LIMIT, "%s: more than %d folders deep", path, MAX_DEPTH);
    struct ml_arena arena;
    struct listing list = {0};
    ml_arena_init(&arena, 0);
    int status = list_folder(&list, &arena, path, err);
    for (size_t i = 0; status == 0 && i < list.count; i++) {
        size_t length = strlen(list.names[i]);
        bool folder = list.names[i][length - 1] == '/';
        if (folder)
            list.names[i][length - 1] = '\0';
        struct stat info;
        char *inner = ml_path_join(&arena, path, list.names[i]);
        if (!inner)
            status = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory walking the folder", path);
        else if (folder)
            status = walk_folder(walk, inner, depth + 1, err);
        else if (stat(inner, &info) == 0)
            status = walk->visit(walk->arg, inner, (uint64_t)info.st_size, err);
    }
    ml_mem_free(list.names);
    ml_arena_clear(&arena);
    return status;
}

int ml_dir_walk(const char *root, ml_walk_fn *visit, void *arg, struct ml_error *err)
{
    struct walk walk = {.visit = visit, .arg = arg};
    struct stat info;
    if (stat(root, &info) != 0)
        return fail_folder(err, root, "open it", errno);
    if (S_ISREG(info.st_mode))
        return visit(arg, root, (uint64_t)info.st_size, err);
    return walk_folder(&walk, root, 0, err);
}
