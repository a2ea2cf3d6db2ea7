#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "base/words.h"
#include "text/verse.h"

static const struct ml_verse_shape shapes[ML_VERSE_COUNT] = {
    [ML_VERSE_WUJUE] = {"wujue", "五絕", "五绝", 4, 5},
    [ML_VERSE_QIJUE] = {"qijue", "七絕", "七绝", 4, 7},
    [ML_VERSE_WULV] = {"wulv", "五律", "五律", 8, 5},
    [ML_VERSE_QILV] = {"qilv", "七律", "七律", 8, 7},
};

static const struct {
    const char *name;
    enum ml_verse_form form;
} other_names[] = {
    {"五言絕句", ML_VERSE_WUJUE}, {"五言绝句", ML_VERSE_WUJUE}, {"七言絕句", ML_VERSE_QIJUE},
    {"七言绝句", ML_VERSE_QIJUE}, {"五言律詩", ML_VERSE_WULV},  {"五言律诗", ML_VERSE_WULV},
    {"七言律詩", ML_VERSE_QILV},  {"七言律诗", ML_VERSE_QILV},  {"五絶", ML_VERSE_WUJUE},
    {"七絶", ML_VERSE_QIJUE},     {"wulü", ML_VERSE_WULV},      {"qilü", ML_VERSE_QILV},
    {"5x4", ML_VERSE_WUJUE},      {"7x4", ML_VERSE_QIJUE},      {"5x8", ML_VERSE_WULV},
    {"7x8", ML_VERSE_QILV},       {"5×4", ML_VERSE_WUJUE},      {"7×4", ML_VERSE_QIJUE},
    {"5×8", ML_VERSE_WULV},       {"7×8", ML_VERSE_QILV},
};

const struct ml_verse_shape *ml_verse_shape(enum ml_verse_form form)
{
    return form > ML_VERSE_NONE && form < ML_VERSE_COUNT ? &shapes[form] : NULL;
}

int ml_verse_parse_form(enum ml_verse_form *out, const char *name, struct ml_error *err)
{
    const char *known[ML_VERSE_COUNT - 1];
    for (int i = 1; i < ML_VERSE_COUNT; i++) {
        known[i - 1] = shapes[i].name;
        if (strcmp(name, shapes[i].name) == 0 || strcmp(name, shapes[i].traditional) == 0 ||
            strcmp(name, shapes[i].simplified) == 0) {
            *out = (enum ml_verse_form)i;
            return 0;
        }
    }
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
        if (strcmp(name, other_names[i].name) == 0) {
            *out = other_names[i].form;
            return 0;
        }
    const char *nearest = ml_word_nearest(name, known, ML_VERSE_COUNT - 1);
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "\"%.60s\" is not a form of verse%s%s; there are wujue (五絕), qijue (七絕), "
                   "wulv (五律), qilv (七律)",
                   name, nearest ? "; did you mean " : "", nearest ? nearest : "");
}

static bool is_mark(uint32_t c)
{
    return c == 0xff0c /* ， */ || c == 0x3002 /* 。 */ || c == 0xff01 /* ！ */ ||
           c == 0xff1f /* ？ */ || c == 0xff1b /* ； */ || c == 0x3001 /* 、 */;
}

static bool is_line_end(uint32_t c)
{
    return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == 0xa0 || c == 0x3000;
}

/* CJK ideographs with extensions and compatibility forms, and 〇. */
static bool is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff) || c == 0x3007;
}

/* One character; a byte that is not UTF-8 counts as one that is not Chinese. */
static size_t next_character(const char *text, size_t n, uint32_t *c)
{
    size_t length = ml_utf8_decode(text, n, c);
    if (length == 0) {
        *c = 0xfffd;
        length = 1;
    }
    return length;
}

/* A line without the blanks around it. */
static struct ml_verse_line measure(const char *text, size_t begin, size_t end)
{
    struct ml_verse_line line = {.text = text + begin, .chinese = true};
    bool started = false;
    int blanks = 0; /* seen since the last character */
    for (size_t at = begin; at < end;) {
        uint32_t c = 0;
        size_t length = next_character(text + at, end - at, &c);
        if (is_blank(c)) {
            blanks += started;
        } else {
            if (!started)
                line.text = text + at;
            started = true;
            line.characters += 1 + blanks;
            line.chinese = line.chinese && blanks == 0 && is_ideograph(c);
            line.last = c;
            line.size = (size_t)(text + at + length - line.text);
            blanks = 0;
        }
        at += length;
    }
    return line;
}

int ml_verse_split(const char *text, size_t size, struct ml_verse_line *lines, int most)
{
    int count = 0;
    size_t begin = 0;
    for (size_t at = 0; at <= size;) {
        uint32_t c = 0;
        size_t length = at < size ? next_character(text + at, size - at, &c) : 1;
        if (at == size || is_mark(c) || is_line_end(c)) {
            struct ml_verse_line line = measure(text, begin, at);
            line.mark = at < size && is_mark(c) ? c : 0;
            if (line.characters > 0) {
                if (count < most)
                    lines[count] = line;
                count++;
            }
            begin = at + length;
        }
        at += length;
    }
    return count;
}

