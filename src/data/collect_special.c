#include "data/collect_special.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "data/emoji.h"
#include "data/readers.h"
#include "data/table_postgres.h"
#include "data/table_sqlite.h"

#define EMOJI "emoji:"

static bool is_emoji(const char *path)
{
    return strncmp(path, EMOJI, strlen(EMOJI)) == 0;
}

bool ml_special_is(const char *path)
{
    const char *file, *table, *query;
    size_t n;
    return is_emoji(path) || ml_table_postgres_is(path) ||
           ml_table_sqlite_parse(path, &file, &n, &table, &query);
}

/* `scheme`, the absolute path of the n bytes at file, and what follows them. */
static int spell(struct ml_arena *arena, const char *scheme, const char *file, size_t n, char **out,
                 struct ml_error *err)
{
    char absolute[PATH_MAX];
    char *path = ml_arena_strndup(arena, file, n), *source = NULL;
    if (path && !realpath(path, absolute))
        return ml_fail(err, ML_ERR_NOT_FOUND, "%s%s: there is no such file", scheme, path);
    if (path && (source = ml_collect_source(arena, absolute)))
        *out = ml_arena_printf(arena, "%s%s%s", scheme, source, file + n);
    return path && source && *out ? 0
                                  : ml_fail(err, ML_ERR_MEMORY, "out of memory naming a source");
}

int ml_special_source(struct ml_arena *arena, const char *path, char **out, struct ml_error *err)
{
    const char *file, *table, *query;
    size_t n;
    *out = NULL;
    if (is_emoji(path)) {
        file = path + strlen(EMOJI);
        if (*file)
            return spell(arena, EMOJI, file, strlen(file), out, err);
        if (!ml_path_exists(ML_EMOJI_FONT))
            return ml_fail(err, ML_ERR_UNSUPPORTED,
                           "emoji: there is no font with them; install the package "
                           "fonts-noto-color-emoji, or name one: emoji:FONT");
        return spell(arena, EMOJI, ML_EMOJI_FONT, strlen(ML_EMOJI_FONT), out, err);
    }
    if (ml_table_postgres_is(path)) {
        int status = ml_table_postgres_check(path, err);
        if (status == 0 && !(*out = ml_arena_strdup(arena, path)))
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory naming a source");
        return status;
    }
    ml_table_sqlite_parse(path, &file, &n, &table, &query);
    return spell(arena, "sqlite:", file, n, out, err);
}

static int collect_emoji(struct ml_collector *c, const char *source, struct ml_error *err)
{
    struct ml_buffer font = {0};
    enum ml_collect_reason skip = ML_SKIP_COUNT;
    char why[100];
    const struct ml_collect_options *o = c->options;
    uint64_t limit = o->max_file_bytes ? o->max_file_bytes : ML_COLLECT_MAX_FILE;
    int status = ml_collect_load(&font, source + strlen(EMOJI), limit, &skip, why, err);
    const struct ml_collect_item item = {.uri = source,
                                         .bytes = font.data,
                                         .size = font.size,
                                         .consent = o->consent,
                                         /* Noto's; another font's must be stated */
                                         .licence = o->licence                         ? o->licence
                                                    : strstr(source, "NotoColorEmoji") ? "OFL-1.1"
                                                                                       : NULL};
    if (status == 0 && skip != ML_SKIP_COUNT)
        ml_collect_skip(c->report, skip, source, 0, *why ? why : NULL);
    else if (status == 0)
        status = ml_collect_documents(c, &item, &ml_reader_emoji, err);
    ml_buffer_clear(&font);
    return status;
}

int ml_special_collect(struct ml_collector *c, const char *source, struct ml_error *err)
{
    if (is_emoji(source))
        return collect_emoji(c, source, err);
    const struct ml_collect_item item = {
        .uri = source, .consent = c->options->consent, .licence = c->options->licence};
    return ml_collect_documents(
        c, &item, ml_table_postgres_is(source) ? &ml_reader_postgres : &ml_reader_sqlite, err);
}
