#include "data/subtitle.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"

struct line {
    const char *text;
    size_t n;
};

static bool next_line(const char *text, size_t n, size_t *at, struct line *out)
{
    if (*at >= n)
        return false;
    const char *end = memchr(text + *at, '\n', n - *at);
    size_t stop = end ? (size_t)(end - text) : n;
    *out = (struct line){text + *at, stop - *at};
    while (out->n > 0 && strchr(" \t", out->text[out->n - 1]))
        out->n--;
    *at = stop + 1;
    return true;
}

/* ---- times ---- */

/* Reads "1:02:03,5" or "02:03.500"; how many bytes it took, 0: it is no time. */
static size_t read_time(const char *text, size_t n, int64_t *ms)
{
    int64_t parts = 0, value = 0, total = 0;
    size_t i = 0, digits = 0;
    for (; i < n && ((text[i] >= '0' && text[i] <= '9') || text[i] == ':'); i++) {
        if (text[i] == ':') {
            if (digits == 0 || ++parts > 2)
                return 0;
            total = (total + value) * 60;
            value = 0;
            digits = 0;
        } else if (++digits > 6) {
            return 0;
        } else {
            value = value * 10 + (text[i] - '0');
        }
    }
    if (parts == 0 || digits == 0)
        return 0;
    int64_t fraction = 0, scale = 100;
    if (i < n && (text[i] == ',' || text[i] == '.'))
        for (i++; i < n && text[i] >= '0' && text[i] <= '9'; i++, scale /= 10)
            fraction += scale * (text[i] - '0');
    *ms = (total + value) * 1000 + fraction;
    return i;
}

/* "00:00:01,000 --> 00:00:02,000 settings". */
static bool read_times(struct line line, struct ml_cue *cue)
{
    const char *arrow = memmem(line.text, line.n, "-->", 3);
    if (!arrow)
        return false;
    size_t from = 0, to = (size_t)(arrow - line.text) + 3;
    while (from < line.n && line.text[from] == ' ')
        from++;
    while (to < line.n && line.text[to] == ' ')
        to++;
    return read_time(line.text + from, line.n - from, &cue->start) > 0 &&
           read_time(line.text + to, line.n - to, &cue->end) > 0;
}

/* ---- words ---- */

/* What an entity of WebVTT stands for, and how long it is; 0: it is none. */
static size_t entity(const char *text, size_t n, const char **out)
{
    static const struct {
        const char *name, *text;
    } known[] = {{"&amp;", "&"},  {"&lt;", "<"}, {"&gt;", ">"},
                 {"&nbsp;", " "}, {"&lrm;", ""}, {"&rlm;", ""}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t length = strlen(known[i].name);
        if (n >= length && memcmp(text, known[i].name, length) == 0) {
            *out = known[i].text;
            return length;
        }
    }
    return 0;
}

/* The length of a tag, <i> or {\an8}, at the beginning of the text; 0: a bracket like any other. */
static size_t tag_length(const char *text, size_t n, bool ass)
{
    const char *end;
    if (text[0] == '{' && n > 1 && (ass || text[1] == '\\'))
        end = memchr(text, '}', n);
    else if (!ass && text[0] == '<' && n > 1 && text[1] != ' ' && text[1] != '<')
        end = memchr(text, '>', n < 200 ? n : 200);
    else
        return 0;
    return end ? (size_t)(end - text) + 1 : 0;
}

static int put_words(struct ml_subtitle *s, const char *text, size_t n, bool ass,
                     struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; i < n && status == 0;) {
        const char *word = text + i;
        size_t length = 1, took = tag_length(text + i, n - i, ass);
        if (took > 0) {
            length = 0;
        } else if (!ass && text[i] == '&' && (took = entity(text + i, n - i, &word)) > 0) {
            length = strlen(word);
        } else if (ass && text[i] == '\\' && i + 1 < n && strchr("Nnh", text[i + 1])) {
            word = text[i + 1] == 'h' ? " " : "\n";
            took = 2;
        } else {
            took = 1;
        }
        if (length > 0)
            status = ml_buffer_put(&s->words, word, length, err);
        i += took;
    }
    return status;
}

/* Ends the cue whose words begin at cue->at. */
static int add_cue(struct ml_subtitle *s, struct ml_cue cue, struct ml_error *err)
{
    struct ml_buffer *w = &s->words;
    while (w->size > cue.at && strchr(" \t\n", w->data[w->size - 1]))
        w->size--;
    cue.size = w->size - cue.at;
    if (cue.end < cue.start)
        s->bad++;
    if (cue.size == 0 || cue.end < cue.start) {
        w->size = cue.at;
        return 0;
    }
    if (s->count == ML_SUBTITLE_MAX_CUES)
        return ml_fail(err, ML_ERR_LIMIT, "more than %d subtitles", ML_SUBTITLE_MAX_CUES);
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 256;
        struct ml_cue *grown = ml_mem_realloc(s->cues, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory reading subtitles");
        s->cues = grown;
        s->capacity = capacity;
    }
    s->cues[s->count++] = cue;
    return 0;
}