enum ml_verse_form ml_verse_classify(const char *text, size_t size)
{
    struct ml_verse_line lines[8];
    int count = ml_verse_split(text, size, lines, 8);
    for (int form = 1; form < ML_VERSE_COUNT; form++) {
        bool kept = count == shapes[form].lines;
        for (int i = 0; kept && i < count; i++)
            kept = lines[i].chinese && lines[i].characters == shapes[form].characters;
        if (kept)
            return (enum ml_verse_form)form;
    }
    return ML_VERSE_NONE;
}

void ml_verse_check(enum ml_verse_form form, const char *text, size_t size,
                    struct ml_verse_report *out)
{
    struct ml_verse_line lines[8];
    const struct ml_verse_shape *shape = ml_verse_shape(form);
    memset(out, 0, sizeof *out);
    if (!shape) {
        snprintf(out->message, sizeof out->message, "no form was asked for");
        return;
    }
    out->lines = ml_verse_split(text, size, lines, 8);
    int looked_at = out->lines < shape->lines ? out->lines : shape->lines;
    for (int i = 0; i < looked_at; i++) {
        if (!out->wrong_line && (!lines[i].chinese || lines[i].characters != shape->characters)) {
            out->wrong_line = i + 1;
            out->characters = lines[i].characters;
        }
        if (i % 2 == 1)
            out->rhyme[out->rhyme_count++] = lines[i].last;
    }
    out->first_ending = out->lines > 0 ? lines[0].last : 0;
    out->kept = out->lines == shape->lines && !out->wrong_line;
    if (out->lines != shape->lines)
        snprintf(out->message, sizeof out->message, "%d lines instead of %d", out->lines,
                 shape->lines);
    else if (out->wrong_line && out->characters != shape->characters)
        snprintf(out->message, sizeof out->message, "line %d has %d characters instead of %d",
                 out->wrong_line, out->characters, shape->characters);
    else if (out->wrong_line)
        snprintf(out->message, sizeof out->message,
                 "line %d holds something that is not a Chinese character", out->wrong_line);
}

static int put_blanks(struct ml_buffer *out, int count, struct ml_error *err)
{
    int code = 0;
    for (int i = 0; code == 0 && i < count; i++)
        code = ml_buffer_put(out, " ", 1, err);
    return code;
}

static int put_centred(struct ml_buffer *out, const char *text, int width, int indent,
                       struct ml_error *err)
{
    if (!text || !text[0])
        return 0;
    int columns = (int)ml_utf8_columns(text, strlen(text));
    int code = put_blanks(out, indent + (columns < width ? (width - columns) / 2 : 0), err);
    if (code == 0)
        code = ml_buffer_put(out, text, strlen(text), err);
    return code < 0 ? code : ml_buffer_put(out, "\n", 1, err);
}

static int put_line(struct ml_buffer *out, const struct ml_verse_line *line, uint32_t mark,
                    struct ml_error *err)
{
    char bytes[4];
    size_t n = ml_utf8_encode(line->mark ? line->mark : mark, bytes);
    int code = ml_buffer_put(out, line->text, line->size, err);
    return code < 0 ? code : ml_buffer_put(out, bytes, n, err);
}

int ml_verse_print(struct ml_buffer *out, const char *title, const char *author, const char *text,
                   size_t size, int indent, struct ml_error *err)
{
    struct ml_verse_line lines[ML_VERSE_MAX_LINES];
    size_t before = out->size;
    int count = ml_verse_split(text, size, lines, ML_VERSE_MAX_LINES), width = 0;
    if (count > ML_VERSE_MAX_LINES)
        return ml_fail(err, ML_ERR_LIMIT, "a poem of %d lines; the limit is %d", count,
                       ML_VERSE_MAX_LINES);
    for (int i = 0; i < count; i += 2) {
        int columns = 0;
        for (int k = i; k < i + 2 && k < count; k++) /* a mark is two columns wide */
            columns += (int)ml_utf8_columns(lines[k].text, lines[k].size) + 2;
        width = columns > width ? columns : width;
    }
    int code = put_centred(out, title, width, indent, err);
    if (code == 0)
        code = put_centred(out, author, width, indent, err);
    for (int i = 0; code == 0 && i < count; i++) {
        bool ends_row = i % 2 == 1 || i == count - 1;
        if (i % 2 == 0)
            code = put_blanks(out, indent, err);
        if (code == 0)
            code = put_line(out, &lines[i], ends_row ? 0x3002 : 0xff0c, err);
        if (code == 0 && ends_row)
            code = ml_buffer_put(out, "\n", 1, err);
    }
    if (code < 0 && out->data) {
        out->size = before;
        out->data[before] = 0;
    }
    return code;
}
