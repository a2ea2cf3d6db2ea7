/* Byte-level byte-pair encoding (Sennrich et al., arXiv:1508.07909, over bytes as in GPT-2). Text
 * is cut into words by a pre-tokeniser, and pairs of neighbouring tokens inside a word are merged,
 * the earliest learnt pair first. Every byte is a token, so any bytes come back exactly, valid
 * UTF-8 or not.
 *
 * A tokenizer does not change once it is made and may be shared by threads; what an encoder or a
 * stream needs while it works is in objects of their own, one a thread. */
#ifndef ML_TEXT_TOKENIZER_H
#define ML_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maliang/error.h"

struct ml_tokenizer;

/* Limits; what is larger is refused with ML_ERR_LIMIT. */
#define ML_TOKENIZER_MAX_VOCAB       (1 << 20)
#define ML_TOKENIZER_MAX_TOKEN_BYTES 65535
#define ML_TOKENIZER_MAX_FILE_BYTES  (256 << 20)

/* How text is cut into words. */
enum ml_pretokenizer {
    ML_PRETOKENIZER_DEFAULT, /* qwen2 */
    ML_PRETOKENIZER_QWEN2,   /* letters, single digits, punctuation with line ends (Qwen2, Qwen3) */
    ML_PRETOKENIZER_GPT2,    /* letters, digits, punctuation, each with one space before it */
    ML_PRETOKENIZER_CHAR,    /* every character is a word, so a token is never longer than one */
    ML_PRETOKENIZER_SMOLLM,  /* GPT-2's after single digits were cut out */
    ML_PRETOKENIZER_LLAMA3,  /* like Qwen2's with up to three digits together */
    ML_PRETOKENIZER_COUNT
};
/* "qwen2", "gpt2", "char", "smollm", "llama3"; "qwen2" for the default. */
const char *ml_pretokenizer_name(enum ml_pretokenizer which);
/* ML_ERR_NOT_FOUND with the nearest known name. */
int ml_pretokenizer_parse(enum ml_pretokenizer *out, const char *name, struct ml_error *err);

/* The numbers are those of GGUF's tokenizer.ggml.token_type. */
enum ml_token_kind {
    ML_TOKEN_NORMAL = 1,
    ML_TOKEN_CONTROL = 3, /* special: cut out of text only where the caller allows it */
    ML_TOKEN_USER = 4,    /* added by hand: always cut out of text before merging */
};

/* ---- Making one ---- */

struct ml_token_spec {
    const char *bytes; /* what it stands for; not NUL-terminated */
    size_t size;       /* at least 1 */
    enum ml_token_kind kind;
};
struct ml_merge_spec {
    int32_t left, right;
};
struct ml_tokenizer_spec {
    enum ml_pretokenizer pretokenizer;
    bool ignore_merges;                 /* a word that is itself a token stays whole (Llama 3) */
    const struct ml_token_spec *tokens; /* id order; all different */
    int32_t token_count;
    const struct ml_merge_spec *merges; /* earliest first; the joined bytes must be a token */
    int32_t merge_count;
};
/* Everything is copied. For readers of other formats (GGUF). */
int ml_tokenizer_new(struct ml_tokenizer **out, const struct ml_tokenizer_spec *spec,
                     struct ml_error *err);
void ml_tokenizer_free(struct ml_tokenizer *tokenizer);

/* tokenizer.json in Hugging Face's layout: byte-level BPE with one of the pre-tokenisers above
 * (GPT-2, Qwen2/3, SmolLM, Llama 3 and what we write). Qwen's NFC normaliser is accepted and not
 * applied, as in llama.cpp: text that is not in NFC gets other ids than in transformers. */
int ml_tokenizer_open(struct ml_tokenizer **out, const char *path, struct ml_error *err);
int ml_tokenizer_parse(struct ml_tokenizer **out, const char *json, size_t size, const char *name,
                       struct ml_error *err);
/* GPT-2's pair of files. Entries of the vocabulary that are neither a byte nor the result of a
 * merge are special. */
int ml_tokenizer_open_gpt2(struct ml_tokenizer **out, const char *vocab_path,
                           const char *merges_path, struct ml_error *err);
/* The tokenizer.json that `tokenizers` and `transformers` load and that gives the same ids there.
 */
int ml_tokenizer_save(const struct ml_tokenizer *tokenizer, const char *path, struct ml_error *err);
int ml_tokenizer_json(const struct ml_tokenizer *tokenizer, char **out, struct ml_error *err);
/* The text of a tokenizer_config.json beside it, so that transformers' AutoTokenizer loads the
 * folder. end is the id of the token that ends a document, or -1. Free with ml_mem_free. */
int ml_tokenizer_config_json(const struct ml_tokenizer *tokenizer, int32_t end, char **out,
                             struct ml_error *err);

/* ---- What is in it ---- */

int32_t ml_tokenizer_size(const struct ml_tokenizer *tokenizer); /* ids are 0 .. size-1 */
int32_t ml_tokenizer_merge_count(const struct ml_tokenizer *tokenizer);
enum ml_pretokenizer ml_tokenizer_pretokenizer(const struct ml_tokenizer *tokenizer);
bool ml_tokenizer_ignores_merges(const struct ml_tokenizer *tokenizer);
/* GGUF's tokenizer.ggml.pre: "gpt-2", "qwen2", "smollm", "llama-bpe". Characters as words are
 * "gpt-2" there: since no merge crosses a character, the ids of valid UTF-8 are the same. */
const char *ml_tokenizer_llama_name(const struct ml_tokenizer *tokenizer);

/* The bytes a token stands for (borrowed, not NUL-terminated); NULL and 0 for an id out of range.
 */
