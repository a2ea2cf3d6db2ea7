/* Texts to tokens: the tokenizer a recipe asks for, and all documents encoded over the pool. */
#ifndef ML_TRAIN_TOKENS_H
#define ML_TRAIN_TOKENS_H

#include "base/threads.h"
#include "maliang/engine.h"
#include "text/tokenizer.h"
#include "train/batches.h"
#include "train/recipe.h"

/* One document. */
struct ml_train_text {
    const char *data;
    size_t size;
    /* Stretches in which names of special tokens are those tokens, as a filled template has them
     * (ml_filled.literals): pairs of size_t begin, end. NULL: special tokens are only text. */
    const void *literals;
    size_t literals_bytes;
};

struct ml_tokens {
    struct ml_ids ids;
    int64_t *start; /* [count + 1] */
    int64_t count;
    int64_t bytes, characters; /* of the texts (an invalid byte is a character), without the
                                template's own */
};

struct ml_tokens_options {
    struct ml_pool *pool;
    ml_cancel *cancel;
    void (*progress)(void *arg, double done, double total); /* bytes; may be NULL */
    void *arg;
};
/* The ids do not depend on the number of threads. */
int ml_tokens_encode(struct ml_tokens *out, const struct ml_tokenizer *tokenizer,
                     const struct ml_train_text *texts, int64_t count,
                     const struct ml_tokens_options *options, struct ml_error *err);
void ml_tokens_clear(struct ml_tokens *tokens);
static inline struct ml_token_documents ml_tokens_documents(const struct ml_tokens *tokens)
{
    return (struct ml_token_documents){tokens->ids.ids, tokens->start, tokens->count};
}

struct ml_tokens_learning {
    ml_cancel *cancel;
    void (*progress)(void *arg, double done, double total); /* may be NULL */
    void *arg;
};
/* A tokenizer learnt from the texts as the recipe's tokenizer section says (vocab resolved). */
int ml_tokens_learn(struct ml_tokenizer **out, const struct ml_recipe *recipe,
                    const struct ml_train_text *texts, int64_t count,
                    const struct ml_tokens_learning *options, struct ml_error *err);

#endif