/* ---- SRT and WebVTT ---- */

static int read_cues(struct ml_subtitle *s, const char *text, size_t n, struct ml_error *err)
{
    struct line line;
    size_t at = 0;
    int status = 0;
    while (status == 0 && next_line(text, n, &at, &line)) {
        struct ml_cue cue = {.at = s->words.size};
        if (!read_times(line, &cue)) /* numbers, names, notes, styles */
            continue;
        while (status == 0 && next_line(text, n, &at, &line) && line.n > 0) {
            if (s->words.size > cue.at)
                status = ml_buffer_put(&s->words, "\n", 1, err);
            if (status == 0)
                status = put_words(s, line.text, line.n, false, err);
        }
        if (status == 0)
            status = add_cue(s, cue, err);
    }
    return status;
}

/* ---- ASS and SSA ---- */

/* Which fields of an event's line are what; the text is the last one and may hold commas. */
struct columns {
    int start, end, text;
};

static bool begins(struct line line, const char *word)
{
    size_t n = strlen(word);
    return line.n >= n && strncasecmp(line.text, word, n) == 0;
}

static void read_columns(struct line line, struct columns *columns)
{
    int i = 0;
    for (size_t at = 7; at <= line.n; i++) { /* behind "Format:" */
        const char *comma = memchr(line.text + at, ',', line.n - at);
        size_t stop = comma ? (size_t)(comma - line.text) : line.n;
        while (at < stop && line.text[at] == ' ')
            at++;
        struct line name = {line.text + at, stop - at};
        if (begins(name, "Start"))
            columns->start = i;
        else if (begins(name, "End"))
            columns->end = i;
        else if (begins(name, "Text"))
            columns->text = i;
        at = stop + 1;
    }
}

/* {\p1} draws with what would be words. */
static bool is_drawing(const char *text, size_t n)
{
    for (size_t i = 0; i + 2 < n; i++)
        if (text[i] == '\\' && text[i + 1] == 'p' && text[i + 2] >= '1' && text[i + 2] <= '9')
            return true;
    return false;
}

static int read_event(struct ml_subtitle *s, struct line line, const struct columns *columns,
                      struct ml_error *err)
{
    struct ml_cue cue = {.at = s->words.size};
    size_t at = strlen("Dialogue:");
    bool timed[2] = {false, false};
    for (int i = 0; i < columns->text; i++) {
        while (at < line.n && line.text[at] == ' ')
            at++;
        if (i == columns->start)
            timed[0] = read_time(line.text + at, line.n - at, &cue.start) > 0;
        else if (i == columns->end)
            timed[1] = read_time(line.text + at, line.n - at, &cue.end) > 0;
        const char *comma = at < line.n ? memchr(line.text + at, ',', line.n - at) : NULL;
        if (!comma)
            return 0;
        at = (size_t)(comma - line.text) + 1;
    }
    if (!timed[0] || !timed[1]) {
        s->bad++;
        return 0;
    }
    if (is_drawing(line.text + at, line.n - at))
        return 0;
    int status = put_words(s, line.text + at, line.n - at, true, err);
    return status ? status : add_cue(s, cue, err);
}

static int by_start(const void *a, const void *b)
{
    const struct ml_cue *x = a, *y = b;
    return x->start != y->start ? (x->start < y->start ? -1 : 1)
           : x->at != y->at     ? (x->at < y->at ? -1 : 1)
                                : 0;
}

static int read_events(struct ml_subtitle *s, const char *text, size_t n, struct ml_error *err)
{
    struct columns columns = {.start = 1, .end = 2, .text = 9};
    struct line line;
    size_t at = 0;
    bool events = false;
    int status = 0;
    while (status == 0 && next_line(text, n, &at, &line)) {
        if (line.n > 0 && line.text[0] == '[')
            events = begins(line, "[Events]");
        else if (events && begins(line, "Format:"))
            read_columns(line, &columns);
        else if (events && begins(line, "Dialogue:"))
            status = read_event(s, line, &columns, err);
    }
    if (s->count > 1) /* ASS may hold its events in any order */
        qsort(s->cues, s->count, sizeof s->cues[0], by_start);
    return status;
}

int ml_subtitle_parse(struct ml_subtitle *out, const char *text, size_t n, struct ml_error *err)
{
    struct ml_subtitle parsed = {0};
    bool ass = n >= 8 && (memmem(text, n < 4096 ? n : 4096, "[Script Info]", 13) ||
                          memmem(text, n < 4096 ? n : 4096, "[Events]", 8));
    int status = ass ? read_events(&parsed, text, n, err) : read_cues(&parsed, text, n, err);
    if (status == 0 && parsed.count == 0)
        status = ml_fail(err, ML_ERR_FORMAT, "no subtitle with times was found");
    if (status) {
        ml_subtitle_clear(&parsed);
        return status;
    }
    *out = parsed;
    return 0;
}

void ml_subtitle_clear(struct ml_subtitle *s)
{
    ml_mem_free(s->cues);
    ml_buffer_clear(&s->words);
    *s = (struct ml_subtitle){0};
}
