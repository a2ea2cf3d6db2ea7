#include "data/table_rows.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"

static int rank_among(const char *name, size_t n, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (strlen(names[i]) == n && strncasecmp(name, names[i], n) == 0)
            return i;
    return -1;
}

enum ml_column_role ml_column_role(const char *name, size_t n, int *rank)
{
    static const char *const texts[] = {
        "text",    "正文",       "文本",        "content", "内容",   "內容",     "contents",
        "body",    "article",    "文章",        "全文",    "原文",   "document", "passage",
        "story",   "paragraphs", "description", "描述",    "review", "评论",     "評論",
        "comment", "sentence",   "句子",        "summary", "摘要",   "abstract", NULL};
    static const char *const titles[] = {"title", "标题", "標題",    "headline", "题目", "題目",
                                         "题名",  "題名", "heading", "subject",  NULL};
    *rank = rank_among(name, n, texts);
    if (*rank >= 0)
        return ML_COLUMN_TEXT;
    *rank = rank_among(name, n, titles);
    return *rank >= 0 ? ML_COLUMN_TITLE : ML_COLUMN_OTHER;
}

/* A string, or a list of nothing but strings. */
static bool is_text(const json_t *value)
{
    if (json_is_string(value))
        return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return false;
    return json_array_size(value) > 0;
}

struct ml_row_keys ml_row_keys(const json_t *row)
{
    struct ml_row_keys keys = {0};
    int best[3] = {0};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)row, name, value)
    {
        int rank;
        enum ml_column_role role = ml_column_role(name, strlen(name), &rank);
        const char **key = role == ML_COLUMN_TEXT    ? &keys.text
                           : role == ML_COLUMN_TITLE ? &keys.title
                                                     : NULL;
        if (key && is_text(value) && (!*key || rank < best[role])) {
            *key = name;
            best[role] = rank;
        }
    }
    if (!keys.text) {
        keys.text = keys.title;
        keys.title = NULL;
    }
    return keys;
}

int ml_row_keys_of(struct ml_row_keys *keys, const char *const *names, int count,
                   struct ml_error *err)
{
    struct ml_row_keys found = {0};
    json_t *row = json_object();
    bool full = !row;
    for (int i = 0; i < count && !full; i++)
        full = json_object_set_new(row, names[i], json_string("")) != 0;
    const struct ml_row_keys own = full ? found : ml_row_keys(row);
    for (int i = 0; i < count; i++) {
        if (own.text && strcmp(own.text, names[i]) == 0)
            found.text = names[i];
        if (own.title && strcmp(own.title, names[i]) == 0)
            found.title = names[i];
    }
    json_decref(row);
    if (full)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a table");
    *keys = found;
    return 0;
}

/* ---- the text ---- */

/* With \n at line ends. */
static int put_lines(struct ml_buffer *out, const char *text, size_t n, struct ml_error *err)
{
    size_t kept = out->size;
    int status = n ? ml_buffer_put(out, text, n, err) : 0;
    for (size_t i = 0; status == 0 && i < n; i++)
        if (text[i] != '\r')
            out->data[kept++] = text[i];
        else if (i + 1 == n || text[i + 1] != '\n')
            out->data[kept++] = '\n';
    if (status == 0 && n) {
        out->size = kept;
        out->data[kept] = '\0';
    }
    return status;
}

static int put_text(struct ml_buffer *out, const json_t *value, struct ml_error *err)
{
    if (json_is_string(value))
        return put_lines(out, json_string_value(value), json_string_length(value), err);
    int status = 0;
    for (size_t i = 0; status == 0 && i < json_array_size(value); i++) {
        const json_t *part = json_array_get(value, i);
        if (i > 0)
            status = ml_buffer_put(out, "\n", 1, err);
        if (status == 0 && json_is_string(part))
            status = put_lines(out, json_string_value(part), json_string_length(part), err);
    }
    return status;
}

static int put_all(struct ml_buffer *out, json_t *row, struct ml_error *err)
{
    const char *name;
    json_t *value;
    int status = 0;
    json_object_foreach(row, name, value)
    {
        char *plain = NULL;
        bool text = json_is_string(value);
        bool shown =
            text ? json_string_length(value) > 0 : json_is_number(value) || json_is_boolean(value);
        if (status || !shown)
            continue;
        status = ml_buffer_printf(out, err, "%s%s: ", out->size ? "\n" : "", name);
        if (status == 0 && !text)
            status = ml_json_text(&plain, value, JSON_REAL_PRECISION(15), err);
        if (status == 0)
            status =
                text ? put_text(out, value, err) : ml_buffer_put(out, plain, strlen(plain), err);
        ml_mem_free(plain);
    }
    return status;
}

static bool is_blank(const struct ml_buffer *text)
{
    for (size_t i = 0; i < text->size; i++)
        if (!strchr(" \t\n\f\v", text->data[i]))
            return false;
    return true;
}

/* ---- the row ---- */

static void drop_nulls(json_t *row)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(row, next, name, value) if (json_is_null(value))
        json_object_del(row, name);
}

static int give(json_t *row, const struct ml_buffer *text, const char *title,
                const struct ml_reader_sink *sink, struct ml_error *err)
{
    char *meta = NULL;
    struct ml_document document = {.kind = "text",
                                   .type = "text/plain",
                                   .bytes = text->data,
                                   .size = text->size,
                                   .title = title};
    int status = 0;
    if (json_object_size(row) > 0)
        status = ml_json_text(&meta, row, JSON_COMPACT | JSON_REAL_PRECISION(15), err);
    document.meta = meta;
    if (status == 0)
        status = sink->document(sink->arg, &document, err);
    ml_mem_free(meta);
    return status;
}

int ml_row_document(json_t *row, const struct ml_row_keys *keys, const char *what,
                    const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_buffer text = {0}, title = {0};
    int status = keys->text ? put_text(&text, json_object_get(row, keys->text), err)
                            : put_all(&text, row, err);
    if (status == 0 && keys->title)
        status = put_text(&title, json_object_get(row, keys->title), err);
    for (size_t i = 0; i < title.size; i++) /* a title is one line */
        if (title.data[i] == '\n')
            title.data[i] = ' ';
    if (status == 0 && is_blank(&text)) {
        sink->left_out(sink->arg, what, "its text is empty");
    } else if (status == 0) {
        if (keys->text)
            json_object_del(row, keys->text);
        if (keys->title)
            json_object_del(row, keys->title);
        drop_nulls(row);
        status = give(row, &text, title.size ? title.data : NULL, sink, err);
    }
    ml_buffer_clear(&text);
    ml_buffer_clear(&title);
    return status;
}

int ml_row_give(const struct ml_columns *columns, ml_cell_fn *cell, void *arg, int64_t number,
                const struct ml_reader_sink *sink, struct ml_error *err)
{
    char what[40];
    const char *why = NULL;
    json_t *row = json_object();
    bool full = row == NULL;
    int status = 0;
    for (int i = 0; i < columns->count && !full && !why; i++) {
        json_t *value = cell(arg, i, &why);
        if (!why)
            full = json_object_set_new(row, columns->names[i], value) != 0;
    }
    snprintf(what, sizeof what, "row %lld", (long long)number);
    if (full)
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory reading a table");
    else if (why)
        sink->left_out(sink->arg, what, why);
    else
        status = ml_row_document(row, &columns->keys, what, sink, err);
    json_decref(row);
    return status;
}
