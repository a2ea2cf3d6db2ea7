#include "store/address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/files.h"
#include "store/sql.h"

#define MOST_BYTES 16384

static int fail_errno(const char *path, const char *tried, struct ml_error *err)
{
    char reason[128];
    int number = errno;
    return ml_fail(err, ML_ERR_IO, "%s: cannot %s: %s", path, tried,
                   strerror_r(number, reason, sizeof reason));
}

static int file_path(char path[PATH_MAX], const char *folder, const char *end, struct ml_error *err)
{
    int n = snprintf(path, PATH_MAX, "%s/" ML_ADDRESS_FILE "%s", folder, end);
    return n > 0 && n < PATH_MAX ? 0
                                 : ml_fail(err, ML_ERR_LIMIT, "%s: the path is too long", folder);
}

/* scheme://USER:PASSWORD@HOST, or a password among the parameters. */
static bool has_password(const char *url)
{
    const char *at = strstr(url, "://");
    size_t n = at ? strcspn(at + 3, "/?") : 0;
    const char *end = n ? memchr(at + 3, '@', n) : NULL;
    return (end && memchr(at + 3, ':', (size_t)(end - at - 3))) || strstr(url, "password=");
}

/* No message quotes the line, since it may hold a password. */
static int read_line(struct ml_address *out, char *line, int number, const char *path,
                     struct ml_error *err)
{
    line += strspn(line, " \t");
    for (size_t n = strlen(line); n > 0 && strchr(" \t\r", line[n - 1]); n--)
        line[n - 1] = '\0';
    if (!*line || *line == '#')
        return 0;
    const char **which = ml_db_is_url(line)               ? &out->database
                         : strncmp(line, "s3://", 5) == 0 ? &out->blobs
                                                          : NULL;
    if (!which)
        return ml_fail(err, ML_ERR_FORMAT,
                       "%s:%d: neither a postgresql:// nor an s3:// address; an address stands on "
                       "a line of its own",
                       path, number);
    if (*which)
        return ml_fail(err, ML_ERR_FORMAT, "%s:%d: a second address of the same kind", path,
                       number);
    *which = line;
    return 0;
}

static int check_mode(const struct ml_address *address, const char *path, struct ml_error *err)
{
    struct stat info;
    if (!address->database || !has_password(address->database) || stat(path, &info) != 0 ||
        !(info.st_mode & (S_IRWXG | S_IRWXO)))
        return 0;
    return ml_fail(err, ML_ERR_STATE,
                   "%s: holds a password that others can read; chmod 600 it, or keep the password "
                   "in ~/.pgpass",
                   path);
}

int ml_address_read(struct ml_address *out, struct ml_arena *arena, const char *folder,
                    struct ml_error *err)
{
    struct ml_address address = {0};
    char path[PATH_MAX], *text;
    size_t size;
    int status = file_path(path, folder, "", err);
    if (status == 0 && !ml_path_exists(path)) {
        *out = address;
        return 0;
    }
    if (status == 0)
        status = ml_file_read(arena, path, MOST_BYTES, &text, &size, err);
    if (status == 0 && memchr(text, '\0', size))
        status = ml_fail(err, ML_ERR_FORMAT, "%s: not a text with addresses", path);
    for (int number = 1; status == 0 && text; number++) {
        char *line = text, *end = strchr(text, '\n');
        text = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        status = read_line(&address, line, number, path, err);
    }
    if (status == 0)
        status = check_mode(&address, path, err);
    if (status == 0)
        *out = address;
    return status;
}

static int write_text(const char *path, const char *text, size_t n, struct ml_error *err)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return fail_errno(path, "create it", err);
    int status = fchmod(file, 0600) != 0 || write(file, text, n) != (ssize_t)n || fsync(file) != 0
                     ? fail_errno(path, "write it", err)
                     : 0;
    close(file);
    return status;
}

int ml_address_write(const struct ml_address *address, const char *folder, struct ml_error *err)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    struct ml_buffer text = {0};
    int status = file_path(path, folder, "", err);
    if (status == 0)
        status = file_path(fresh, folder, ".new", err);
    if (status == 0 && address->database)
        status = ml_buffer_printf(&text, err, "%s\n", address->database);
    if (status == 0 && address->blobs)
        status = ml_buffer_printf(&text, err, "%s\n", address->blobs);
    if (status == 0) {
        status = write_text(fresh, text.data ? text.data : "", text.size, err);
        if (status == 0 && rename(fresh, path) != 0)
            status = fail_errno(path, "write it", err);
        if (status)
            unlink(fresh);
    }
    ml_buffer_clear(&text);
    return status;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool ml_address_equal(const struct ml_address *a, const struct ml_address *b)
{
    return same(a->database, b->database) && same(a->blobs, b->blobs);
}
