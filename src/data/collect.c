#include "data/collect.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/collect_files.h"
#include "data/collect_impl.h"
#include "data/collect_sidecar.h"
#include "data/collect_special.h"
#include "data/collect_web.h"
#include "data/readers.h"

/* What the notes beside a media file say (data/collect_sidecar.h), as a JSON object; NULL: nothing.
 * They are looked for where the file lies, so that a picture named alone has its caption too. */
static int notes_beside(const char *path, char **out, struct ml_error *err)
{
    size_t n;
    const char *ending = ml_reader_ending(path, &n);
    int status = 0;
    ml_json_setup();
    json_t *meta = json_object();
    if (!meta)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading captions");
    for (size_t i = 0; ml_sidecar_endings[i] && status == 0; i++) {
        struct ml_buffer note = {0}, bytes = {0};
        enum ml_collect_reason skip = ML_SKIP_COUNT;
        char why[100];
        status = ml_buffer_printf(&note, err, "%.*s%s", (int)(ending - path), path,
                                  ml_sidecar_endings[i]);
        if (status == 0)
            status = ml_collect_load(&bytes, note.data, ML_SIDECAR_MAX_BYTES, &skip, why, err);
        if (status == 0 && skip == ML_SKIP_COUNT)
            status = ml_sidecar_add(meta, path, note.data, bytes.data, bytes.size, err);
        ml_buffer_clear(&note);
        ml_buffer_clear(&bytes);
    }
    if (status == 0 && json_object_size(meta) > 0)
        status = ml_json_text(out, meta, JSON_COMPACT, err);
    json_decref(meta);
    return status;
}

/* Whether this file is the note of a media file that is collected with it. In the order of paths
 * all files of one name lie together. */
static bool is_note(const struct ml_found_file *files, size_t found, size_t i)
{
    if (files[i].bytes > ML_SIDECAR_MAX_BYTES || !ml_sidecar_is_note(files[i].path))
        return false;
    size_t from = i, to = i + 1;
    while (from > 0 && ml_sidecar_belong(files[from - 1].path, files[i].path))
        from--;
    while (to < found && ml_sidecar_belong(files[to].path, files[i].path))
        to++;
    for (; from < to; from++)
        if (ml_sidecar_is_media(files[from].path))
            return true;
    return false;
}

static int add_file(struct ml_collector *c, const struct ml_found_file *file, struct ml_error *err)
{
    struct ml_buffer bytes = {0};
    enum ml_collect_reason skip = ML_SKIP_COUNT;
    char why[100] = "", *meta = NULL;
    uint64_t limit = c->options->max_file_bytes ? c->options->max_file_bytes : ML_COLLECT_MAX_FILE;
    ml_arena_reset(&c->scratch);
    char *source = ml_collect_source(&c->scratch, file->path);
    /* Not of the scratch arena, which every record empties. */
    char *uri = source ? ml_mem_strdup(source) : NULL;
    if (!uri)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting %s", file->path);
    int status = ml_collect_load(&bytes, file->path, limit, &skip, why, err);
    if (status == 0 && skip == ML_SKIP_COUNT && ml_sidecar_is_media(file->path))
        status = notes_beside(file->path, &meta, err);
    const struct ml_collect_item item = {
        .uri = uri, .bytes = bytes.data, .size = bytes.size, .meta = meta};
    if (status == 0 && skip != ML_SKIP_COUNT)
        ml_collect_skip(c->report, skip, uri, 0, *why ? why : NULL);
    else if (status == 0)
        status = ml_collect_item(c, &item, err);
    ml_buffer_clear(&bytes);
    ml_mem_free(meta);
    ml_mem_free(uri);
    return status;
}

/* ---- all of it ---- */

static int note_unreadable(void *arg, const char *path, int number, struct ml_error *err)
{
    char reason[100];
    ml_collect_skip(arg, ML_SKIP_UNREADABLE, path, 0, strerror_r(number, reason, sizeof reason));
    return 0;
}

static int add_files(struct ml_collector *c, const struct ml_found_file *files, size_t found,
                     struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < found; i++) {
        c->done = i;
        c->path = files[i].path;
        status = ml_collect_tell(c, err);
        if (status == 0 && !is_note(files, found, i))
            status = add_file(c, &files[i], err);
    }
    c->done = found;
    return status;
}

/* The paths apart: files and folders, and sources of other kinds as they are spelt. */
struct asked {
    const char **paths, **special;
    size_t path_count, special_count;
};

