/* The words that search knows: lower case, English plurals without their s; of Chinese and
 * Japanese, characters and pairs of them that stand side by side, which need no dictionary. */
#ifndef ML_TEXT_SEARCH_WORDS_H
#define ML_TEXT_SEARCH_WORDS_H

#include "text/word_scan.h"

struct ml_search_word {
    uint64_t hash;
    uint32_t start, bytes;
    bool pair; /* two ideographs */
};

/* Zero-initialise; used again from text to text. */
struct ml_search_words {
    struct ml_word_scan scan;
    struct ml_search_word *words;
    size_t count, capacity;
};
/* text must be UTF-8; ML_ERR_LIMIT as ml_word_scan. */
int ml_search_words_find(struct ml_search_words *words, const char *text, size_t n,
                         struct ml_error *err);
void ml_search_words_clear(struct ml_search_words *words); /* accepts NULL */

#endif
