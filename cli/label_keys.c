/* What the keys do while labelling (label_view.h). */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "label_view.h"

static bool is_kind(const struct label_view *v, const char *kind)
{
    return strcmp(v->task->kind, kind) == 0;
}

static void note(struct label_view *v, const char *en, const char *zh)
{
    snprintf(v->note, sizeof v->note, "%s", v->cli->chinese ? zh : en);
}

/* ---- answers ---- */

/* Keeps the answer (taken over) and goes on. What the task does not take is said, not the end. */
static int keep(struct label_view *v, json_t *value, struct ml_error *err)
{
    struct ml_error refused = {0};
    char *text = NULL;
    if (!value)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for an answer");
    int status = ml_json_text(&text, value, JSON_COMPACT, err);
    json_decref(value);
    if (status)
        return status;
    status = ml_labelling_answer(v->session, text, ml_time() - v->shown_since, &refused);
    if (status == ML_ERR_ARG || status == ML_ERR_LIMIT) {
        snprintf(v->note, sizeof v->note, "%.250s", refused.message);
        status = 0;
    } else if (status == 0) {
        snprintf(v->note, sizeof v->note, v->cli->chinese ? "已保存：%.200s" : "kept: %.200s",
                 text);
        v->note[ml_utf8_ready(v->note, strlen(v->note))] = '\0';
        status = view_next(v, err);
    } else {
        status = ml_fail(err, status, "%s", refused.message);
    }
    ml_string_free(text);
    return status;
}

static int keep_multi(struct label_view *v, struct ml_error *err)
{
    json_t *list = json_array();
    for (int i = 0; list && i < v->task->label_count; i++)
        if (v->chosen[i] && json_array_append_new(list, json_string(v->task->labels[i].name))) {
            json_decref(list);
            list = NULL;
        }
    return keep(v, list, err);
}

static int keep_spans(struct label_view *v, struct ml_error *err)
{
    json_t *list = json_array();
    bool bad = false;
    for (int i = 0; i < v->span_count; i++) {
        json_t *span = json_object();
        bad = json_object_set_new(span, "start", json_integer(v->spans[i].first)) || bad;
        bad = json_object_set_new(span, "end", json_integer(v->spans[i].last)) || bad;
        bad = json_object_set_new(span, "label",
                                  json_string(v->task->labels[v->spans[i].label].name)) ||
              bad;
        bad = json_array_append_new(list, span) || bad;
    }
    if (bad) {
        json_decref(list);
        list = NULL;
    }
    return keep(v, list, err);
}

static int label_of_key(const struct label_view *v, int key)
{
    for (int i = 0; i < v->task->label_count; i++)
        if (v->task->labels[i].key && v->task->labels[i].key == key)
            return i;
    return -1;
}

static int key_choice(struct label_view *v, int key, struct ml_error *err)
{
    int label = label_of_key(v, key);
    for (int i = 0; key == KEY_ENTER && label < 0 && i < v->task->label_count; i++)
        if (v->chosen[i])
            label = i;
    return label >= 0 ? keep(v, json_string(v->task->labels[label].name), err) : 1;
}

static int key_multi(struct label_view *v, int key, struct ml_error *err)
{
    int label = label_of_key(v, key);
    if (key == KEY_ENTER)
        return keep_multi(v, err);
    if (label < 0)
        return 1;
    v->chosen[label] = !v->chosen[label];
    return 0;
}

static int key_rating(struct label_view *v, int key, struct ml_error *err)
{
    int rating = key >= '0' && key <= '9' ? key - '0' : -1;
    if (rating == 0 && v->task->high == 10)
        rating = 10;
    if (key == KEY_ENTER)
        rating = v->rating;
    return rating >= v->task->low && rating <= v->task->high ? keep(v, json_integer(rating), err)
                                                             : 1;
}

/* ---- spans ---- */

static void remove_span(struct label_view *v)
{
    const struct view_word *word = &v->words[v->cursor];
    for (int i = 0; i < v->span_count; i++)
        if (v->spans[i].first < word->last && word->first < v->spans[i].last) {
            memmove(&v->spans[i], &v->spans[i + 1],
                    (size_t)(v->span_count - i - 1) * sizeof v->spans[0]);
            v->span_count--;
            return;
        }
    note(v, "there is no span at the cursor", "光标处没有片段");
}

static void put_span(struct label_view *v, int label)
{
    size_t from = v->anchor == SIZE_MAX ? v->cursor : v->anchor;
    size_t low = from < v->cursor ? from : v->cursor, high = from < v->cursor ? v->cursor : from;
    v->anchor = SIZE_MAX;
    if (v->span_count == VIEW_MAX_SPANS) {
        note(v, "there is no room for more spans", "片段太多");
        return;
    }
    v->spans[v->span_count++] = (struct view_span){v->words[low].first, v->words[high].last, label};
}

/* The bytes of the line above or below the cursor's; false at the ends of the text. */
static bool find_line(const struct label_view *v, bool down, size_t *here, size_t *start,
                      size_t *end)
{
    const char *text = v->item.text;
    size_t n = v->item.text_bytes, cursor = v->words[v->cursor].start, above = SIZE_MAX, next;
    for (size_t at = 0; at < n; above = at, at += next) {
        page_wrap(text + at, n - at, v->page.columns, &next);
        if (cursor >= at + next)
            continue;
        *here = at;
        *start = down ? at + next : above;
        *end = at;
        if (down && *start < n) {
            page_wrap(text + *start, n - *start, v->page.columns, &next);
            *end = *start + next;
        }
        return down ? *start < n : above != SIZE_MAX;
    }
    return false;
}