static int sort_out(struct asked *asked, struct ml_arena *arena, const char *const *paths,
                    size_t count, struct ml_error *err)
{
    int status = 0;
    asked->paths = ml_arena_calloc(arena, count + 1, sizeof *asked->paths);
    asked->special = ml_arena_calloc(arena, count + 1, sizeof *asked->special);
    if (!asked->paths || !asked->special)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory listing %zu paths", count);
    for (size_t i = 0; i < count && status == 0; i++) {
        char *source;
        if (!ml_special_is(paths[i])) {
            asked->paths[asked->path_count++] = paths[i];
            continue;
        }
        status = ml_special_source(arena, paths[i], &source, err);
        if (status == 0)
            asked->special[asked->special_count++] = source;
    }
    return status;
}

static int add_special(struct ml_collector *c, const struct asked *asked, struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; i < asked->special_count && status == 0; i++) {
        c->path = asked->special[i];
        status = ml_collect_tell(c, err);
        if (status == 0)
            status = ml_special_collect(c, asked->special[i], err);
        c->done++;
    }
    return status;
}

int ml_collect(struct ml_workspace *ws, const char *const *paths, size_t count,
               const struct ml_collect_options *options, struct ml_collect_report *report,
               struct ml_error *err)
{
    static const struct ml_collect_options defaults;
    struct asked asked = {0};
    struct ml_collector c;
    struct ml_found_file *files = NULL;
    struct ml_arena arena;
    size_t found = 0;
    *report = (struct ml_collect_report){0};
    ml_arena_init(&arena, 0);
    int status = sort_out(&asked, &arena, paths, count, err);
    if (status == 0)
        status = ml_collect_find(&arena, asked.paths, asked.path_count, note_unreadable, report,
                                 &files, &found, err);
    report->files = found + asked.special_count;
    ml_collector_open(&c, ws, options ? options : &defaults, report);
    c.total = report->files;
    if (status == 0)
        status = add_files(&c, files, found, err);
    if (status == 0)
        status = add_special(&c, &asked, err);
    status = ml_collector_close(&c, status, err);
    if (status == 0 && report->added + report->present + report->repeated == 0)
        status = ml_collect_nothing_of(report, paths, count, err);
    else if (status == 0)
        status = ml_collect_tell(&c, err);
    ml_arena_clear(&arena);
    return status;
}

char *ml_collect_source(struct ml_arena *arena, const char *path)
{
    size_t n = strlen(path), at = 0;
    if (ml_utf8_valid(path, n))
        return ml_arena_strdup(arena, path);
    char *out = ml_arena_alloc(arena, 3 * n + 1);
    for (size_t i = 0; out && i < n;) {
        uint32_t c;
        size_t length = ml_utf8_decode(path + i, n - i, &c);
        if (length)
            memcpy(out + at, path + i, length);
        else
            snprintf(out + at, 4, "%%%02X", (unsigned)(unsigned char)path[i]);
        at += length ? length : 3;
        i += length ? length : 1;
    }
    if (out)
        out[at] = '\0';
    return out;
}

/* What lies under one path: the file or folder, and the members of a file that is an archive. At
 * most two filters are added. */
static int filter_for(struct ml_arena *arena, const char *path, struct ml_record_filter *filters,
                      size_t *count, struct ml_error *err)
{
    char absolute[PATH_MAX], *source, *members;
    if (ml_special_is(path)) {
        int status = ml_special_source(arena, path, &source, err);
        if (status == 0)
            filters[(*count)++].under = source;
        return status;
    }
    bool web = ml_collect_is_url(path);
    if (!web && !realpath(path, absolute))
        return ml_fail(err, ML_ERR_NOT_FOUND, "%s: there is no such file or folder", path);
    source = web ? ml_arena_strdup(arena, path) : ml_collect_source(arena, absolute);
    members = source ? ml_arena_printf(arena, "%s!", source) : NULL;
    if (!members)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory naming %s", path);
    filters[(*count)++].under = source;
    if (web || !ml_path_is_dir(absolute))
        filters[(*count)++].under = members;
    return 0;
}

int ml_collect_dataset(struct ml_workspace *ws, const char *name, const char *const *paths,
                       size_t count, struct ml_dataset *out, bool *made, struct ml_error *err)
{
    struct ml_arena arena;
    size_t used = 0;
    ml_arena_init(&arena, 0);
    struct ml_record_filter *filters = ml_arena_calloc(&arena, 2 * count + 1, sizeof *filters);
    int status = filters ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory making dataset %s", name);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = filter_for(&arena, paths[i], filters, &used, err);
    const struct ml_dataset_spec spec = {
        .name = name, .filters = filters, .filter_count = used, .extend = true};
    if (status == 0)
        status = ml_datasets_create(ws, &spec, out, made, err);
    ml_arena_clear(&arena);
    return status;
}
