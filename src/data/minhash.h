/* Near duplicates of texts: MinHash signatures (Broder 1997) found by locality-sensitive hashing
 * (Indyk & Motwani 1998), as FineWeb does it, with a check of every candidate.
 *
 * A text is its set of runs of five words; where characters are words, of five characters. Of 128
 * hash functions the least value over the set is kept, 16 bits of each; two sets with Jaccard
 * similarity s agree in each with probability s. 18 bands of 7: texts of similarity 0.8 become
 * candidates with probability 0.986, of 0.5 with 0.13; a candidate is a duplicate when the
 * signatures agree in a share of at least `threshold`. */
#ifndef ML_DATA_MINHASH_H
#define ML_DATA_MINHASH_H

#include "kernel/table.h"
#include "text/word_scan.h"

enum { ML_MINHASH_FUNCTIONS = 128, ML_MINHASH_BANDS = 18, ML_MINHASH_ROWS = 7 };
enum { ML_MINHASH_RUN = 5 }; /* words */

struct ml_signature {
    uint16_t least[ML_MINHASH_FUNCTIONS];
    uint64_t bands[ML_MINHASH_BANDS];
};

/* The hash functions, and memory for one text. Zero-initialise, then init. */
struct ml_minhash {
    struct ml_kernels kernels;
    uint32_t times[ML_MINHASH_FUNCTIONS], plus[ML_MINHASH_FUNCTIONS];
    uint32_t *runs;
    size_t capacity;
};
void ml_minhash_init(struct ml_minhash *minhash);
void ml_minhash_clear(struct ml_minhash *minhash); /* accepts NULL */

/* A text of fewer than five words is one run; without any word it is like no other (false). */
int ml_minhash_sign(struct ml_minhash *minhash, const struct ml_word_scan *scan,
                    struct ml_signature *out, bool *any, struct ml_error *err);
/* The share of functions that agree: an estimate of the Jaccard similarity, +- 0.035 at 0.8. */
double ml_signature_similarity(const struct ml_signature *a, const struct ml_signature *b);

/* The texts that were kept. About 480 bytes each. Zero-initialise. */
struct ml_near_index {
    struct ml_near_entry *entries; /* open addressing by band */
    uint64_t size, used;
    uint16_t (*signatures)[ML_MINHASH_FUNCTIONS];
    int64_t *ids;
    size_t count, capacity;
};
/* Visits the texts with at least `threshold`, each at least once; stops when visit returns false.
 */
typedef bool ml_near_fn(void *arg, int64_t id, double similarity);
void ml_near_index_each(const struct ml_near_index *index, const struct ml_signature *signature,
                        double threshold, ml_near_fn *visit, void *arg);
/* The id of the most similar text with at least `threshold`, and how similar; -1: none. */
int64_t ml_near_index_find(const struct ml_near_index *index, const struct ml_signature *signature,
                           double threshold, double *similarity);
int ml_near_index_add(struct ml_near_index *index, const struct ml_signature *signature, int64_t id,
                      struct ml_error *err);
void ml_near_index_clear(struct ml_near_index *index); /* accepts NULL */

#endif
