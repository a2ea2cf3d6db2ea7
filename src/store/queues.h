/* Queues of labelling: what is asked (a task, data/label_task.h) about which dataset. */
#ifndef ML_STORE_QUEUES_H
#define ML_STORE_QUEUES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/workspace.h"

/* Texts are owned by the arena that was given. */
struct ml_queue_entry {
    const char *name;
    const char *dataset; /* "name@version" */
    const char *task;    /* its whole YAML text */
    int64_t created;     /* Unix seconds; 0 when adding: now */
};

/* A name that exists is ML_ERR_STATE, unless it is the same queue, which changes nothing. */
int ml_queues_add(struct ml_workspace *workspace, const struct ml_queue_entry *queue,
                  struct ml_error *err);
/* ML_ERR_NOT_FOUND names the nearest. */
int ml_queues_get(struct ml_workspace *workspace, const char *name, struct ml_arena *arena,
                  struct ml_queue_entry *out, struct ml_error *err);
/* All, by name. */
int ml_queues_list(struct ml_workspace *workspace, struct ml_arena *arena,
                   struct ml_queue_entry **out, size_t *count, struct ml_error *err);

#endif
