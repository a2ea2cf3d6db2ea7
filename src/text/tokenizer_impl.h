/* What the tokenizer's files share. Private to src/text. */
#ifndef ML_TEXT_TOKENIZER_IMPL_H
#define ML_TEXT_TOKENIZER_IMPL_H

#include "base/arena.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"

#define ML_NO_RANK INT32_MAX

/* An entry of the table of merges: open addressing, linear probing. left -1: empty. */
struct ml_merge_slot {
    int32_t left, right, rank, result;
};

/* A node of the tree of special and added tokens, by bytes. */
struct ml_special_node {
    uint32_t child, sibling; /* 0: none */
    int32_t id;              /* -1: no token ends here */
    uint8_t byte;
};

struct ml_tokenizer {
    struct ml_arena arena; /* everything below but pattern */
    enum ml_pretokenizer pretokenizer;
    struct ml_word_pattern *pattern;
    bool ignore_merges;

    int32_t size;
    char *bytes;          /* all tokens' bytes in id order */
    uint32_t *offset;     /* [size+1] into bytes */
    uint8_t *kind;        /* [size] enum ml_token_kind */
    int32_t byte_id[256]; /* -1: the vocabulary lacks this byte */
    int32_t *by_text;     /* [text_mask+1] ids by hash of their bytes, -1: empty */
    uint32_t text_mask;

    int32_t merge_count;
    struct ml_merge_spec *merges;  /* [merge_count] by rank */
    int32_t *merge_result;         /* [merge_count] */
    struct ml_merge_slot *by_pair; /* [pair_mask+1] */
    uint32_t pair_mask;

    struct ml_special_node *specials; /* node 0 is empty; roots by first byte */
    uint32_t special_count;           /* nodes */
    uint32_t special_root[256];       /* 0: no token starts with this byte */
};

static inline uint32_t ml_pair_hash(int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32);
}

static inline const struct ml_merge_slot *ml_merge_find(const struct ml_tokenizer *t, int32_t left,
                                                        int32_t right)
{
    for (uint32_t at = ml_pair_hash(left, right) & t->pair_mask;; at = (at + 1) & t->pair_mask) {
        const struct ml_merge_slot *slot = &t->by_pair[at];
        if (slot->left == left && slot->right == right)
            return slot;
        if (slot->left < 0)
            return NULL;
    }
}

uint64_t ml_bytes_hash(const char *bytes, size_t size);

/* GPT-2's alphabet: each byte as a printable character; ml_alphabet_byte inverts (-1: none). The
 * rank of a byte among the 256 in order of their characters is its id in tokenizers we train. */
uint32_t ml_alphabet_char(uint8_t byte);
int ml_alphabet_byte(uint32_t codepoint);
uint8_t ml_alphabet_order(int rank);
int ml_alphabet_put(struct ml_buffer *out, const char *bytes, size_t size, struct ml_error *err);

/* The first special or added token at or after text[0] that may be cut out; the longest of those
 * that start together. Returns its id and sets begin and length, or -1. */
int32_t ml_special_next(const struct ml_tokenizer *t, const char *text, size_t size, bool control,
                        size_t *begin, size_t *length);

#endif
