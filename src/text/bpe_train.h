/* The two halves of training: counting words, and learning merges from the counts. Private to
 * src/text. */
#ifndef ML_TEXT_BPE_TRAIN_H
#define ML_TEXT_BPE_TRAIN_H

#include "base/arena.h"
#include "text/tokenizer.h"

struct ml_bpe_word {
    size_t offset; /* into the pool */
    uint32_t size, hash;
    uint32_t count;
};

/* Distinct words and how often they occur. Zero-initialise. */
struct ml_bpe_words {
    struct ml_buffer pool;
    struct ml_bpe_word *words; /* in order of first occurrence */
    size_t count, capacity;
    uint32_t *table; /* indices + 1 by hash, 0: empty */
    size_t table_size;
};
int ml_bpe_words_add(struct ml_bpe_words *words, const char *word, size_t size,
                     struct ml_error *err);
void ml_bpe_words_clear(struct ml_bpe_words *words);

struct ml_bpe_options {
    int32_t merges; /* at most */
    uint32_t min_frequency, max_token_bytes;
    int32_t byte_id[256]; /* a permutation of 0..255 */
    int (*progress)(void *arg, const char *what, double done, double total);
    void *arg;
};

/* Writes at most options->merges merges; merge i makes token 256 + i. */
int ml_bpe_learn(const struct ml_bpe_words *words, const struct ml_bpe_options *options,
                 struct ml_merge_spec *merges, int32_t *merge_count, struct ml_error *err);

#endif
