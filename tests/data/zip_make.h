/* Archives made in memory, for tests. */
#ifndef ML_TESTS_ZIP_MAKE_H
#define ML_TESTS_ZIP_MAKE_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

#include "scratch.h"

struct made_archive {
    struct archive *archive;
    char *bytes;
    size_t size, room;
};

/* form: archive_write_set_format_zip and its kin; filter and password (ZIP only) may be NULL.
 * False: this libarchive cannot encrypt. */
static inline bool made_begin_locked(struct made_archive *m, int (*form)(struct archive *),
                                     int (*filter)(struct archive *), const char *password)
{
    m->room = 8 << 20;
    m->size = 0;
    m->bytes = malloc(m->room);
    assert_non_null(m->bytes);
    m->archive = archive_write_new();
    assert_non_null(m->archive);
    assert_int_equal(form(m->archive), ARCHIVE_OK);
    if (filter)
        assert_int_equal(filter(m->archive), ARCHIVE_OK);
    if (password && (archive_write_set_options(m->archive, "zip:encryption=aes256") != ARCHIVE_OK ||
                     archive_write_set_passphrase(m->archive, password) != ARCHIVE_OK))
        return false;
    assert_int_equal(archive_write_open_memory(m->archive, m->bytes, m->room, &m->size),
                     ARCHIVE_OK);
    return true;
}

static inline void made_begin(struct made_archive *m, int (*form)(struct archive *),
                              int (*filter)(struct archive *))
{
    made_begin_locked(m, form, filter, NULL);
}

static inline void made_put_bytes(struct made_archive *m, const char *name, const void *bytes,
                                  size_t n)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)n);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    assert_true(archive_write_header(m->archive, entry) >= ARCHIVE_WARN);
    assert_int_equal(archive_write_data(m->archive, bytes, n), (la_ssize_t)n);
    archive_entry_free(entry);
}

static inline void made_put(struct made_archive *m, const char *name, const char *text)
{
    made_put_bytes(m, name, text, strlen(text));
}

/* A member that is no file: type AE_IFLNK (to `target`), AE_IFIFO, AE_IFDIR ...; 0: a hard link. */
static inline void made_put_other(struct made_archive *m, const char *name, unsigned type,
                                  const char *target)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type ? type : AE_IFREG);
    archive_entry_set_perm(entry, 0755);
    if (type == AE_IFLNK)
        archive_entry_set_symlink(entry, target);
    else if (type == 0)
        archive_entry_set_hardlink(entry, target);
    assert_true(archive_write_header(m->archive, entry) >= ARCHIVE_WARN);
    archive_entry_free(entry);
}

static inline void made_end(struct made_archive *m)
{
    assert_int_equal(archive_write_close(m->archive), ARCHIVE_OK);
    archive_write_free(m->archive);
    m->archive = NULL;
}

static inline void made_free(struct made_archive *m)
{
    free(m->bytes);
    *m = (struct made_archive){0};
}

#endif
