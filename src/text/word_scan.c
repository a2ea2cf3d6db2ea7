#include "text/word_scan.h"

#include <string.h>

#include "base/fail.h"

#define MULTIPLIER 0x9E3779B97F4A7C15u /* 2^64 / golden ratio */

/* Bytes below 0x80: what they are, in one look. */
enum ascii { A_OTHER, A_SPACE, A_LINE, A_WORD, A_DIGIT, A_PUNCTUATION, A_SYMBOL };
#define W A_WORD
#define D A_DIGIT
#define P A_PUNCTUATION
#define Y A_SYMBOL
#define S A_SPACE
static const uint8_t ascii_kind[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, S, A_LINE, S, S, S, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, S, S, S, S, S, P, P, P, Y,      P, P, P, P, P, P, Y, P, P, P, P, D, D, D, D,
    D, D, D, D, D, D, P, P, Y, Y, Y,      P, P, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W,      W, W, P, P, P, Y, P, Y, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W,      W, W, W, W, W, W, W, W, P, Y, P, Y, 0};
#undef W
#undef D
#undef P
#undef Y
#undef S

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * MULTIPLIER;
    return hash ^ hash >> 32;
}

uint64_t ml_scan_hash(const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    uint64_t hash = n * MULTIPLIER, eight;
    for (; n >= 8; at += 8, n -= 8) {
        memcpy(&eight, at, 8);
        hash = mix(hash, eight);
    }
    eight = 0;
    memcpy(&eight, at, n);
    return mix(hash, eight);
}

/* The word that is being read. */
struct word {
    uint64_t hash;
    uint64_t pending; /* punctuation that belongs to it if a letter follows */
    size_t begin, solid_begin, solid_end;
    uint32_t chars, solid_chars; /* until now; until solid_end */
    uint32_t skipped;            /* characters before solid_begin */
    uint32_t flags;
};

static int grow(void **list, size_t *capacity, size_t size, struct ml_error *err)
{
    size_t more = *capacity ? 2 * *capacity : 256;
    void *grown = ml_mem_realloc(*list, more * size);
    if (!grown)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory looking at a text");
    *list = grown;
    *capacity = more;
    return 0;
}

static int put_word(struct ml_word_scan *s, const struct ml_scan_word *word, struct ml_error *err)
{
    if (s->word_count == s->word_capacity) {
        void *list = s->words;
        int status = grow(&list, &s->word_capacity, sizeof *word, err);
        if (status)
            return status;
        s->words = list;
    }
    s->words[s->word_count++] = *word;
    return 0;
}

static int end_word(struct ml_word_scan *s, struct word *w, size_t at, struct ml_error *err)
{
    struct ml_scan_word word;
    if (w->flags & ML_WORD_SOLID)
        word = (struct ml_scan_word){.hash = w->hash ? w->hash : 1,
                                     .start = (uint32_t)w->solid_begin,
                                     .bytes = (uint32_t)(w->solid_end - w->solid_begin),
                                     .chars = (w->solid_chars - w->skipped) & 0xFFFFFFF,
                                     .flags = w->flags & 15};
    else
        word = (struct ml_scan_word){.hash = w->pending ? w->pending : 1,
                                     .start = (uint32_t)w->begin,
                                     .bytes = (uint32_t)(at - w->begin),
                                     .chars = w->chars & 0xFFFFFFF};
    *w = (struct word){0};
    return put_word(s, &word, err);
}

/* ---- lines ---- */

