/* What curating did: one row a run, and why each record that it dropped went. */
#ifndef ML_STORE_CURATIONS_H
#define ML_STORE_CURATIONS_H

#include "store/datasets.h"

struct ml_curation {
    int64_t id;
    const char *name;              /* of the output */
    const char *recipe;            /* its whole text */
    char recipe_hash[ML_HASH_HEX]; /* of that text; filled in by adding */
    int64_t input, output;         /* datasets; output 0: not finished */
    const char *report;            /* JSON */
    int64_t time;
};
/* name, recipe and input must be set; *id is its number. */
int ml_curations_add(struct ml_workspace *workspace, const struct ml_curation *curation,
                     int64_t *id, struct ml_error *err);
int ml_curations_finish(struct ml_workspace *workspace, int64_t id, int64_t output,
                        const char *report, struct ml_error *err);
/* A dropped record; the same again replaces the row. */
int ml_curations_drop(struct ml_workspace *workspace, int64_t id, int64_t record, const char *step,
                      const char *reason, double value, struct ml_error *err);
/* Of the run that made the dataset. Texts are owned by the arena. ML_ERR_NOT_FOUND: none did. */
int ml_curations_of(struct ml_workspace *workspace, int64_t dataset, struct ml_arena *arena,
                    struct ml_curation *out, struct ml_error *err);
int ml_curations_dropped(struct ml_workspace *workspace, int64_t id, int64_t *count,
                         struct ml_error *err);

#endif
