#include "data/quality.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"

#define BASE 0xD6E8FEB86659FD93u /* of the rolling hash; odd */

/* Which n-gram stands in a slot, and how often it was seen. */
struct ml_quality_slot {
    uint32_t tag, count;
};

static double share(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* ---- memory ---- */

static void free_sums(struct ml_quality *q)
{
    ml_mem_free(q->sums);
    ml_mem_free(q->chars);
    ml_mem_free(q->places);
    ml_mem_free(q->repeats);
}

static int make_room(struct ml_quality *q, size_t words, size_t lines, struct ml_error *err)
{
    size_t most = words > lines ? words : lines, slots = 256;
    while (slots < 2 * most)
        slots *= 2;
    if (slots > q->slot_capacity) {
        ml_mem_free(q->slots);
        q->slots = ml_mem_alloc(slots * sizeof *q->slots);
        q->slot_capacity = q->slots ? slots : 0;
    }
    if (words + 1 > q->sum_capacity) {
        free_sums(q);
        q->sums = ml_mem_alloc((words + 1) * 2 * sizeof *q->sums);
        q->chars = ml_mem_alloc((words + 1) * 2 * sizeof *q->chars);
        q->places = ml_mem_alloc((words + 1) * 4 * sizeof *q->places);
        q->repeats = ml_mem_alloc((words + 1) * 2);
        q->sum_capacity = q->sums && q->chars && q->places && q->repeats ? (words + 1) * 2 : 0;
    }
    if (!q->slot_capacity || !q->sum_capacity)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory judging a text");
    return 0;
}

void ml_quality_clear(struct ml_quality *q)
{
    if (!q)
        return;
    ml_mem_free(q->slots);
    free_sums(q);
    *q = (struct ml_quality){0};
}

/* ---- a table of what was seen ---- */

struct table {
    struct ml_quality_slot *slots;
    uint64_t mask;
};

static struct table table_for(struct ml_quality *q, size_t entries)
{
    size_t size = 256;
    while (size < 2 * entries)
        size *= 2;
    memset(q->slots, 0, size * sizeof *q->slots);
    return (struct table){q->slots, size - 1};
}

/* The slot of a key, with its tag set. Two keys that share 32 bits of tag and a place in the table
 * are taken for one: some 1 in 10^9 for texts of ordinary length. */
static struct ml_quality_slot *find(const struct table *t, uint64_t key)
{
    uint32_t tag = (uint32_t)(key >> 32) | 1;
    uint64_t at = key & t->mask;
    while (t->slots[at].tag && t->slots[at].tag != tag)
        at = (at + 1) & t->mask;
    t->slots[at].tag = tag;
    return &t->slots[at];
}

/* ---- words ---- */

static bool is_cjk(const struct ml_word_scan *s)
{
    size_t ideographs = s->counts[ML_CHAR_HAN] + s->counts[ML_CHAR_KANA];
    return 2 * ideographs > s->counts[ML_CHAR_LETTER] + s->counts[ML_CHAR_HANGUL] + ideographs;
}

static void learn_stop_words(struct ml_quality *q, const char *language)
{
    const char *const *list = ml_stop_words(language);
    snprintf(q->language, sizeof q->language, "%s", language);
    q->stop_count = 0;
    for (; list && q->stop_count < ML_STOP_WORDS && list[q->stop_count]; q->stop_count++)
        q->stops[q->stop_count] = ml_word_hash(list[q->stop_count], strlen(list[q->stop_count]));
}

/* Rules ask for two, so counting ends early. */
static double count_stop_words(struct ml_quality *q, const struct ml_word_scan *s,
                               const char *language)
{
    enum { ENOUGH = 6 };
    uint64_t hashes[ML_STOP_WORDS];
    if (language && strcmp(q->language, language) != 0)
        learn_stop_words(q, language);
    if (!language || q->stop_count == 0)
        return NAN;
    int count = q->stop_count, found = 0;
    memcpy(hashes, q->stops, sizeof hashes);
    for (size_t i = 0; i < s->word_count && count > 0 && found < ENOUGH; i++)
        for (int k = 0; k < count; k++)
            if (s->words[i].hash == hashes[k]) {
                hashes[k] = hashes[--count];
                found++;
                break;
            }
    return found;
}

static void measure_words(struct ml_quality *q, const struct ml_word_scan *s, const char *language)
{
    size_t solid = 0, letters = 0, chars = 0, longest = 0;
    for (size_t i = 0; i < s->word_count; i++) {
        const struct ml_scan_word *w = &s->words[i];
        size_t is_solid = w->flags & ML_WORD_SOLID;
        solid += is_solid;
        chars += is_solid * w->chars;
        letters += (w->flags & ML_WORD_LETTER) != 0;
        longest = w->chars > longest ? w->chars : longest;
    }
    size_t visible = s->chars - s->counts[ML_CHAR_SPACE];
    size_t native = s->counts[ML_CHAR_HAN] + s->counts[ML_CHAR_KANA] + s->counts[ML_CHAR_HANGUL];
    q->metric[ML_METRIC_WORDS] = (double)solid;
    q->metric[ML_METRIC_WORD_LENGTH] = share((double)chars, (double)solid);
    q->metric[ML_METRIC_ALPHA_WORDS] = share((double)letters, (double)s->word_count);
    q->metric[ML_METRIC_LONGEST_WORD] = (double)longest;
    q->metric[ML_METRIC_NATIVE] = share((double)native, (double)visible);
    q->metric[ML_METRIC_PUNCTUATION] = share(
        (double)(s->counts[ML_CHAR_PUNCTUATION] + s->counts[ML_CHAR_SYMBOL]), (double)visible);
    q->metric[ML_METRIC_NEWLINES] = share((double)s->newlines, (double)s->word_count);
    q->metric[ML_METRIC_STOP_WORDS] = count_stop_words(q, s, language);
}

/* ---- single characters ---- */

static size_t count_byte(const char *text, size_t n, char c)
{
    size_t count = 0;
    for (const char *at = text, *end = text + n;
         at < end && (at = memchr(at, c, (size_t)(end - at))); at++)
        count++;
    return count;
}

static size_t count_ellipses(const char *text, size_t n)
{
    size_t count = 0, at = 0;
    while (at + 2 < n) {
        const char *dot = memchr(text + at, '.', n - at - 2);
        if (!dot)
            break;
        at = (size_t)(dot - text) + 1;
        if (text[at] == '.' && text[at + 1] == '.') {
            count++;
            at += 2;
        }
    }
    for (at = 0; at + 2 < n;) {
        const char *mark = memchr(text + at, '\xE2', n - at - 2);
        if (!mark)
            break;
        count += mark[1] == '\x80' && mark[2] == '\xA6';
        at = (size_t)(mark - text) + 1;
    }
    return count;
}

static bool has_lorem_ipsum(const char *text, size_t n)
{
    for (size_t at = 0; at + 11 <= n; at++) {
        const char *p = memchr(text + at, 'p', n - at); /* "ipsum": rarer than l or m */
        if (!p)
            return false;
        at = (size_t)(p - text);
        if (at >= 7 && at + 4 <= n && strncasecmp(text + at - 7, "lorem ipsum", 11) == 0)
            return true;
    }
    return false;
}

static void measure_bytes(struct ml_quality *q, const struct ml_word_scan *s)
{
    double words = q->metric[ML_METRIC_WORDS];
    q->metric[ML_METRIC_HASHES] = share((double)count_byte(s->text, s->bytes, '#'), words);
    q->metric[ML_METRIC_ELLIPSES] = share((double)count_ellipses(s->text, s->bytes), words);
    q->metric[ML_METRIC_BRACES] = (double)count_byte(s->text, s->bytes, '{');
    q->metric[ML_METRIC_LOREM_IPSUM] = has_lorem_ipsum(s->text, s->bytes);
}

/* ---- lines ---- */

/* The last character of a line, closing quotes and brackets passed over. */
static uint32_t last_char(const char *text, size_t n)
{
    uint32_t c = 0;
    while (n > 0) {
        size_t at = n - 1;
        while (at > 0 && ((uint8_t)text[at] & 0xC0) == 0x80)
            at--;
        ml_char_next(text + at, &c);
        bool closing = c == '"' || c == '\'' || c == ')' || c == ']' || c == 0x201D ||
                       c == 0x2019 || c == 0xBB || c == 0x300D || c == 0x300F || c == 0xFF09 ||
                       c == 0x300B;
        if (!closing)
            break;
        n = at;
    }
    return c;
}

static bool ends_sentence(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x3002 || c == 0xFF01 ||
           c == 0xFF1F || c == 0xFF0E || c == 0x61F || c == 0x6D4 || c == 0x964 || c == 0xFF61;
}

static bool is_bullet(const char *line, size_t n)
{
    static const char *const marks[] = {"\xE2\x80\xA2", "\xC2\xB7", "\xE2\x97\x8F", "\xE2\x96\xA0",
                                        "\xE2\x80\xA3"};
    if (n >= 2 && (line[0] == '-' || line[0] == '*') && line[1] == ' ')
        return true;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (n >= strlen(marks[i]) && memcmp(line, marks[i], strlen(marks[i])) == 0)
            return true;
    return false;
}

/* Bytes at which a sentence may end: . ! ? and the first byte of wide characters. */
static const uint8_t may_end[256] = {['.'] = 1,  ['!'] = 1,  ['?'] = 1,  [0xD8] = 2, [0xDB] = 2,
                                     [0xE0] = 2, [0xE2] = 2, [0xE3] = 2, [0xEF] = 2};

/* Sentences of a line: its ends of sentences before a blank (or anywhere for full-width marks),
 * and what follows the last one. */
static size_t count_sentences(const char *line, size_t n)
{
    size_t count = 0, begin = 0;
    for (size_t at = 0; at < n;) {
        while (at < n && !may_end[(uint8_t)line[at]])
            at++;
        if (at == n)
            break;
        uint32_t c;
        size_t length = ml_char_next(line + at, &c), next = at + length;
        bool end =
            length > 1 ? ends_sentence(c) : next == n || line[next] == ' ' || line[next] == '"';
        if (end) {
            count += at > begin;
            while (next < n && (line[next] == ' ' || line[next] == '"'))
                next++;
            begin = next;
        }
        at = next;
    }
    return count + (n > begin + 1);
}

struct line_sums {
    size_t bullets, ellipses, ended, short_ones, sentences, repeated, repeated_chars, chars;
    size_t paragraphs, repeated_paragraphs, repeated_paragraph_chars;
};

static void add_line(const struct ml_quality *q, const struct ml_word_scan *s,
                     const struct ml_scan_line *line, struct line_sums *sums)
{
    const char *text = s->text + line->start;
    size_t n = line->bytes;
    uint32_t last = last_char(text, n);
    sums->bullets += is_bullet(text, n);
    sums->ellipses += last == 0x2026 || (n >= 3 && memcmp(text + n - 3, "...", 3) == 0);
    sums->ended += ends_sentence(last);
    sums->short_ones += line->chars <= (q->cjk ? 15u : 30u);
    sums->sentences += count_sentences(text, n);
    sums->chars += line->chars;
}

/* Paragraphs are runs of lines between blank ones. */
static void repeated_paragraphs(struct ml_quality *q, const struct ml_word_scan *s,
                                struct line_sums *sums)
{
    struct table t = table_for(q, s->line_count);
    for (size_t i = 0; i < s->line_count;) {
        size_t end = i + 1, chars = s->lines[i].chars;
        for (; end < s->line_count && !s->lines[end].after_blank; end++)
            chars += s->lines[end].chars;
        const struct ml_scan_line *last = &s->lines[end - 1];
        uint64_t key = ml_scan_hash(s->text + s->lines[i].start,
                                    last->start + last->bytes - s->lines[i].start);
        struct ml_quality_slot *slot = find(&t, key);
        sums->paragraphs++;
        if (slot->count++) {
            sums->repeated_paragraphs++;
            sums->repeated_paragraph_chars += chars;
        }
        i = end;
    }
}

static void measure_lines(struct ml_quality *q, const struct ml_word_scan *s)
{
    struct line_sums sums = {0};
    struct table t = table_for(q, s->line_count);
    for (size_t i = 0; i < s->line_count; i++) {
        const struct ml_scan_line *line = &s->lines[i];
        add_line(q, s, line, &sums);
        struct ml_quality_slot *slot = find(&t, ml_scan_hash(s->text + line->start, line->bytes));
        if (slot->count++) {
            sums.repeated++;
            sums.repeated_chars += line->chars;
        }
    }
    repeated_paragraphs(q, s, &sums);
    double lines = (double)s->line_count, chars = (double)sums.chars;
    q->metric[ML_METRIC_BULLET_LINES] = share((double)sums.bullets, lines);
    q->metric[ML_METRIC_ELLIPSIS_LINES] = share((double)sums.ellipses, lines);
    q->metric[ML_METRIC_ENDED_LINES] = share((double)sums.ended, lines);
    q->metric[ML_METRIC_SHORT_LINES] = share((double)sums.short_ones, lines);
    q->metric[ML_METRIC_SENTENCES] = (double)sums.sentences;
    q->metric[ML_METRIC_DUP_LINES] = share((double)sums.repeated, lines);
    q->metric[ML_METRIC_DUP_LINE_CHARS] = share((double)sums.repeated_chars, chars);
    q->metric[ML_METRIC_DUP_PARAGRAPHS] =
        share((double)sums.repeated_paragraphs, (double)sums.paragraphs);
    q->metric[ML_METRIC_DUP_PARAGRAPH_CHARS] = share((double)sums.repeated_paragraph_chars, chars);
}

/* ---- n-grams ---- */

/* sums[i] is the hash of the first i words as a polynomial in BASE, so that any run's hash is one
 * multiplication and one subtraction. */
static void sum_words(struct ml_quality *q, const struct ml_word_scan *s)
{
    q->sums[0] = q->chars[0] = 0;
    for (size_t i = 0; i < s->word_count; i++) {
        q->sums[i + 1] = q->sums[i] * BASE + s->words[i].hash;
        q->chars[i + 1] = q->chars[i] + s->words[i].chars;
    }
}

static uint64_t run_key(const struct ml_quality *q, size_t at, size_t n, uint64_t power)
{
    uint64_t hash = q->sums[at + n] - q->sums[at] * power;
    hash = (hash ^ hash >> 32) * BASE;
    return hash ^ hash >> 29;
}

static uint64_t power_of(size_t n)
{
    uint64_t power = 1;
    while (n--)
        power *= BASE;
    return power;
}

/* Runs of `length` words that occur more than once: where they begin, in order, and the slot of
 * each. A longer run can only repeat where the shorter ones at both its ends do, so after the
 * pairs, which are looked at everywhere, there are few left. */
struct runs {
    uint32_t *at, *slots;
    uint8_t *repeats; /* [words]: 1 where one begins */
    size_t count, words, length;
};

/* All runs of n words, whether they repeat or not. */
static void all_runs(struct runs *r, size_t n)
{
    r->count = r->words >= n ? r->words - n + 1 : 0;
    for (size_t i = 0; i < r->count; i++)
        r->at[i] = (uint32_t)i;
    memset(r->repeats, 1, r->words);
    r->length = n;
}

/* From runs of r->length words to runs of n. */
static struct table lengthen(struct ml_quality *q, struct runs *r, size_t n)
{
    uint64_t power = power_of(n);
    size_t more = n - r->length, kept = 0;
    for (size_t i = 0; i < r->count; i++) { /* without branches: which stay is hard to foresee */
        uint32_t at = r->at[i];
        r->at[kept] = at;
        kept += at + n <= r->words && r->repeats[at + more];
    }
    struct table t = table_for(q, kept);
    for (size_t i = 0; i < kept; i++) {
        struct ml_quality_slot *slot = find(&t, run_key(q, r->at[i], n, power));
        slot->count++;
        r->slots[i] = (uint32_t)(slot - t.slots);
    }
    memset(r->repeats, 0, r->words);
    r->count = 0;
    for (size_t i = 0; i < kept; i++) {
        uint32_t at = r->at[i], slot = r->slots[i];
        bool repeats = t.slots[slot].count > 1;
        r->at[r->count] = at;
        r->slots[r->count] = slot;
        r->count += repeats;
        r->repeats[at] = repeats;
    }
    r->length = n;
    return t;
}

/* Characters of the run that covers most of the text. */
static uint64_t top_run(const struct ml_quality *q, const struct runs *r, const struct table *t)
{
    uint64_t best = 0;
    for (size_t i = 0; i < r->count; i++) {
        size_t at = r->at[i];
        uint64_t chars = t->slots[r->slots[i]].count * (q->chars[at + r->length] - q->chars[at]);
        best = chars > best ? chars : best;
    }
    return best;
}

/* Characters in runs that were seen before; one that repeats is passed over whole. A slot that was
 * seen gets a count of 0. */
static uint64_t repeated_runs(const struct ml_quality *q, const struct runs *r,
                              const struct table *t)
{
    uint64_t repeated = 0;
    size_t free_from = 0;
    for (size_t i = 0; i < r->count; i++) {
        size_t at = r->at[i];
        struct ml_quality_slot *slot = &t->slots[r->slots[i]];
        if (at < free_from)
            continue;
        if (slot->count == 0) {
            repeated += q->chars[at + r->length] - q->chars[at];
            free_from = at + r->length;
        }
        slot->count = 0;
    }
    return repeated;
}

static void measure_runs(struct ml_quality *q, const struct ml_word_scan *s)
{
    size_t scale = q->cjk ? 2 : 1;
    struct runs r = {.at = q->places,
                     .slots = q->places + q->sum_capacity,
                     .repeats = q->repeats,
                     .words = s->word_count};
    sum_words(q, s);
    all_runs(&r, scale);
    double all = (double)q->chars[s->word_count];
    for (size_t n = 2; n <= 10; n++) {
        struct table t = lengthen(q, &r, n * scale);
        if (n <= 4)
            q->metric[ML_METRIC_TOP_2GRAM + n - 2] = share((double)top_run(q, &r, &t), all);
        else
            q->metric[ML_METRIC_DUP_5GRAM + n - 5] = share((double)repeated_runs(q, &r, &t), all);
    }
}

/* ---- the verdict ---- */

static const struct ml_quality_rule *first_broken(const struct ml_quality *q,
                                                  const struct ml_quality_plan *plan)
{
    for (int i = 0; i < plan->count; i++) {
        double value = q->metric[plan->rules[i]->metric];
        double low = q->cjk ? plan->low_cjk[i] : plan->low[i];
        double high = q->cjk ? plan->high_cjk[i] : plan->high[i];
        if (value < low || value > high) /* NaN breaks nothing */
            return plan->rules[i];
    }
    return NULL;
}

int ml_quality_judge(struct ml_quality *q, const struct ml_quality_plan *plan,
                     const struct ml_word_scan *scan, const char *language,
                     const struct ml_quality_rule **broken, struct ml_error *err)
{
    int status = make_room(q, scan->word_count, scan->line_count, err);
    if (status)
        return status;
    for (int i = 0; i < ML_METRIC_COUNT; i++)
        q->metric[i] = NAN;
    q->cjk = is_cjk(scan);
    measure_words(q, scan, language);
    measure_bytes(q, scan);
    measure_lines(q, scan);
    const struct ml_quality_rule *found = first_broken(q, plan);
    if (!found && plan->repetition) {
        measure_runs(q, scan);
        found = first_broken(q, plan);
    }
    *broken = found;
    return 0;
}