/* To the word that is nearest on the line above or below; where that has none, to the next word in
 * this direction. */
static void move_line(struct label_view *v, bool down)
{
    const char *text = v->item.text;
    size_t here, start, end, best = SIZE_MAX, distance = SIZE_MAX;
    if (!find_line(v, down, &here, &start, &end))
        return;
    size_t column = ml_utf8_columns(text + here, v->words[v->cursor].start - here);
    for (size_t i = 0; i < v->word_count; i++) {
        size_t word = v->words[i].start;
        if (word < start || word >= end)
            continue;
        size_t there = ml_utf8_columns(text + start, word - start);
        size_t apart = there > column ? there - column : column - there;
        if (apart < distance) {
            distance = apart;
            best = i;
        }
    }
    if (best != SIZE_MAX)
        v->cursor = best;
    else if (down && v->cursor + 1 < v->word_count)
        v->cursor++;
    else if (!down && v->cursor > 0)
        v->cursor--;
}

static int key_span(struct label_view *v, int key, struct ml_error *err)
{
    int label = label_of_key(v, key);
    if (key == KEY_ENTER)
        return keep_spans(v, err);
    if (v->word_count == 0)
        return 1;
    if (key == KEY_LEFT)
        v->cursor -= v->cursor > 0;
    else if (key == KEY_RIGHT)
        v->cursor += v->cursor + 1 < v->word_count;
    else if (key == KEY_HOME)
        v->cursor = 0;
    else if (key == KEY_END)
        v->cursor = v->word_count - 1;
    else if (key == KEY_UP || key == KEY_DOWN)
        move_line(v, key == KEY_DOWN);
    else if (key == ' ')
        v->anchor = v->anchor == SIZE_MAX ? v->cursor : SIZE_MAX;
    else if (key == KEY_BACKSPACE || key == KEY_DELETE)
        remove_span(v);
    else if (label >= 0)
        put_span(v, label);
    else
        return 1;
    return 0;
}

/* ---- words that are typed ---- */

static int key_typing(struct label_view *v, int key, struct ml_error *err)
{
    char bytes[4];
    if (key == KEY_ENTER) {
        if (v->typed_bytes == 0) {
            note(v, "nothing was typed; Esc and s skip", "还没有输入；Esc 后按 s 跳过");
            return 0;
        }
        return keep(v, json_stringn(v->typed, v->typed_bytes), err);
    }
    if (key == KEY_ESCAPE) {
        v->typing = false;
    } else if (key == KEY_CONTROL_U) {
        v->typed_bytes = 0;
    } else if (key == KEY_BACKSPACE) {
        while (v->typed_bytes > 0 && (v->typed[--v->typed_bytes] & 0xc0) == 0x80)
            ;
    } else if (key >= ' ' && key < KEY_UP) {
        size_t n = ml_utf8_encode((uint32_t)key, bytes);
        if (v->typed_bytes + n > sizeof v->typed) {
            note(v, "the answer is as long as it may be", "答案已达最大长度");
            return 0;
        }
        memcpy(v->typed + v->typed_bytes, bytes, n);
        v->typed_bytes += n;
    }
    return 0;
}

/* ---- all of them ---- */

static int undo(struct label_view *v, struct ml_error *err)
{
    struct ml_error none = {0};
    int status = ml_labelling_undo(v->session, &none);
    if (status == ML_ERR_NOT_FOUND) {
        note(v, "there is nothing to take back", "没有可撤销的");
        return 0;
    }
    if (status)
        return ml_fail(err, status, "%s", none.message);
    note(v, "taken back; here it is again", "已撤销，请重新标注");
    return view_next(v, err);
}

static int skip(struct label_view *v, struct ml_error *err)
{
    int status = ml_labelling_skip(v->session, err);
    if (status)
        return status;
    note(v, "skipped", "已跳过");
    return view_next(v, err);
}

/* Keys that mean the same in every task; 1: not one of them. */
static int key_common(struct label_view *v, int key, struct ml_error *err)
{
    int page = v->terminal.rows > 12 ? v->terminal.rows - 10 : 3;
    switch (key) {
    case 'u':
        return undo(v, err);
    case 's':
        return skip(v, err);
    case 'q':
        v->done = true;
        return 0;
    case '?':
        v->help = true;
        return 0;
    case KEY_UP:
        v->scroll -= v->scroll > 0;
        return 0;
    case KEY_DOWN:
        v->scroll += v->scroll < v->scroll_end;
        return 0;
    case KEY_PAGE_UP:
        v->scroll = v->scroll > page ? v->scroll - page : 0;
        return 0;
    case KEY_PAGE_DOWN:
        v->scroll = v->scroll + page < v->scroll_end ? v->scroll + page : v->scroll_end;
        return 0;
    default:
        return 1;
    }
}

int view_key(struct label_view *v, int key, struct ml_error *err)
{
    int status;
    v->note[0] = '\0';
    if (v->help) {
        v->help = false;
        return 0;
    }
    if (v->typing)
        return key_typing(v, key, err);
    if (is_kind(v, "choice"))
        status = key_choice(v, key, err);
    else if (is_kind(v, "multi"))
        status = key_multi(v, key, err);
    else if (is_kind(v, "rating"))
        status = key_rating(v, key, err);
    else if (is_kind(v, "span"))
        status = key_span(v, key, err);
    else
        status = 1;
    if (status == 1 && is_kind(v, "text") && key == KEY_ENTER) {
        v->typing = true;
        return 0;
    }
    if (status == 1)
        status = key_common(v, key, err);
    if (status == 1)
        note(v, "this key has no meaning here; ? for help", "此键无效；按 ? 看帮助");
    return status == 1 ? 0 : status;
}
