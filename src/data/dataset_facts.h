/* What can be said of a dataset from the store alone: counts of everything that its records state.
 * One pass reads every record, so that what a card says was checked against the bytes. */
#ifndef ML_DATA_DATASET_FACTS_H
#define ML_DATA_DATASET_FACTS_H

#include "data/export_rows.h"
#include "data/tally.h"
#include "store/curations.h"

/* The labels of one queue on the dataset's records. */
struct ml_queue_facts {
    const char *name, *kind; /* kind of its first label */
    int64_t labels, proposals, records, annotators;
    int64_t last_position;           /* -1: none; for counting records */
    struct ml_tally people, answers; /* answers: of choices, as their keys */
};

struct ml_dataset_facts {
    struct ml_arena arena; /* owns the names */
    struct ml_dataset dataset;
    /* Sorted by count; names are as stated, "" where nothing was. */
    struct ml_tally kinds, types, languages, licences, consents, splits;
    struct ml_tally sources; /* sites, and folders by their own name */
    /* Of lineages, in the order in which they first appear; `bytes` counts the records that they
     * changed. */
    struct ml_tally operations;
    struct ml_curation curation;           /* the run that made the dataset; id 0: none did */
    int64_t dropped;                       /* records that it left out */
    char curated_from[ML_NAME_BYTES + 16]; /* "name@version" */
    struct ml_queue_facts *queues;
    size_t queue_count, queue_capacity;
    int64_t texts, captions;           /* records of text; media that have a text */
    int64_t characters;                /* of all texts */
    int64_t shortest, median, longest; /* text, in characters */
    int64_t found_languages;           /* neither stated nor found when curating: identified here */
    int64_t repeated;                  /* records with the bytes of one before */
    int64_t replaced;                  /* their source holds something else by now */
    int64_t untitled;
    int64_t first_time, last_time; /* when records were added, Unix seconds */
    uint32_t *lengths;             /* of texts, for the median */
    size_t length_count, length_capacity;
};

int ml_dataset_facts_open(struct ml_dataset_facts *out, struct ml_workspace *workspace,
                          const struct ml_dataset *dataset, const struct ml_export_options *options,
                          struct ml_error *err);
void ml_dataset_facts_close(struct ml_dataset_facts *facts); /* accepts NULL and a zeroed one */

#endif
