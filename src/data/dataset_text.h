/* A dataset as training sees it: texts, rendered by a template, without what appeared before, split
 * into what is trained on and what measures. */
#ifndef ML_DATA_DATASET_TEXT_H
#define ML_DATA_DATASET_TEXT_H

#include "store/datasets.h"

/* Zero means default. */
struct ml_dataset_text_options {
    const char *template;       /* text/template.h; NULL or "": the record's text alone */
    const char *const *require; /* fields that a record must have */
    int require_count;
    double validation;    /* share held out, in [0, 1) */
    bool dedup;           /* a text that appeared before is left out */
    int copies;           /* of each training record; 0 is taken as 1 */
    double augment;       /* share of the words that is changed in each copy but the first
                             (data/augment_text.h); 0: none. With it, 0 or 1 copies are as many as EDA
                             recommends for the number of records */
    const char *synonyms; /* file of them (data/synonyms.h); NULL or "": none */
    double drop;          /* chance that an optional stretch of the template is left out */
    uint64_t seed;        /* of the drops */
    const volatile int *cancel;
};

struct ml_dataset_document {
    const char *text; /* NUL-terminated, but for the first part of a text whose end is held out */
    size_t size;
    const void *literals; /* the template's own stretches (ml_filled.literals), NULL: no template */
    size_t literals_bytes;
    int64_t record; /* which it was made from */
};

struct ml_dataset_text {
    struct ml_arena arena; /* owns all below */
    struct ml_dataset_document *train, *validation;
    int64_t train_count, validation_count;
    int64_t records, without_field, repeated; /* read; left out for a missing field; seen before */
};

/* Which side a record falls on depends on the SHA-256 of its text alone, so equal texts are never
 * on both and a larger dataset keeps the split of the smaller one (but that of two records or more
 * with different texts, each side gets one at least). Where fewer than ML_DATASET_TEXT_FEW records
 * are left and there is no template (a novel or two), the end of each text is held out instead.
 * Fields are those of data/record_fields.h.
 *
 * ML_ERR_NOT_FOUND: nothing is left to train on, or a field that is needed is one that no record
 * has (an optional one too when it looks like a typing error of another); the message says why. */
#define ML_DATASET_TEXT_FEW 40
int ml_dataset_text_open(struct ml_dataset_text *out, struct ml_workspace *workspace,
                         const struct ml_dataset *dataset,
                         const struct ml_dataset_text_options *options, struct ml_error *err);
void ml_dataset_text_close(struct ml_dataset_text *text); /* accepts NULL and a zeroed struct */

#endif
