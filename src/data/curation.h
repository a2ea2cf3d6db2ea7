/* Curating: a dataset through the steps of a recipe into a new dataset. Each step keeps a record,
 * changes it or drops it and says why; what a record went through is its lineage, what was dropped
 * is in the store. A dry run does all of it but writes nothing.
 *
 *     input: raw
 *     output: clean
 *     steps:
 *       - normalise:
 *       - language: {keep: [zh, en], least: 0.65}
 *       - c4_lines:
 *       - quality: {sets: [gopher, repetition, c4, fineweb], limits: {gopher.words: [20, none]}}
 *       - licence: {allow: [CC0-1.0, CC-BY-4.0], unknown: drop}
 *       - consent:
 *       - exact_duplicates:
 *       - near_duplicates: {threshold: 0.7}
 *       - redact: {kinds: [email, phone], mode: replace}
 *       - decontaminate: {against: [exam], run: 13}
 *       - split: {validation: 0.05, test: 0.05, by: language}
 *
 * Texts are read, judged and rewritten on all threads; steps that compare records (duplicates,
 * splits) see them in the dataset's order, so the result does not depend on the threads. */
#ifndef ML_DATA_CURATION_H
#define ML_DATA_CURATION_H

#include <stdbool.h>

#include "base/threads.h"
#include "store/datasets.h"

enum { ML_CURATE_MAX_STEPS = 32, ML_CURATE_MAX_REASONS = 24, ML_CURATE_EXAMPLES = 3 };

/* A parsed recipe, owned by its arena. */
struct ml_curate_recipe;
/* Mistakes are reported with file and line. `name` is the file's name for messages. */
int ml_curate_recipe_parse(struct ml_curate_recipe **out, struct ml_arena *arena, const char *text,
                           size_t n, const char *name, struct ml_error *err);
const char *ml_curate_recipe_input(const struct ml_curate_recipe *recipe);  /* NULL: not said */
const char *ml_curate_recipe_output(const struct ml_curate_recipe *recipe); /* NULL: not said */

/* Zero means default. */
struct ml_curate_options {
    const char *input, *output; /* instead of the recipe's */
    bool dry_run;
    struct ml_pool *pool; /* NULL: one thread */
    /* Now and then; non-zero stops with ML_ERR_CANCELLED: nothing of the run is in a dataset then.
     * May be NULL. */
    int (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

/* Why a step dropped or changed records. */
struct ml_curate_reason {
    char why[64];
    bool changed; /* changed, not dropped */
    int64_t count;
    char examples[ML_CURATE_EXAMPLES][200]; /* "source: title or beginning (value)" */
};
struct ml_curate_step_report {
    char name[32];
    int64_t in, dropped, changed;
    int reason_count;
    struct ml_curate_reason reasons[ML_CURATE_MAX_REASONS];
};
struct ml_curate_report {
    char input[ML_NAME_BYTES + 16];
    int64_t records, bytes;   /* of the input */
    int64_t kept, kept_bytes; /* of the output, all splits together */
    int64_t split[3];         /* train, validation, test; 0 when not split */
    double seconds;
    int step_count;
    struct ml_curate_step_report steps[ML_CURATE_MAX_STEPS];
    struct ml_dataset output, validation, test; /* id 0: not made */
};

/* The report is large: keep it on the heap. It is filled in also when the call fails. No record
 * left is ML_ERR_NOT_FOUND (and nothing is written). */
int ml_curate(struct ml_workspace *workspace, const struct ml_curate_recipe *recipe,
              const struct ml_curate_options *options, struct ml_curate_report *report,
              struct ml_error *err);

/* The names of all steps, for messages and documents. */
const char *const *ml_curate_step_names(int *count);

#endif
