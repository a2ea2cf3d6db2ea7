/* A baseline to stand beside: n-grams of characters with interpolated modified Kneser-Ney smoothing
 * (Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1998,
 * section 3). */
#ifndef BENCH_NGRAM_H
#define BENCH_NGRAM_H

#include <stdint.h>

#include "base/rng.h"
#include "maliang/error.h"

enum { NGRAM_MAX_ORDER = 8 };

/* Symbols are Unicode characters and these. A document is BEGIN, its characters, END. BEGIN is only
 * ever context; several kinds (NGRAM_BEGIN + k, k < 16) may tell the kinds of documents apart. */
#define NGRAM_END   0x110000u
#define NGRAM_BEGIN 0x110001u

struct ngram;

int ngram_new(struct ngram **out, int order, struct ml_error *err);
void ngram_free(struct ngram *ngram);
/* A document of n symbols with its BEGIN and END. */
int ngram_add(struct ngram *ngram, const uint32_t *symbols, int64_t n, struct ml_error *err);
/* Turns counts into probabilities; nothing can be added afterwards. */
int ngram_finish(struct ngram *ngram, struct ml_error *err);

/* log2 p(symbol | the n symbols before it). A character that was never seen has an equal share of
 * what is left for all unseen Unicode characters, so that the probabilities of all characters and
 * END sum to 1. */
double ngram_log2(const struct ngram *ngram, const uint32_t *before, int64_t n, uint32_t symbol);

/* The largest distance from 1 of the sum of all probabilities, after each of `count` histories:
 * random places of a document and as many random symbols. */
double ngram_check(const struct ngram *ngram, const uint32_t *document, int64_t n, int count,
                   struct ml_rng *rng);

struct ngram_facts {
    int order;
    int64_t symbols;                     /* predicted ones that were counted, with END */
    int64_t vocabulary;                  /* different ones */
    int64_t grams[NGRAM_MAX_ORDER];      /* different ones of each length, from 1 */
    double discount[NGRAM_MAX_ORDER][3]; /* for counts of 1, 2, 3 and more */
};
void ngram_get_facts(const struct ngram *ngram, struct ngram_facts *out);

#endif
