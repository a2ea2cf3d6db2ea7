#include "label_view.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/utf8.h"

/* A text in each language; a format in each and what both are filled with. */
#define TELL(view, style, en, zh)                                                                  \
    page_say(&(view)->page, style, "%s", (view)->cli->chinese ? (zh) : (en))
#define SAY(view, style, en, zh, ...)                                                              \
    page_say(&(view)->page, style, (view)->cli->chinese ? (zh) : (en), __VA_ARGS__)

static bool is_kind(const struct label_view *v, const char *kind)
{
    return strcmp(v->task->kind, kind) == 0;
}

void view_clear(struct label_view *v)
{
    ml_buffer_clear(&v->page.out);
    ml_mem_free(v->words);
    v->words = NULL;
    v->word_count = v->word_capacity = 0;
}

/* ---- words ---- */

enum word_class { CLASS_BLANK, CLASS_ALONE, CLASS_LETTER };

static enum word_class class_of(uint32_t c)
{
    if (c <= ' ' || c == 0x3000 || c == 0xa0)
        return CLASS_BLANK;
    bool letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' ||
                  (c >= 0xc0 && c < 0x2000);
    return letter ? CLASS_LETTER : CLASS_ALONE;
}

static int put_word(struct label_view *v, const struct view_word *word, struct ml_error *err)
{
    if (v->word_count == v->word_capacity) {
        size_t capacity = v->word_capacity ? v->word_capacity * 2 : 256;
        struct view_word *grown = ml_mem_realloc(v->words, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory showing a text");
        v->words = grown;
        v->word_capacity = capacity;
    }
    v->words[v->word_count++] = *word;
    return 0;
}

static int find_words(struct label_view *v, struct ml_error *err)
{
    const char *text = v->item.text;
    size_t n = v->item.text_bytes;
    struct view_word word = {0};
    enum word_class before = CLASS_BLANK;
    int64_t at = 0;
    int status = 0;
    v->word_count = 0;
    for (size_t i = 0; status == 0 && i < n; at++) {
        uint32_t c = 0;
        size_t bytes = ml_utf8_decode(text + i, n - i, &c);
        enum word_class class = class_of(c);
        bool goes_on = class == CLASS_LETTER && before == CLASS_LETTER;
        if (goes_on) {
            v->words[v->word_count - 1].end = i + bytes;
            v->words[v->word_count - 1].last = at + 1;
        } else if (class != CLASS_BLANK) {
            word = (struct view_word){i, i + bytes, at, at + 1};
            status = put_word(v, &word, err);
        }
        before = class;
        i += bytes ? bytes : 1;
    }
    return status;
}

/* ---- the next record ---- */

static int label_number(const struct label_view *v, const char *name)
{
    for (int i = 0; name && i < v->task->label_count; i++)
        if (strcmp(v->task->labels[i].name, name) == 0)
            return i;
    return -1;
}

static void choose(struct label_view *v, const json_t *name)
{
    int label = label_number(v, json_string_value(name));
    if (label >= 0 && label < VIEW_MAX_LABELS)
        v->chosen[label] = true;
}

static void take_spans(struct label_view *v, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list) && v->span_count < VIEW_MAX_SPANS; i++) {
        const json_t *span = json_array_get(list, i);
        int label = label_number(v, json_string_value(json_object_get(span, "label")));
        if (label >= 0)
            v->spans[v->span_count++] =
                (struct view_span){json_integer_value(json_object_get(span, "start")),
                                   json_integer_value(json_object_get(span, "end")), label};
    }
}

/* The proposal becomes the beginning of the answer. */
static int take_proposal(struct label_view *v, struct ml_error *err)
{
    json_t *value = NULL;
    size_t i;
    memset(v->chosen, 0, sizeof v->chosen);
    v->rating = -1;
    v->typed_bytes = 0;
    v->span_count = 0;
    if (!v->item.proposal)
        return 0;
    int status =
        ml_json_parse(&value, v->item.proposal, strlen(v->item.proposal), "the proposal", err);
    if (status)
        return status;
    if (is_kind(v, "choice"))
        choose(v, value);
    for (i = 0; is_kind(v, "multi") && i < json_array_size(value); i++)
        choose(v, json_array_get(value, i));
    if (is_kind(v, "rating"))
        v->rating = (int)json_integer_value(value);
    if (is_kind(v, "span"))
        take_spans(v, value);
    if (is_kind(v, "text") && json_string_length(value) < VIEW_MAX_TYPED) {
        v->typed_bytes = json_string_length(value);
        memcpy(v->typed, json_string_value(value), v->typed_bytes);
    }
    json_decref(value);
    return 0;
}

