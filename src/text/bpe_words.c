#include <string.h>

#include "base/fail.h"
#include "text/bpe_train.h"
#include "text/tokenizer_impl.h"

static int no_memory(const struct ml_bpe_words *words, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory counting words (%zu distinct so far)",
                   words->count);
}

static int grow_words(struct ml_bpe_words *words, struct ml_error *err)
{
    size_t capacity = words->capacity ? 2 * words->capacity : 4096;
    struct ml_bpe_word *grown = ml_mem_realloc(words->words, capacity * sizeof *grown);
    if (!grown)
        return no_memory(words, err);
    words->words = grown;
    words->capacity = capacity;
    return 0;
}

static int grow_table(struct ml_bpe_words *words, struct ml_error *err)
{
    size_t size = words->table_size ? 2 * words->table_size : 16384;
    uint32_t *table = ml_mem_calloc(size, sizeof *table);
    if (!table)
        return no_memory(words, err);
    for (size_t i = 0; i < words->count; i++) {
        size_t at = words->words[i].hash & (size - 1);
        while (table[at])
            at = (at + 1) & (size - 1);
        table[at] = (uint32_t)i + 1;
    }
    ml_mem_free(words->table);
    words->table = table;
    words->table_size = size;
    return 0;
}

int ml_bpe_words_add(struct ml_bpe_words *words, const char *text, size_t size,
                     struct ml_error *err)
{
    int code = 0;
    if (2 * (words->count + 1) > words->table_size && (code = grow_table(words, err)) < 0)
        return code;
    uint32_t hash = (uint32_t)ml_bytes_hash(text, size);
    size_t at = hash & (words->table_size - 1);
    for (; words->table[at]; at = (at + 1) & (words->table_size - 1)) {
        struct ml_bpe_word *word = &words->words[words->table[at] - 1];
        if (word->hash != hash || word->size != size ||
            memcmp(words->pool.data + word->offset, text, size) != 0)
            continue;
        if (word->count == UINT32_MAX)
            return ml_fail(err, ML_ERR_LIMIT, "a word occurs more than %u times; train on a sample",
                           UINT32_MAX);
        word->count++;
        return 0;
    }
    if (words->count == UINT32_MAX - 1)
        return ml_fail(err, ML_ERR_LIMIT, "more than %u distinct words; train on a sample",
                       UINT32_MAX - 1);
    if (words->count == words->capacity && (code = grow_words(words, err)) < 0)
        return code;
    size_t offset = words->pool.size;
    if ((code = ml_buffer_put(&words->pool, text, size, err)) < 0)
        return code;
    words->words[words->count++] =
        (struct ml_bpe_word){.offset = offset, .size = (uint32_t)size, .hash = hash, .count = 1};
    words->table[at] = (uint32_t)words->count;
    return 0;
}

void ml_bpe_words_clear(struct ml_bpe_words *words)
{
    ml_buffer_clear(&words->pool);
    ml_mem_free(words->words);
    ml_mem_free(words->table);
    memset(words, 0, sizeof *words);
}
