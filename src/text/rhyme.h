/* Which characters rhyme, learnt from poems: characters that share rhyme positions far more often
 * than chance fall into groups, much like the categories of a rhyme book (平水韻), without a table.
 * As text it is one group a line. */
#ifndef ML_TEXT_RHYME_H
#define ML_TEXT_RHYME_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

struct ml_rhyme;

#define ML_RHYME_MAX_BYTES (1 << 20)

/* The rhyme positions of poems. Zero-initialise. */
struct ml_rhyme_learner {
    struct ml_buffer endings; /* uint32_t, a 0 after each poem */
    int poems;
};
/* The last characters of a poem's even lines (verse.h). Poems should keep one rhyme throughout, as
 * the regulated forms do. Fewer than two or more than eight are passed over. */
int ml_rhyme_learner_add(struct ml_rhyme_learner *learner, const uint32_t *endings, int count,
                         struct ml_error *err);
void ml_rhyme_learner_clear(struct ml_rhyme_learner *learner);
/* Deterministic. ML_ERR_ARG when the poems hold too little to find a single group. */
int ml_rhyme_learn(struct ml_rhyme **out, const struct ml_rhyme_learner *learner,
                   struct ml_error *err);

int ml_rhyme_parse(struct ml_rhyme **out, const char *text, size_t size, const char *name,
                   struct ml_error *err);
int ml_rhyme_open(struct ml_rhyme **out, const char *path, struct ml_error *err);
int ml_rhyme_save(const struct ml_rhyme *rhyme, const char *path, struct ml_error *err);
void ml_rhyme_free(struct ml_rhyme *rhyme);

int ml_rhyme_groups(const struct ml_rhyme *rhyme);
/* 1: they rhyme (or are the same), 0: they do not, -1: one of them is not known. */
int ml_rhyme_agree(const struct ml_rhyme *rhyme, uint32_t a, uint32_t b);

/* Counts over the pairs of different characters at the rhyme positions of poems. The share that
 * rhymes is agreeing / pairs; pairs with an unknown character do not rhyme. */
struct ml_rhyme_score {
    long pairs, known, agreeing;
};
void ml_rhyme_score_add(const struct ml_rhyme *rhyme, const uint32_t *endings, int count,
                        struct ml_rhyme_score *score);

#endif
