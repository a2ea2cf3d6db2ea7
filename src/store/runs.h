/* Training runs: one row each. Checkpoints and curves lie in the run's folder. */
#ifndef ML_STORE_RUNS_H
#define ML_STORE_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "store/hash.h"
#include "store/workspace.h"

enum ml_run_state {
    ML_RUN_RUNNING, /* also what a killed one still says: its folder's lock tells */
    ML_RUN_DONE,
    ML_RUN_FAILED,
    ML_RUN_STOPPED, /* on request; can be resumed */
    ML_RUN_STATE_COUNT
};
const char *ml_run_state_name(enum ml_run_state state); /* "running" ... */

struct ml_run_entry {
    int64_t id;
    const char *name;
    const char *recipe;             /* its whole text */
    char recipe_hash[ML_HASH_HEX];  /* of that text */
    char dataset_hash[ML_HASH_HEX]; /* "" while not known */
    enum ml_run_state state;
    int64_t step;
    double best;              /* best value of the watched metric, NaN: none yet */
    const char *message;      /* why it failed, "" */
    const char *folder;       /* relative to the workspace, or absolute */
    int64_t started, updated; /* Unix seconds */
};

/* A row in state running at step 0. name and recipe must be set; dataset_hash and folder may be: a
 * NULL or "" folder becomes "runs/NUMBER-NAME". The folder itself is not made. *out's texts are
 * owned by the arena. */
int ml_runs_add(struct ml_workspace *workspace, const struct ml_run_entry *run,
                struct ml_arena *arena, struct ml_run_entry *out, struct ml_error *err);

struct ml_run_update {
    enum ml_run_state state;
    int64_t step;
    double best;         /* NaN leaves what is there */
    const char *message; /* NULL leaves what is there */
};
int ml_runs_update(struct ml_workspace *workspace, int64_t id, const struct ml_run_update *update,
                   struct ml_error *err);
int ml_runs_get(struct ml_workspace *workspace, int64_t id, struct ml_arena *arena,
                struct ml_run_entry *out, struct ml_error *err);
/* Newest first. name NULL: all. limit 0: no limit. */
int ml_runs_list(struct ml_workspace *workspace, const char *name, int64_t limit,
                 struct ml_arena *arena, struct ml_run_entry **out, size_t *count,
                 struct ml_error *err);

#endif
