#include "page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void page_clear(struct page *p)
{
    p->out.size = 0;
    p->lines = p->used = 0;
    p->style = PAGE_PLAIN;
    p->status = 0;
}

static void put(struct page *p, const char *bytes, size_t n)
{
    if (p->status == 0)
        p->status = ml_buffer_put(&p->out, bytes, n, p->err);
}

static void set_style(struct page *p, enum page_style style)
{
    static const char *const codes[] = {[PAGE_PLAIN] = "",
                                        [PAGE_BOLD] = "\x1b[1m",
                                        [PAGE_DIM] = "\x1b[2m",
                                        [PAGE_REVERSE] = "\x1b[7m",
                                        [PAGE_UNDERLINE] = "\x1b[4m"};
    static const char *const colours[] = {"\x1b[30;42m", "\x1b[30;43m", "\x1b[30;46m",
                                          "\x1b[30;45m", "\x1b[37;44m", "\x1b[37;41m"};
    if (style == p->style)
        return;
    p->style = style;
    put(p, "\x1b[0m", 4);
    const char *code = style < PAGE_COLOURS ? codes[style]
                       : p->colour          ? colours[(style - PAGE_COLOURS) % 6]
                                            : "\x1b[1;4m";
    put(p, code, strlen(code));
}

/* What a terminal acts on, or turns the line round with, is shown as a mark instead. */
static bool is_shown(uint32_t c)
{
    return c >= 0x20 && (c < 0x7f || c > 0x9f) && !(c >= 0x200e && c <= 0x200f) &&
           !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

/* The character at the text's beginning as it is shown: its bytes, their number there, and how many
 * columns. */
static size_t look(const char *text, size_t n, uint32_t *c, int *width)
{
    size_t used = ml_utf8_decode(text, n, c);
    if (!used) {
        *c = 0xfffd;
        used = 1;
    } else if (*c == '\t' || *c == '\n' || *c == '\r') {
        *c = ' ';
    } else if (!is_shown(*c)) {
        *c = 0xfffd;
    }
    *width = ml_utf8_width(*c);
    return used;
}

void page_put(struct page *p, enum page_style style, const char *text, size_t n)
{
    for (size_t at = 0; at < n && p->status == 0;) {
        uint32_t c;
        int width;
        char bytes[4];
        at += look(text + at, n - at, &c, &width);
        if (p->used + width > p->columns)
            return;
        set_style(p, style);
        put(p, bytes, ml_utf8_encode(c, bytes));
        p->used += width;
    }
}

void page_say(struct page *p, enum page_style style, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (n > 0)
        page_put(p, style, text, (size_t)n < sizeof text ? (size_t)n : strlen(text));
}

void page_end_line(struct page *p)
{
    set_style(p, PAGE_PLAIN);
    put(p, "\n", 1);
    p->lines++;
    p->used = 0;
}

void page_rule(struct page *p)
{
    while (p->used < p->columns && p->status == 0)
        page_put(p, PAGE_DIM, "\xe2\x94\x80", 3);
    page_end_line(p);
}

/* Marks that do not begin a line. */
static bool closes(uint32_t c)
{
    static const uint32_t marks[] = {0x2019, 0x201d, 0x2026, 0x3001, 0x3002, 0x300b, 0x300d, 0x300f,
                                     0x3011, 0xff01, 0xff09, 0xff0c, 0xff1a, 0xff1b, 0xff1f};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (marks[i] == c)
            return true;
    return false;
}

size_t page_wrap(const char *text, size_t n, int columns, size_t *next)
{
    size_t at = 0, good = 0;
    uint32_t before = 0;
    int used = 0;
    while (at < n && text[at] != '\n') {
        uint32_t c;
        int width;
        size_t bytes = look(text + at, n - at, &c, &width);
        bool between = at && c != ' ' && !closes(c) && before != 0xff08 && before != 0x300a &&
                       (before == ' ' || c >= 0x2e80 || before >= 0x2e80);
        if (between)
            good = at;
        if (used + width > columns && (c != ' ' || used > columns)) {
            size_t end = good ? good : at ? at : bytes;
            *next = end;
            while (end > 0 && text[end - 1] == ' ')
                end--;
            return end;
        }
        used += width;
        at += bytes;
        before = c;
    }
    *next = at < n ? at + 1 : at;
    return at;
}

int page_paragraph(struct page *p, enum page_style style, const char *text, size_t n, int most)
{
    int lines = 0;
    for (size_t at = 0; at < n && lines < most; lines++) {
        size_t next, end = page_wrap(text + at, n - at, p->columns, &next);
        bool cut = lines + 1 == most && at + next < n;
        if (cut) /* room for the mark that says so */
            end = page_wrap(text + at, n - at, p->columns - 2, &next);
        page_put(p, style, text + at, end);
        if (cut)
            page_put(p, style, " \xe2\x80\xa6", 4);
        page_end_line(p);
        at += next;
    }
    return lines;
}