int view_next(struct label_view *v, struct ml_error *err)
{
    int got = ml_labelling_next(v->session, &v->item, err);
    v->done = got == 0;
    if (got <= 0)
        return got;
    v->scroll = 0;
    v->cursor = 0;
    v->anchor = SIZE_MAX;
    v->typing = is_kind(v, "text");
    v->shown_since = ml_time();
    int status = take_proposal(v, err);
    if (status == 0 && is_kind(v, "span"))
        status = v->item.text ? find_words(v, err) : (v->word_count = 0, 0);
    return status;
}

/* ---- drawing ---- */

static void draw_head(struct label_view *v)
{
    struct ml_labelling_counts c;
    ml_labelling_count(v->session, &c);
    SAY(v, PAGE_BOLD, "%s", "%s", v->queue);
    SAY(v, PAGE_PLAIN, "  %lld of %lld done", "  完成 %lld/%lld", (long long)c.done,
        (long long)c.records);
    SAY(v, PAGE_DIM, "  %s: %lld labelled, %lld skipped, %lld left",
        "  %s：已标 %lld，跳过 %lld，剩 %lld", v->annotator, (long long)c.mine,
        (long long)c.skipped, (long long)c.left);
    page_end_line(&v->page);
    page_rule(&v->page);
}

static int span_at(const struct label_view *v, int64_t character)
{
    for (int i = 0; i < v->span_count; i++)
        if (v->spans[i].first <= character && character < v->spans[i].last)
            return i;
    return -1;
}

/* The cursor's word is shown before what is being chosen, and that before what has a label. */
static enum page_style style_at(const struct label_view *v, size_t byte, int64_t character)
{
    if (!is_kind(v, "span") || v->word_count == 0)
        return PAGE_PLAIN;
    const struct view_word *cursor = &v->words[v->cursor];
    if (byte >= cursor->start && byte < cursor->end)
        return PAGE_REVERSE;
    if (v->anchor != SIZE_MAX) {
        const struct view_word *anchor = &v->words[v->anchor];
        size_t low = anchor->start < cursor->start ? anchor->start : cursor->start;
        size_t high = anchor->end > cursor->end ? anchor->end : cursor->end;
        if (byte >= low && byte < high)
            return PAGE_UNDERLINE;
    }
    int span = span_at(v, character);
    return span >= 0 ? (enum page_style)(PAGE_COLOURS + v->spans[span].label) : PAGE_PLAIN;
}

/* One line of the text, style by style; `character` is the number of its first. */
static void draw_line(struct label_view *v, size_t start, size_t end, int64_t character)
{
    const char *text = v->item.text;
    for (size_t at = start; at < end; character++) {
        uint32_t c;
        size_t bytes = ml_utf8_decode(text + at, end - at, &c);
        bytes = bytes ? bytes : 1;
        page_put(&v->page, style_at(v, at, character), text + at, bytes);
        at += bytes;
    }
    page_end_line(&v->page);
}

/* The lines of the text from v->scroll on, `rows` of them; the cursor of spans stays in sight. */
static void draw_text(struct label_view *v, int rows)
{
    const char *text = v->item.text;
    size_t n = v->item.text_bytes, at = 0, wanted = SIZE_MAX;
    int line = 0, cursor_line = 0, columns = v->page.columns;
    if (is_kind(v, "span") && v->word_count)
        wanted = v->words[v->cursor].start;
    for (; at < n; line++) {
        size_t next;
        page_wrap(text + at, n - at, columns, &next);
        if (wanted >= at && wanted < at + next)
            cursor_line = line;
        at += next;
    }
    v->scroll_end = line > rows ? line - rows : 0;
    if (wanted != SIZE_MAX && cursor_line < v->scroll)
        v->scroll = cursor_line;
    if (wanted != SIZE_MAX && cursor_line >= v->scroll + rows)
        v->scroll = cursor_line - rows + 1;
    v->scroll = v->scroll > v->scroll_end ? v->scroll_end : v->scroll;
    int64_t character = 0;
    int drawn = 0;
    at = 0;
    for (line = 0; at < n && drawn < rows; line++) {
        size_t next, end = page_wrap(text + at, n - at, columns, &next);
        if (line >= v->scroll) {
            draw_line(v, at, at + end, character);
            drawn++;
        }
        character += (int64_t)ml_utf8_count(text + at, next);
        at += next;
    }
    for (; drawn < rows; drawn++)
        page_end_line(&v->page);
}

