/* Reading the options of a step: messages carry file and line, what is not given stays. */
#ifndef ML_DATA_CURATE_PARSE_H
#define ML_DATA_CURATE_PARSE_H

#include "data/curate_impl.h"

struct ml_curate_range {
    double low, high;
};

int ml_curate_fail(const struct ml_yaml *at, const char *file, struct ml_error *err,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
int ml_curate_number(const struct ml_yaml *map, const char *key, const char *file,
                     const struct ml_curate_range *range, double *out, struct ml_error *err);
int ml_curate_flag(const struct ml_yaml *map, const char *key, const char *file, bool *out,
                   struct ml_error *err);
/* A scalar that is one of the choices. */
int ml_curate_choice(const struct ml_yaml *node, const char *file, const char *const *choices,
                     int count, int *out, struct ml_error *err);
/* A word or a list of words, appended to step->words. */
int ml_curate_words(struct ml_curate_step *step, const struct ml_yaml *map, const char *key,
                    const char *file, struct ml_error *err);

#endif
