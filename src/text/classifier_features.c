/* From text to the rows of weights that are added up (text/classifier_impl.h). */
#include <math.h>

#include "base/fail.h"
#include "text/classifier_impl.h"

#define MULTIPLIER 0xD6E8FEB86659FD93u
#define BLANK      0x20u

enum { CHAR_N_MAX = 8 };

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * MULTIPLIER;
    return hash ^ hash >> 32;
}

static int reserve(struct ml_classifier_work *work, size_t more, struct ml_error *err)
{
    if (work->count + more <= work->capacity)
        return 0;
    size_t capacity = 2 * (work->count + more) + 256;
    uint32_t *rows = ml_mem_realloc(work->rows, capacity * sizeof *rows);
    if (!rows)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory classifying a text");
    work->rows = rows;
    work->capacity = capacity;
    return 0;
}

/* Needs room. */
static void put(struct ml_classifier_work *work, const struct ml_feature_plan *plan, uint64_t hash)
{
    work->rows[work->count++] = (uint32_t)((hash * MULTIPLIER) >> (64 - plan->bits));
}

/* ---- words ---- */

/* n-grams of characters of one word, with marks for its two ends. */
static int put_inner(struct ml_classifier_work *work, const struct ml_feature_plan *plan,
                     const struct ml_scan_word *word, const char *text, struct ml_error *err)
{
    uint32_t chars[64] = {'<'};
    int n = 1;
    const char *at = text + word->start, *end = at + word->bytes;
    while (at < end && n < 62) {
        uint32_t c;
        at += ml_char_next(at, &c);
        chars[n++] = ml_char_lower(c);
    }
    chars[n++] = '>';
    int status = reserve(work, (size_t)n * (size_t)(plan->char_max - plan->char_min + 1), err);
    for (int i = 0; status == 0 && i < n; i++) {
        uint64_t hash = 0;
        for (int length = 1; length <= plan->char_max && i + length <= n; length++) {
            hash = mix(hash, chars[i + length - 1]);
            if (length >= plan->char_min && length < n)
                put(work, plan, hash + 1);
        }
    }
    return status;
}

static int find_words(struct ml_classifier_work *work, const struct ml_feature_plan *plan,
                      struct ml_error *err)
{
    const struct ml_word_scan *s = &work->scan;
    int status = reserve(work, s->word_count * (size_t)plan->word_n, err);
    for (size_t i = 0; status == 0 && i < s->word_count; i++) {
        uint64_t hash = 0;
        for (size_t n = 0; n < (size_t)plan->word_n && i + n < s->word_count; n++) {
            hash = mix(hash, s->words[i + n].hash);
            put(work, plan, hash);
        }
    }
    for (size_t i = 0; status == 0 && plan->char_max > 0 && i < s->word_count; i++)
        if (!(s->words[i].flags & ML_WORD_IDEOGRAPH) && (s->words[i].flags & ML_WORD_LETTER))
            status = put_inner(work, plan, &s->words[i], s->text, err);
    return status;
}

/* ---- characters ---- */

/* Letters in lower case; everything between them is one blank. */
static int find_chars(struct ml_classifier_work *work, const struct ml_feature_plan *plan,
                      const char *text, size_t size, struct ml_error *err)
{
    uint32_t last[CHAR_N_MAX] = {BLANK}; /* the newest first */
    int known = 1;
    int status = reserve(work, (size + 1) * (size_t)(plan->char_max - plan->char_min + 1), err);
    for (size_t at = 0; status == 0 && at <= size;) {
        uint32_t c = BLANK;
        if (at < size) {
            at += ml_char_next(text + at, &c);
            enum ml_char_class class = ml_char_class(c);
            bool letter = class == ML_CHAR_LETTER || class >= ML_CHAR_HAN || class == ML_CHAR_MARK;
            c = letter ? ml_char_lower(c) : BLANK;
        } else {
            at++;
        }
        if (c == BLANK && last[0] == BLANK)
            continue;
        for (int i = CHAR_N_MAX - 1; i > 0; i--)
            last[i] = last[i - 1];
        last[0] = c;
        known += known < CHAR_N_MAX;
        uint64_t hash = 0;
        for (int n = 1; n <= plan->char_max && n <= known; n++) {
            hash = mix(hash, last[n - 1]);
            if (n >= plan->char_min && !(n == 1 && c == BLANK))
                put(work, plan, hash);
        }
    }
    return status;
}

int ml_features_find(struct ml_classifier_work *work, const struct ml_feature_plan *plan,
                     const char *text, size_t size, struct ml_error *err)
{
    work->count = 0;
    if (plan->features == ML_FEATURES_CHARS)
        return find_chars(work, plan, text, size, err);
    int status = ml_word_scan(&work->scan, text, size, err);
    return status ? status : find_words(work, plan, err);
}

/* Words: a text has length 1 however long it is. Characters: the mean of its features, so that a
 * page is not a thousand times as sure as a line, but sharper. */
float ml_features_weight(const struct ml_feature_plan *plan, size_t count)
{
    if (count == 0)
        return 0;
    return plan->features == ML_FEATURES_WORDS ? 1 / sqrtf((float)count) : 8 / (float)count;
}
