/* Variants of a text to train on: "easy data augmentation" (Wei & Zou, EDA, EMNLP 2019). A variant
 * is made by one of four ways, drawn for each: words are replaced by synonyms, synonyms of its
 * words are inserted, pairs of words change places, or words are left out. The first two need a
 * file of synonyms (data/synonyms.h).
 *
 * A word of letters is never cut. In Chinese and Japanese the words of the file are words, and each
 * other character is one; as nothing says where words end there, what changes places stands in the
 * same clause. Numbers, words with digits, words that stand alone in the file and punctuation stay
 * as they are, and nothing moves from one line to another. */
#ifndef ML_DATA_AUGMENT_TEXT_H
#define ML_DATA_AUGMENT_TEXT_H

#include "base/rng.h"
#include "data/augment.h"
#include "data/synonyms.h"

struct ml_augment_plan {
    double share; /* of the words that are changed, at least one; EDA's alpha, 0.1 for most */
    const struct ml_synonyms *synonyms; /* NULL: none */
};

/* How many texts EDA makes of each of `records`: 16 to 500, 8 to 2,000, 4 above (its table 3),
 * with the text itself. */
int ml_augment_copies(int64_t records);

/* Zero-initialise; used again from text to text. */
struct ml_augment_work {
    struct ml_word_scan scan;
    struct ml_augment_unit *units;
    size_t count, capacity;
    uint32_t *movable, *known; /* units that may be changed; those of them with synonyms */
    size_t movable_count, known_count, listed;
    struct ml_buffer out;
};
/* A variant of text (valid UTF-8) in work->out, whose size is 0 when text is empty; the same for
 * the same numbers of rng. ML_ERR_STATE: the split is not the one to train on; what measures a
 * model is never changed. */
int ml_augment_text(struct ml_augment_work *work, const struct ml_augment_plan *plan,
                    enum ml_augment_split split, const char *text, size_t n, struct ml_rng *rng,
                    struct ml_error *err);
void ml_augment_work_clear(struct ml_augment_work *work); /* accepts NULL */

#endif
