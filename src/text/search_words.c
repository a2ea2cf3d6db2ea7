#include "text/search_words.h"

#include <string.h>

#include "base/fail.h"

/* The hash of an ASCII word in the singular: "stories" is "story", "brushes" is "brush", "cats" is
 * "cat"; "glass", "bus" and "is" stay (Harman 1991's s-stemmer). Other words: their own hash. */
static uint64_t stem(const struct ml_word_scan *s, const struct ml_scan_word *w)
{
    char word[40];
    size_t n = w->bytes;
    if (n < 4 || n >= sizeof word)
        return w->hash;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s->text[w->start + i];
        if (c >= 0x80)
            return w->hash;
        word[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    if (word[n - 1] != 's' || strchr("su'", word[n - 2]))
        return w->hash;
    if (n > 4 && memcmp(word + n - 3, "ies", 3) == 0 && !strchr("ae", word[n - 4])) {
        word[n - 3] = 'y';
        n -= 2;
    } else if (n > 4 && word[n - 2] == 'e' &&
               (strchr("xz", word[n - 3]) || (word[n - 3] == 'h' && strchr("sc", word[n - 4])) ||
                (word[n - 3] == 's' && word[n - 4] == 's'))) {
        n -= 2;
    } else {
        n -= 1;
    }
    return ml_word_hash(word, n);
}

static void put(struct ml_search_words *out, uint64_t hash, size_t start, size_t end, bool pair)
{
    out->words[out->count++] = (struct ml_search_word){
        .hash = hash, .start = (uint32_t)start, .bytes = (uint32_t)(end - start), .pair = pair};
}

int ml_search_words_find(struct ml_search_words *out, const char *text, size_t n,
                         struct ml_error *err)
{
    int status = ml_word_scan(&out->scan, text, n, err);
    if (status)
        return status;
    const struct ml_word_scan *s = &out->scan;
    if (out->capacity < 2 * s->word_count) {
        size_t capacity = 4 * s->word_count;
        struct ml_search_word *grown = ml_mem_realloc(out->words, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory looking for words");
        out->words = grown;
        out->capacity = capacity;
    }
    out->count = 0;
    for (size_t i = 0; i < s->word_count; i++) {
        const struct ml_scan_word *w = &s->words[i], *before = i ? w - 1 : NULL;
        size_t end = w->start + w->bytes;
        if (!(w->flags & ML_WORD_SOLID))
            continue;
        put(out, w->flags & ML_WORD_IDEOGRAPH ? w->hash : stem(s, w), w->start, end, false);
        if (before && (w->flags & before->flags & ML_WORD_IDEOGRAPH) &&
            before->start + before->bytes == w->start)
            put(out, before->hash * 0x9E3779B97F4A7C15u ^ w->hash, before->start, end, true);
    }
    return 0;
}

void ml_search_words_clear(struct ml_search_words *words)
{
    if (!words)
        return;
    ml_word_scan_clear(&words->scan);
    ml_mem_free(words->words);
    *words = (struct ml_search_words){0};
}