/* What the record is, then its text. */
static void draw_body(struct label_view *v, int rows)
{
    int before = v->page.lines;
    if (v->item.title[0]) {
        SAY(v, PAGE_BOLD, "%s", "%s", v->item.title);
        page_end_line(&v->page);
    }
    if (v->item.file) {
        SAY(v, PAGE_PLAIN, "%s (%s), to be opened in a viewer:", "%s（%s），请用查看器打开：",
            v->item.kind, v->item.type);
        page_end_line(&v->page);
        page_paragraph(&v->page, PAGE_PLAIN, v->item.file, strlen(v->item.file), 3);
    }
    SAY(v, PAGE_DIM, "%s", "%s", v->item.source);
    page_end_line(&v->page);
    page_end_line(&v->page);
    rows -= v->page.lines - before;
    if (!v->item.text) {
        v->scroll_end = 0;
        if (!v->item.file)
            TELL(v, PAGE_DIM, "(no text)", "（没有文本）");
        for (int i = 0; i < rows; i++)
            page_end_line(&v->page);
    } else {
        draw_text(v, rows);
    }
}

/* "[g] glad", on the line at hand or the next. */
static void draw_choice(struct label_view *v, char key, const char *name, bool on, int label)
{
    char text[256];
    int n = key ? snprintf(text, sizeof text, "[%c] %s", key, name)
                : snprintf(text, sizeof text, "%s", name);
    int columns = (int)ml_utf8_columns(text, (size_t)n);
    if (v->page.used > 0 && v->page.used + columns + 3 > v->page.columns)
        page_end_line(&v->page);
    bool colour = is_kind(v, "span");
    page_put(&v->page, on ? PAGE_BOLD : PAGE_PLAIN, on ? "*" : " ", 1);
    page_put(&v->page,
             on       ? PAGE_BOLD
             : colour ? (enum page_style)(PAGE_COLOURS + label)
                      : PAGE_PLAIN,
             text, (size_t)n);
    page_put(&v->page, PAGE_PLAIN, "  ", 2);
}

static size_t byte_of(const char *text, size_t n, int64_t character)
{
    size_t at = 0;
    for (uint32_t c; at < n && character > 0; character--) {
        size_t bytes = ml_utf8_decode(text + at, n - at, &c);
        at += bytes ? bytes : 1;
    }
    return at;
}

/* "The fox PER, river LOC": what is marked so far. */
static void draw_marked(struct label_view *v)
{
    for (int i = 0; i < v->span_count; i++) {
        const struct view_span *span = &v->spans[i];
        size_t start = byte_of(v->item.text, v->item.text_bytes, span->first);
        size_t end = byte_of(v->item.text, v->item.text_bytes, span->last);
        page_put(&v->page, PAGE_PLAIN, i ? ", " : " ", i ? 2 : 1);
        page_put(&v->page, PAGE_PLAIN, v->item.text + start, end - start);
        page_say(&v->page, PAGE_DIM, " %s", v->task->labels[span->label].name);
    }
    page_end_line(&v->page);
}

static void draw_answers(struct label_view *v)
{
    if (is_kind(v, "rating")) {
        for (int i = v->task->low; i <= v->task->high; i++) {
            char name[4] = "";
            snprintf(name, sizeof name, "%d", i);
            draw_choice(v, i == 10 ? '0' : 0, name, i == v->rating, 0);
        }
        page_end_line(&v->page);
    } else if (is_kind(v, "text")) {
        TELL(v, PAGE_BOLD, "> ", "> ");
        size_t shown = 0; /* the end of a long answer is what is being typed */
        while (ml_utf8_columns(v->typed + shown, v->typed_bytes - shown) + 4 >
               (size_t)v->page.columns)
            shown += ml_utf8_decode(v->typed + shown, v->typed_bytes - shown, &(uint32_t){0});
        page_put(&v->page, PAGE_PLAIN, v->typed + shown, v->typed_bytes - shown);
        if (v->typing)
            page_put(&v->page, PAGE_REVERSE, " ", 1);
        page_end_line(&v->page);
    } else {
        for (int i = 0; i < v->task->label_count; i++)
            draw_choice(v, v->task->labels[i].key, v->task->labels[i].name, v->chosen[i], i);
        page_end_line(&v->page);
        if (is_kind(v, "span"))
            draw_marked(v);
    }
    if (v->item.proposal && v->item.model[0]) {
        SAY(v, PAGE_DIM, "proposed by %s", "%s 的建议", v->item.model);
        if (isfinite(v->item.confidence))
            SAY(v, PAGE_DIM, ", %.0f%% sure", "，把握 %.0f%%", v->item.confidence * 100);
        page_end_line(&v->page);
    }
}

