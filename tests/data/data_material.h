/* A folder with some of everything, and a workspace beside it. */
#ifndef ML_TESTS_MATERIAL_H
#define ML_TESTS_MATERIAL_H

#include "scratch.h"

#include "data/collect.h"

struct material {
    char root[SCRATCH_PATH], folder[SCRATCH_PATH + 16], workspace[SCRATCH_PATH + 16];
};

static inline void material_put(const struct material *m, const char *name, const char *bytes,
                                size_t n)
{
    struct ml_error err = {0};
    char path[SCRATCH_PATH + 256];
    snprintf(path, sizeof path, "%s/%s", m->folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_ok(ml_dir_make(path, &err), err);
    *slash = '/';
    assert_ok(ml_file_write(path, bytes, n, &err), err);
}

static inline void material_text(const struct material *m, const char *name, const char *text)
{
    material_put(m, name, text, strlen(text));
}

static inline void material_make(struct material *m)
{
    struct ml_error err = {0};
    scratch_make(m->root);
    snprintf(m->folder, sizeof m->folder, "%s/材料", m->root);
    snprintf(m->workspace, sizeof m->workspace, "%s/ws", m->root);
    assert_ok(ml_dir_make(m->folder, &err), err);
}

static inline struct ml_workspace *material_workspace(const struct material *m)
{
    struct ml_workspace *ws = NULL;
    struct ml_error err = {0};
    /* One that is there says itself where its rows are. */
    const struct ml_workspace_options fresh = scratch_options(), old = {.create = true};
    assert_ok(ml_workspace_open(&ws, m->workspace,
                                ml_workspace_is_one(m->workspace) ? &old : &fresh, &err),
              err);
    return ws;
}

/* `count` JSON lines that differ by their number and by `what`. */
static inline void material_lines(const struct material *m, const char *name, int count,
                                  const char *what)
{
    struct ml_buffer text = {0};
    struct ml_error err = {0};
    for (int i = 0; i < count; i++)
        assert_ok(ml_buffer_printf(&text, &err, "{\"title\": \"%d\", \"text\": \"%s 第%d首\"}\n", i,
                                   what, i),
                  err);
    material_put(m, name, text.data, text.size);
    ml_buffer_clear(&text);
}

static inline int64_t material_count(struct ml_workspace *ws)
{
    struct ml_error err = {0};
    int64_t n = -1;
    assert_ok(ml_records_count(ws, NULL, &n, NULL, &err), err);
    return n;
}

/* Reads every record and blob back; returns how many records there are. */
static inline int64_t material_verify(struct ml_workspace *ws)
{
    struct ml_error err = {0};
    struct ml_record_cursor *cursor;
    struct ml_record record;
    struct ml_blob_view view = {0};
    const char *bytes;
    size_t n;
    int64_t count = 0;
    int got;
    assert_ok(ml_records_open(&cursor, ws, &(struct ml_record_filter){.with_replaced = true}, &err),
              err);
    while ((got = ml_records_next(cursor, &record, &err)) == 1) {
        assert_ok(ml_records_read(ws, &record, &view, &bytes, &n, &err), err);
        count++;
    }
    assert_int_equal(got, 0);
    ml_records_close(cursor);
    ml_blob_view_clear(&view);
    return count;
}

#endif
