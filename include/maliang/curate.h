/* Curating: a dataset through the steps of a recipe (docs/curate.md) into a new one. */
#ifndef MALIANG_CURATE_H
#define MALIANG_CURATE_H

#include <stdbool.h>
#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ml_curate_request {
    const char *workspace;
    const char *recipe; /* path of a YAML file */
    const char *input;  /* dataset instead of the recipe's, or NULL */
    const char *output; /* likewise */
    bool dry_run;       /* say what would go and why; write nothing */
    ml_cancel *cancel;
    /* Now and then; may be NULL. */
    void (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

enum { ML_CURATE_REASONS = 24, ML_CURATE_SHOWN = 3 };

/* Why a step dropped (or changed) records. */
struct ml_curate_cause {
    char why[64];
    bool changed; /* changed, not dropped */
    int64_t count;
    char examples[ML_CURATE_SHOWN][200]; /* "" after the last */
};

struct ml_curate_stage {
    char name[32];
    int64_t in, dropped, changed;
    int cause_count;
    struct ml_curate_cause causes[ML_CURATE_REASONS]; /* most frequent first */
};

struct ml_curate_result {
    char input[160];        /* "name@version" */
    int64_t records, bytes; /* of the input */
    int64_t kept, kept_bytes;
    int64_t train, validation, test; /* all of kept is train when there is no split */
    char outputs[3][160];            /* "name@version" of the splits; "" when not made */
    double seconds;
    int stage_count;
    struct ml_curate_stage *stages;
};

/* *out is freed by ml_curate_result_clear. */
int ml_engine_curate(struct ml_engine *engine, const struct ml_curate_request *request,
                     struct ml_curate_result *out, struct ml_error *err);
void ml_curate_result_clear(struct ml_curate_result *result); /* accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