static void draw_keys(struct label_view *v)
{
    if (v->note[0])
        SAY(v, PAGE_PLAIN, "%s   ", "%s  ", v->note);
    if (v->typing) {
        TELL(v, PAGE_DIM, "Enter keep   Esc then: u undo, s skip, q quit, ? help",
             "回车 保存   Esc 之后：u 撤销 s 跳过 q 退出 ? 帮助");
        return;
    }
    if (is_kind(v, "span"))
        TELL(v, PAGE_DIM, "arrows move  space begin  key label  Backspace remove  Enter keep  ",
             "方向键 移动  空格 起点  字母 标注  退格 删除  回车 保存  ");
    else if (is_kind(v, "multi"))
        TELL(v, PAGE_DIM, "keys on and off   Enter keep   ", "按键 开关  回车 保存  ");
    else if (v->item.proposal)
        TELL(v, PAGE_DIM, "Enter take *   ", "回车 采用 *  ");
    else if (is_kind(v, "text"))
        TELL(v, PAGE_DIM, "Enter type   ", "回车 输入  ");
    TELL(v, PAGE_DIM, "u undo   s skip   q quit   ? help", "u 撤销  s 跳过  q 退出  ? 帮助");
}

static void draw_help(struct label_view *v)
{
    static const char *const lines[][2] = {
        {"The key in brackets chooses a label; what is chosen is kept at once (choice, rating).",
         "方括号中的键选择标签；单选与评分按下即保存。"},
        {"Enter keeps the answer in the making, or takes the proposal that is marked *.",
         "回车保存当前答案，或采用标有 * 的建议。"},
        {"u  take the last answer back, as often as you like, also of an earlier day",
         "u  撤销上一个答案，可连续撤销，也可撤销以前的"},
        {"s  skip: not I; `maliang label queue QUEUE --skipped` goes over them",
         "s  跳过；用 `maliang label queue 队列 --skipped` 重看"},
        {"q  quit; everything is kept, and the same command goes on from here",
         "q  退出；全部已保存，再次运行即继续"},
        {"arrows, PgUp, PgDn  move in a long text", "方向键、PgUp、PgDn  在长文本中移动"},
        {"spans: move to a word, space where the span begins, move to its end, press a label;",
         "片段：移到词上，空格定起点，移到终点，按标签键；"},
        {"without space the word at the cursor alone; Backspace removes a span",
         "不按空格则只标光标所在的词；退格删除片段"},
        {"text: type; Enter keeps; Esc leaves the line, so that u, s and q are commands",
         "文本：直接输入，回车保存；Esc 离开输入行，之后 u、s、q 为命令"},
    };
    int room = v->terminal.rows - 4;
    TELL(v, PAGE_BOLD, "Guideline", "标注说明");
    page_end_line(&v->page);
    const char *guideline = v->task->guideline;
    room -= page_paragraph(&v->page, PAGE_PLAIN, guideline, strlen(guideline),
                           room > 14 ? room - 11 : 3);
    page_end_line(&v->page);
    TELL(v, PAGE_BOLD, "Keys", "按键");
    page_end_line(&v->page);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0] && room > 0; i++) {
        const char *line = lines[i][v->cli->chinese];
        room -= page_paragraph(&v->page, PAGE_PLAIN, line, strlen(line), room);
    }
    TELL(v, PAGE_DIM, "any key: back", "按任意键返回");
}

/* How many lines the answers take, by drawing them on a page that nobody sees. */
static int answer_lines(struct label_view *v)
{
    struct page kept = v->page;
    v->page.out = (struct ml_buffer){0};
    v->page.lines = 0;
    draw_answers(v);
    int lines = v->page.lines;
    ml_buffer_clear(&v->page.out);
    kept.status = v->page.status;
    v->page = kept;
    return lines;
}

int view_draw(struct label_view *v, struct ml_error *err)
{
    v->page.columns = v->terminal.columns > 1 ? v->terminal.columns - 1 : 1;
    v->page.colour = v->terminal.colour;
    v->page.err = err;
    page_clear(&v->page);
    if (v->help) {
        draw_help(v);
    } else {
        int rows = v->terminal.rows, answers = answer_lines(v);
        int guideline = rows >= 16 ? 2 : 0;
        int body = rows - 2 - 1 - guideline - answers - 1;
        draw_head(v);
        draw_body(v, body > 3 ? body : 3);
        page_rule(&v->page);
        if (guideline) {
            const char *text = v->task->guideline;
            int used = page_paragraph(&v->page, PAGE_DIM, text, strlen(text), guideline);
            for (; used < guideline; used++)
                page_end_line(&v->page);
        }
        draw_answers(v);
        draw_keys(v);
    }
    if (v->page.status)
        return v->page.status;
    return terminal_draw(&v->terminal, &v->page.out, err);
}
