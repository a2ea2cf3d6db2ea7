#include "data/c4_lines.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { MIN_WORDS = 3, MAX_WORD = 1000 };

static const char *const phrases[] = {
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
    "\xE9\x9A\x90\xE7\xA7\x81\xE6\x94\xBF\xE7\xAD\x96", /* 隐私政策 */
    "\xE4\xBD\xBF\xE7\x94\xA8\xE6\x9D\xA1\xE6\xAC\xBE" /* 使用条款 */};

/* Every phrase begins at a word, so only beginnings of words are looked at. */
static bool has_phrase(const struct ml_word_scan *s, const struct ml_scan_line *line)
{
    const char *end = s->text + line->start + line->bytes;
    for (uint32_t i = 0; i < line->words; i++) {
        const char *at = s->text + s->words[line->word + i].start;
        if (!strchr("jtpcu\xE9\xE4", tolower((unsigned char)*at)))
            continue;
        for (size_t p = 0; p < sizeof phrases / sizeof phrases[0]; p++) {
            size_t n = strlen(phrases[p]);
            if ((size_t)(end - at) >= n && strncasecmp(at, phrases[p], n) == 0)
                return true;
        }
    }
    return false;
}

static bool keeps(const struct ml_word_scan *s, const struct ml_scan_line *line)
{
    if (line->words < MIN_WORDS)
        return false;
    for (uint32_t i = 0; i < line->words; i++)
        if (s->words[line->word + i].chars > MAX_WORD)
            return false;
    return !has_phrase(s, line);
}

/* The length of [12], [edit] or [citation needed] at text, or 0. */
static size_t reference(const char *text, size_t n)
{
    static const char *const words[] = {"[edit]", "[citation needed]", "[update]"};
    size_t digits = 0;
    while (digits + 2 < n && digits < 4 && isdigit((unsigned char)text[1 + digits]))
        digits++;
    if (digits > 0 && text[1 + digits] == ']')
        return digits + 2;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (n >= strlen(words[i]) && memcmp(text, words[i], strlen(words[i])) == 0)
            return strlen(words[i]);
    return 0;
}

static int put_line(struct ml_buffer *out, const char *text, size_t n, bool *changed,
                    struct ml_error *err)
{
    int status = 0;
    while (status == 0 && n > 0) {
        const char *mark = memchr(text, '[', n);
        size_t plain = mark ? (size_t)(mark - text) : n;
        size_t cut = mark ? reference(mark, n - plain) : 0;
        if (mark && !cut)
            plain++;
        status = ml_buffer_put(out, text, plain, err);
        *changed = *changed || cut > 0;
        text += plain + cut;
        n -= plain + cut;
    }
    return status;
}

int ml_c4_lines(struct ml_buffer *out, const struct ml_word_scan *s, bool *changed,
                int64_t *dropped, struct ml_error *err)
{
    int status = 0;
    bool gap = false; /* a paragraph ended among what was dropped */
    *changed = false;
    *dropped = 0;
    out->size = 0;
    for (size_t i = 0; status == 0 && i < s->line_count; i++) {
        const struct ml_scan_line *line = &s->lines[i];
        gap = gap || line->after_blank;
        if (!keeps(s, line)) {
            ++*dropped;
            continue;
        }
        if (out->size)
            status = ml_buffer_put(out, "\n\n", gap ? 2 : 1, err);
        gap = false;
        if (status == 0)
            status = put_line(out, s->text + line->start, line->bytes, changed, err);
    }
    *changed = *changed || *dropped > 0;
    return status;
}