static bool is_blank_byte(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static int end_line(struct ml_word_scan *s, size_t begin, size_t end, size_t first_word,
                    size_t chars_before, struct ml_error *err)
{
    while (begin < end && is_blank_byte(s->text[begin]))
        begin++;
    while (end > begin && is_blank_byte(s->text[end - 1]))
        end--;
    if (begin == end) {
        s->blank_lines++;
        return 0;
    }
    if (s->line_count == s->line_capacity) {
        void *list = s->lines;
        int status = grow(&list, &s->line_capacity, sizeof s->lines[0], err);
        if (status)
            return status;
        s->lines = list;
    }
    s->lines[s->line_count++] =
        (struct ml_scan_line){.start = (uint32_t)begin,
                              .bytes = (uint32_t)(end - begin),
                              .word = (uint32_t)first_word,
                              .words = (uint32_t)(s->word_count - first_word),
                              .chars = (uint32_t)(s->chars - chars_before)};
    return 0;
}

/* ---- characters ---- */

static void put_solid(struct word *w, size_t at, size_t n, uint64_t value, uint32_t flags)
{
    if (!(w->flags & ML_WORD_SOLID)) {
        w->solid_begin = at;
        w->skipped = w->chars;
        w->hash = 0;
    } else if (w->pending) {
        w->hash = mix(w->hash, w->pending);
    }
    w->pending = 0;
    w->hash = mix(w->hash, value);
    w->flags |= ML_WORD_SOLID | flags;
    w->chars++;
    w->solid_chars = w->chars;
    w->solid_end = at + n;
}

static void put_loose(struct word *w, uint32_t c)
{
    w->pending = mix(w->pending, c);
    w->chars++;
}

/* A run of ASCII letters, which most text is made of. Returns where it ends. */
static size_t put_letters(struct ml_word_scan *s, struct word *w, size_t at)
{
    const char *text = s->text;
    size_t begin = at;
    uint64_t hash;
    put_solid(w, at, 1, (uint8_t)text[at] | 0x20u, ML_WORD_LETTER);
    hash = w->hash;
    for (at++; at < s->bytes && (uint8_t)text[at] < 0x80 && ascii_kind[(uint8_t)text[at]] == A_WORD;
         at++)
        hash = mix(hash, (uint8_t)text[at] | 0x20u);
    w->hash = hash;
    w->chars += (uint32_t)(at - begin - 1);
    w->solid_chars = w->chars;
    w->solid_end = at;
    s->chars += at - begin;
    s->counts[ML_CHAR_LETTER] += at - begin;
    return at;
}

/* One character that is neither an ASCII letter nor a blank or line end below 0x80. */
static int put_char(struct ml_word_scan *s, struct word *w, size_t at, size_t *length,
                    struct ml_error *err)
{
    uint32_t c;
    size_t n = ml_char_next(s->text + at, &c);
    enum ml_char_class class = ml_char_class(c);
    int status = 0;
    bool open = w->chars > 0;
    *length = n;
    s->chars++;
    s->counts[class]++;
    if (ml_char_is_ideograph(class)) {
        if (open)
            status = end_word(s, w, at, err);
        const struct ml_scan_word word = {.hash = mix(0, c),
                                          .start = (uint32_t)at,
                                          .bytes = (uint32_t)n,
                                          .chars = 1,
                                          .flags =
                                              ML_WORD_SOLID | ML_WORD_LETTER | ML_WORD_IDEOGRAPH};
        return status ? status : put_word(s, &word, err);
    }
    if (class == ML_CHAR_SPACE)
        return open ? end_word(s, w, at, err) : 0;
    if (!open)
        w->begin = at;
    if (class == ML_CHAR_LETTER || class == ML_CHAR_HANGUL)
        put_solid(w, at, n, ml_char_lower(c), ML_WORD_LETTER);
    else if (class == ML_CHAR_DIGIT)
        put_solid(w, at, n, c, 0);
    else if (class == ML_CHAR_MARK && (w->flags & ML_WORD_SOLID) && !w->pending)
        put_solid(w, at, n, c, 0);
    else
        put_loose(w, c);
    return 0;
}

static int scan_line(struct ml_word_scan *s, size_t *from, struct ml_error *err)
{
    struct word w = {0};
    size_t at = *from, length;
    int status = 0;
    while (status == 0 && at < s->bytes) {
        uint8_t b = (uint8_t)s->text[at];
        uint8_t kind = b < 0x80 ? ascii_kind[b] : A_OTHER;
        if (kind == A_WORD) {
            if (w.chars == 0)
                w.begin = at;
            at = put_letters(s, &w, at);
        } else if (kind == A_SPACE) {
            if (w.chars > 0)
                status = end_word(s, &w, at, err);
            s->chars++;
            s->counts[ML_CHAR_SPACE]++;
            at++;
        } else if (kind == A_LINE) {
            break;
        } else {
            status = put_char(s, &w, at, &length, err);
            at += length;
        }
    }
    if (status == 0 && w.chars > 0)
        status = end_word(s, &w, at, err);
    *from = at;
    return status;
}

int ml_word_scan(struct ml_word_scan *s, const char *text, size_t n, struct ml_error *err)
{
    if (n > ML_WORD_SCAN_MAX)
        return ml_fail(err, ML_ERR_LIMIT, "a text of %zu bytes is too long to be looked at as one",
                       n);
    s->text = text;
    s->bytes = n;
    s->word_count = s->line_count = s->blank_lines = s->newlines = s->chars = 0;
    memset(s->counts, 0, sizeof s->counts);
    int status = 0;
    bool blank = true; /* the text begins with a paragraph */
    for (size_t at = 0; status == 0 && at < n; at++) {
        size_t begin = at, word = s->word_count, chars = s->chars, lines = s->line_count;
        status = scan_line(s, &at, err);
        if (status == 0)
            status = end_line(s, begin, at, word, chars, err);
        s->newlines += at < n;
        if (status == 0 && s->line_count > lines) {
            s->lines[lines].after_blank = blank;
            blank = false;
        } else {
            blank = true;
        }
    }
    s->chars += s->newlines;
    s->counts[ML_CHAR_SPACE] += s->newlines;
    return status;
}

void ml_word_scan_clear(struct ml_word_scan *s)
{
    if (!s)
        return;
    ml_mem_free(s->words);
    ml_mem_free(s->lines);
    *s = (struct ml_word_scan){0};
}

uint64_t ml_word_hash(const char *word, size_t n)
{
    struct ml_word_scan scan = {.text = word, .bytes = n};
    uint64_t hash = 0;
    /* Through the same code, so that both agree for ever. */
    if (ml_word_scan(&scan, word, n, NULL) == 0 && scan.word_count == 1)
        hash = scan.words[0].hash;
    ml_word_scan_clear(&scan);
    return hash;
}
