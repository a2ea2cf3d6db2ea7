/* Cutting text into the words inside which pairs are merged. Private to src/text. */
#ifndef ML_TEXT_PRETOKENIZE_H
#define ML_TEXT_PRETOKENIZE_H

#include "text/tokenizer.h"

/* A word is at most this long: a longer run is cut, so that hostile text costs linear time. */
#define ML_WORD_MAX_BYTES (1 << 20)

/* One row a pre-tokeniser. */
struct ml_word_rule {
    const char *name;       /* ours: "qwen2" */
    const char *llama_name; /* llama.cpp's: "qwen2" */
    const char *split;      /* regular expression of tokenizer.json's Split; NULL: other steps */
    const char *pattern;    /* the same for PCRE2; NULL: single characters */
};
const struct ml_word_rule *ml_word_rule(enum ml_pretokenizer which);

/* A compiled rule: immutable, shared by threads. */
struct ml_word_pattern;
int ml_word_pattern_new(struct ml_word_pattern **out, enum ml_pretokenizer which,
                        struct ml_error *err);
void ml_word_pattern_free(struct ml_word_pattern *pattern);

/* Walks over the words of one text after another. One a thread. Bytes that are not UTF-8 are words
 * of one byte. */
struct ml_word_cursor {
    const struct ml_word_pattern *pattern;
    void *match; /* pcre2_match_data */
    const char *text;
    size_t size, at;
    size_t valid_end; /* text[at..valid_end) is valid UTF-8 */
};
int ml_word_cursor_init(struct ml_word_cursor *cursor, const struct ml_word_pattern *pattern,
                        struct ml_error *err);
void ml_word_cursor_clear(struct ml_word_cursor *cursor);
void ml_word_cursor_start(struct ml_word_cursor *cursor, const char *text, size_t size);
/* 1 and the next word, 0 at the end, or a negative code. The words cover the text. */
int ml_word_cursor_next(struct ml_word_cursor *cursor, const char **word, size_t *size,
                        struct ml_error *err);

#endif
