/* A text model as GGUF, architecture `qwen3`: what llama.cpp and its relatives run. */
#ifndef ML_FORMAT_GGUF_QWEN3_H
#define ML_FORMAT_GGUF_QWEN3_H

#include "format/gguf.h"
#include "format/hf_config.h"

/* Token types, by their number in the file. */
enum ml_gguf_token_type {
    ML_GGUF_TOKEN_NORMAL = 1,
    ML_GGUF_TOKEN_UNKNOWN = 2,
    ML_GGUF_TOKEN_CONTROL = 3, /* special, not shown: end of text, turn marks */
    ML_GGUF_TOKEN_USER = 4,    /* special, shown as text */
    ML_GGUF_TOKEN_UNUSED = 5,  /* fills the table */
    ML_GGUF_TOKEN_BYTE = 6,
};

/* A byte-level BPE tokenizer. Token ids are positions. */
struct ml_gguf_tokenizer {
    const char *pre;           /* pre-tokenisation, by llama.cpp's name: "gpt-2", "qwen2" */
    int token_count;           /* at most the vocabulary, which is filled with unused tokens */
    const char *const *tokens; /* in the byte-level alphabet (GPT-2's); special tokens as text */
    const int32_t *types;      /* enum ml_gguf_token_type, one a token */
    int merge_count;
    const char *const *merges; /* "left right", best first */
    bool add_bos;              /* a prompt begins with bos */
    const char *chat_template; /* Jinja, or NULL */
};

struct ml_gguf_qwen3 {
    const struct ml_hf_config *config;     /* its dtype is what matrices are stored as */
    const struct ml_saved_tensor *tensors; /* Hugging Face names; `storage` is not looked at */
    int tensor_count;
    const struct ml_gguf_tokenizer *tokenizer;
    const char *name, *description, *license; /* NULL: left out. license: SPDX */
};

/* Checks that every tensor of the architecture is there in its shape (norm weights are stored as
 * f32, as llama.cpp wants them) and that tokens, types and merges hold together. */
int ml_gguf_qwen3_write(const char *path, const struct ml_gguf_qwen3 *model, struct ml_error *err);

#endif
