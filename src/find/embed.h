/* Embeddings of texts without a network model: latent semantic analysis (Deerwester et al. 1990)
 * fitted on the workspace's own texts. Features are hashed words, pairs of words and pieces of
 * words (of Chinese: characters, pairs and triples); their tf-idf row is projected on the
 * directions that explain most of the corpus (randomised SVD, Halko et al. 2011), so that texts
 * that share no word but words that go together are near each other.
 *
 * Texts in other languages than the corpus are only as near as their common features. */
#ifndef ML_FIND_EMBED_H
#define ML_FIND_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "text/search_words.h"

enum { ML_EMBED_WIDTH = 384, ML_EMBED_BITS = 15, ML_EMBED_FIT_TEXTS = 8000 };

struct ml_embed_feature {
    uint32_t row;
    float weight;
};

/* Memory for one text. Zero-initialise. */
struct ml_embed_work {
    struct ml_search_words words;
    struct ml_embed_feature *features;
    size_t count, capacity;
};
void ml_embed_work_clear(struct ml_embed_work *work); /* accepts NULL */

/* Zero-initialise. */
struct ml_embedder {
    uint64_t texts;     /* that it was fitted on */
    float *idf;         /* [2^bits] */
    int8_t *directions; /* [2^bits][ML_EMBED_WIDTH] */
    float *scale;       /* [2^bits] of each row */
    int rank;           /* how many directions are fitted; those behind are random ones */
};
void ml_embedder_clear(struct ml_embedder *embedder); /* accepts NULL */

/* Gives the i-th text; borrowed until the next call. */
typedef int ml_embed_text_fn(void *arg, size_t i, const char **text, size_t *n,
                             struct ml_error *err);
/* On at most ML_EMBED_FIT_TEXTS of `count` texts, spread evenly. Deterministic for a seed. */
int ml_embedder_fit(struct ml_embedder *embedder, size_t count, ml_embed_text_fn *text, void *arg,
                    uint64_t seed, struct ml_error *err);
/* out: [ML_EMBED_WIDTH], of length 1, or zeros when the text has no feature. */
int ml_embedder_apply(const struct ml_embedder *embedder, struct ml_embed_work *work,
                      const char *text, size_t n, float *out, struct ml_error *err);

int ml_embedder_put(const struct ml_embedder *embedder, struct ml_buffer *out,
                    struct ml_error *err);
int ml_embedder_get(struct ml_embedder *embedder, const uint8_t *bytes, size_t n, const char *name,
                    struct ml_error *err);

#endif
