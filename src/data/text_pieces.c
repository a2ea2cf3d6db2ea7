#include "data/text_pieces.h"

#include <string.h>

#define LONG_SAYING 65536 /* bytes; a stretch longer than this must not be half of the file */

/* The end of the line at `at`, without the \n. */
static size_t line_end(const char *text, size_t n, size_t at)
{
    const char *end = memchr(text + at, '\n', n - at);
    return end ? (size_t)(end - text) : n;
}

static bool is_blank(const char *text, size_t from, size_t to)
{
    while (from < to && strchr(" \t\r\f\v\n", text[from]))
        from++;
    return from == to;
}

/* A % and nothing else, but for blanks that some editor left behind it. */
static bool is_delimiter(const char *text, size_t from, size_t to)
{
    return from < to && text[from] == '%' && is_blank(text, from + 1, to);
}

bool ml_is_fortune_file(const char *text, size_t n)
{
    size_t delimiters = 0, others = 0, longest = 0, begin = 0, last = 0;
    for (size_t at = 0; at < n;) {
        size_t end = line_end(text, n, at);
        if (is_delimiter(text, at, end)) {
            delimiters++;
            longest = at - begin > longest ? at - begin : longest;
            begin = last = end < n ? end + 1 : n;
        } else if (text[at] == '%') {
            others++;
        }
        at = end < n ? end + 1 : n;
    }
    if (n - begin > longest)
        longest = n - begin;
    bool enough = delimiters >= 2 || (delimiters == 1 && is_blank(text, last, n));
    return enough && others * 10 <= delimiters && (longest <= LONG_SAYING || longest <= n / 2);
}

void ml_pieces_init(struct ml_pieces *pieces, enum ml_piece_kind kind, const char *text, size_t n)
{
    *pieces = (struct ml_pieces){.text = text, .size = n, .line = 1, .kind = kind};
}

/* Empty lines at both ends are not part of it; blanks within the first line are (they indent). */
static bool trim(const struct ml_pieces *p, size_t from, size_t to, struct ml_piece *out)
{
    int64_t line = p->line;
    for (size_t end; from < to && is_blank(p->text, from, end = line_end(p->text, to, from));
         line++)
        from = end < to ? end + 1 : to;
    while (to > from && strchr(" \t\r\n", p->text[to - 1]))
        to--;
    *out = (struct ml_piece){.start = from, .size = to - from, .line = line};
    return to > from;
}

static bool next_line(struct ml_pieces *p, struct ml_piece *out)
{
    while (p->at < p->size) {
        size_t begin = p->at, end = line_end(p->text, p->size, begin);
        p->at = end < p->size ? end + 1 : p->size;
        int64_t line = p->line++;
        if (!is_blank(p->text, begin, end)) {
            *out = (struct ml_piece){.start = begin, .size = end - begin, .line = line};
            return true;
        }
    }
    return false;
}

static bool next_fortune(struct ml_pieces *p, struct ml_piece *out)
{
    while (p->at < p->size) {
        size_t begin = p->at, end = begin;
        int64_t lines = 0;
        while (end < p->size) {
            size_t stop = line_end(p->text, p->size, end);
            lines++;
            p->at = stop < p->size ? stop + 1 : p->size;
            if (is_delimiter(p->text, end, stop))
                break;
            end = p->at;
        }
        bool found = trim(p, begin, end, out);
        p->line += lines;
        if (found)
            return true;
    }
    return false;
}

bool ml_pieces_next(struct ml_pieces *p, struct ml_piece *out)
{
    if (p->kind == ML_PIECE_LINE)
        return next_line(p, out);
    if (p->kind == ML_PIECE_FORTUNE)
        return next_fortune(p, out);
    if (p->at == p->size)
        return false;
    *out = (struct ml_piece){.start = 0, .size = p->size, .line = 1};
    p->at = p->size;
    return true;
}