const char *ml_tokenizer_bytes(const struct ml_tokenizer *tokenizer, int32_t id, size_t *size);
enum ml_token_kind ml_tokenizer_kind(const struct ml_tokenizer *tokenizer, int32_t id);
/* The id of a special or added token by its exact name, or -1. */
int32_t ml_tokenizer_special(const struct ml_tokenizer *tokenizer, const char *name);
/* The id of the token that stands for exactly these bytes, or -1. */
int32_t ml_tokenizer_find(const struct ml_tokenizer *tokenizer, const char *bytes, size_t size);
struct ml_merge_spec ml_tokenizer_merge(const struct ml_tokenizer *tokenizer, int32_t rank);

/* As GGUF and vocab.json spell a token: bytes in GPT-2's alphabet of printable characters, special
 * tokens as they are. Appends to out, which is NUL-terminated. */
struct ml_buffer;
int ml_tokenizer_text(const struct ml_tokenizer *tokenizer, int32_t id, struct ml_buffer *out,
                      struct ml_error *err);
/* "left right" in that alphabet. */
int ml_tokenizer_merge_text(const struct ml_tokenizer *tokenizer, int32_t rank,
                            struct ml_buffer *out, struct ml_error *err);

/* ---- Text to ids ---- */

/* A growing list. Zero-initialise. */
struct ml_ids {
    int32_t *ids;
    size_t count, capacity;
};
int ml_ids_put(struct ml_ids *list, int32_t id, struct ml_error *err);
int ml_ids_reserve(struct ml_ids *list, size_t total, struct ml_error *err);
void ml_ids_clear(struct ml_ids *list);

enum ml_encode_flags {
    ML_ENCODE_PLAIN = 0,
    ML_ENCODE_SPECIAL = 1, /* names of special tokens in the text become those tokens */
};

/* What encoding needs while it works: a cache of words and scratch, some 2 MB. One a thread; the
 * tokenizer must outlive it. */
struct ml_encoder;
int ml_encoder_new(struct ml_encoder **out, const struct ml_tokenizer *tokenizer,
                   struct ml_error *err);
void ml_encoder_free(struct ml_encoder *encoder);
const struct ml_tokenizer *ml_encoder_tokenizer(const struct ml_encoder *encoder);
/* Appends to out; on failure out is as it was. */
int ml_encode(struct ml_encoder *encoder, const char *text, size_t size, int flags,
              struct ml_ids *out, struct ml_error *err);
/* The same for callers that encode once. */
int ml_tokenizer_encode(const struct ml_tokenizer *tokenizer, const char *text, size_t size,
                        int flags, struct ml_ids *out, struct ml_error *err);

/* ---- Ids to text ---- */

enum ml_decode_flags {
    ML_DECODE_ALL = 0,
    ML_DECODE_SKIP_SPECIAL = 1, /* control tokens leave nothing */
};
/* Appends the bytes; an id out of range is ML_ERR_ARG and leaves out as it was. */
int ml_decode(const struct ml_tokenizer *tokenizer, const int32_t *ids, size_t count, int flags,
              struct ml_buffer *out, struct ml_error *err);

/* Ids one by one to text that can be shown: never half a UTF-8 character. */
struct ml_token_stream;
int ml_token_stream_new(struct ml_token_stream **out, const struct ml_tokenizer *tokenizer,
                        int flags, struct ml_error *err);
/* *text (borrowed until the next call, *size may be 0) is what can be shown now. */
int ml_token_stream_push(struct ml_token_stream *stream, int32_t id, const char **text,
                         size_t *size, struct ml_error *err);
/* What is left at the end: the bytes of a character that never was completed. */
void ml_token_stream_flush(struct ml_token_stream *stream, const char **text, size_t *size);
void ml_token_stream_free(struct ml_token_stream *stream);

/* ---- Training ---- */

/* Zero means default throughout. Ids: 0..255 are the bytes in the order of GPT-2's alphabet, then
 * the merges in the order in which they were learnt, then the special tokens as listed. Each step
 * merges the most frequent pair; of equally frequent ones that with the lowest left id, then the
 * lowest right id (which is what Hugging Face's trainer does). */
struct ml_tokenizer_training {
    enum ml_pretokenizer pretokenizer;
    int32_t vocab_size;          /* with bytes and special tokens; used when merges is 0. 0: 8192 */
    int32_t merges;              /* -1: none, bytes only */
    int32_t min_frequency;       /* of a pair; 0: 2 */
    int32_t max_token_bytes;     /* 0: 256 */
    const char *const *specials; /* names; they are cut out of the text before counting */
    int32_t special_count;
    /* Called now and then; non-zero stops with ML_ERR_CANCELLED. total may be 0 (unknown). */
    int (*progress)(void *arg, const char *what, double done, double total);
    void *arg;
};
struct ml_tokenizer_trainer;
int ml_tokenizer_trainer_new(struct ml_tokenizer_trainer **out,
                             const struct ml_tokenizer_training *options, struct ml_error *err);
/* One document; nothing of it is kept but the counts of its words. */
int ml_tokenizer_trainer_add(struct ml_tokenizer_trainer *trainer, const char *text, size_t size,
                             struct ml_error *err);
/* Learns the merges. Fewer than asked when no pair is frequent enough any more. May be called
 * once. */
int ml_tokenizer_trainer_finish(struct ml_tokenizer_trainer *trainer, struct ml_tokenizer **out,
                                struct ml_error *err);
void ml_tokenizer_trainer_free(struct ml_tokenizer_trainer *trainer);

struct ml_text_piece {
    const char *data;
    size_t size;
};
/* All of the above for documents that are in memory. */
int ml_tokenizer_train(struct ml_tokenizer **out, const struct ml_text_piece *documents,
                       size_t count, const struct ml_tokenizer_training *options,
                       struct ml_error *err);

#endif
