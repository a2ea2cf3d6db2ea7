#include "data/normalise.h"

#include <string.h>
#include <utf8proc.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "text/char_class.h"

/* Characters that NFC may change: marks, Hangul jamo, signs and ideographs that stand for others.
 */
static bool may_compose(uint32_t c)
{
    return c >= 0x300 &&
           (ml_char_class(c) == ML_CHAR_MARK || (c >= 0x1100 && c < 0x1200) || c == 0x340 ||
            c == 0x341 || c == 0x374 || c == 0x37E || c == 0x387 || (c >= 0x1F00 && c < 0x2000) ||
            c == 0x2126 || c == 0x212A || c == 0x212B || c == 0x2329 || c == 0x232A ||
            (c >= 0xF900 && c < 0xFB50) || (c >= 0x2F800 && c < 0x2FA20));
}

static bool needs_nfc(const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        if ((unsigned char)text[at] < 0xCC) { /* below U+0300 */
            at += (unsigned char)text[at] < 0x80 ? 1 : 2;
            continue;
        }
        at += ml_char_next(text + at, &c);
        if (may_compose(c))
            return true;
    }
    return false;
}

/* Nothing to see, and nothing that joins what stands beside it (as U+200C and U+200D do). */
static bool is_invisible(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) || c == 0xAD ||
           c == 0x200B || c == 0x2060 || c == 0xFEFF || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || (c >= 0xFFF9 && c <= 0xFFFB) ||
           (c >= 0xE0000 && c < 0xE0080);
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static uint32_t half_width(uint32_t c)
{
    bool plain = (c >= 0xFF10 && c <= 0xFF19) || (c >= 0xFF21 && c <= 0xFF3A) ||
                 (c >= 0xFF41 && c <= 0xFF5A);
    return plain ? c - 0xFEE0 : c;
}

/* What has been written of the text so far. */
struct state {
    char *to;
    size_t used;
    int newlines;   /* line ends waiting */
    bool blank;     /* a blank waits for what follows it */
    bool line_open; /* the line has something in it */
    size_t indent;  /* ASCII blanks at its beginning */
};

static void put_char(struct state *s, uint32_t c, const struct ml_normalise *o)
{
    if (s->newlines && s->used > 0) {
        s->to[s->used++] = '\n';
        if (s->newlines > 1)
            s->to[s->used++] = '\n';
    }
    s->newlines = 0;
    if (!s->line_open)
        for (size_t i = 0; i < s->indent; i++)
            s->to[s->used++] = ' ';
    else if (s->blank)
        s->to[s->used++] = ' ';
    s->line_open = true;
    s->blank = false;
    s->used += ml_utf8_encode(o->half_width ? half_width(c) : c, s->to + s->used);
}

/* Indentation of code and verse stays; that of Chinese paragraphs (U+3000) goes. */
static void put_blank(struct state *s, uint32_t c, const struct ml_normalise *o)
{
    if (!s->line_open)
        s->indent += c == '\t' ? 4 : c < 0x80;
    else if (o->keep_blanks && s->blank)
        s->to[s->used++] = ' ';
    s->blank = true;
}

static size_t rewrite(char *to, const char *text, size_t n, const struct ml_normalise *o)
{
    struct state s = {.to = to};
    for (size_t at = 0; at < n;) {
        uint32_t c;
        at += ml_char_next(text + at, &c);
        if (c == '\n') {
            s.newlines++;
            s.blank = s.line_open = false;
            s.indent = 0;
        } else if (is_blank(c)) {
            put_blank(&s, c, o);
        } else if (!is_invisible(c)) {
            put_char(&s, c, o);
        }
    }
    return s.used;
}

/* NFC into `composed` (UTF-8). */
static int compose(struct ml_buffer *composed, const char *text, size_t n, struct ml_error *err)
{
    const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t size = utf8proc_decompose(from, (utf8proc_ssize_t)n, NULL, 0, how);
    if (size >= 0) {
        /* code points of four bytes, which are encoded in place */
        int status =
            ml_buffer_reserve(composed, ((size_t)size + 1) * sizeof(utf8proc_int32_t), err);
        if (status)
            return status;
        utf8proc_int32_t *points = (utf8proc_int32_t *)(void *)composed->data;
        size = utf8proc_decompose(from, (utf8proc_ssize_t)n, points, size, how);
        if (size >= 0)
            size = utf8proc_reencode(points, size, how);
    }
    if (size < 0)
        return ml_fail(err, ML_ERR_FORMAT, "a text cannot be normalised: %s",
                       utf8proc_errmsg(size));
    composed->size = (size_t)size;
    return 0;
}

int ml_normalise_text(struct ml_buffer *out, const char *text, size_t n,
                      const struct ml_normalise *options, bool *changed, struct ml_error *err)
{
    static const struct ml_normalise defaults;
    struct ml_buffer composed = {0};
    const char *from = text;
    size_t size = n;
    int status = 0;
    if (needs_nfc(text, n)) {
        status = compose(&composed, text, n, err);
        from = composed.data;
        size = composed.size;
    }
    /* A tab of an indentation becomes four blanks; nothing else grows. */
    if (status == 0)
        status = ml_buffer_reserve(out, 4 * size + 2, err);
    if (status == 0) {
        out->size = rewrite(out->data, from, size, options ? options : &defaults);
        out->data[out->size] = '\0';
        *changed = out->size != n || memcmp(out->data, text, n) != 0;
    }
    ml_buffer_clear(&composed);
    return status;
}
