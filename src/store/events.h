/* Events: the single log that every rating, click, answer and reward goes to. Rows are added and
 * never changed. */
#ifndef ML_STORE_EVENTS_H
#define ML_STORE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/workspace.h"

/* Text of what is read is borrowed from the cursor until its next step. */
struct ml_event {
    int64_t id;
    int64_t time;        /* Unix seconds; adding: 0 is now */
    const char *subject; /* who: a person, a session, a test ("" or NULL: not known) */
    const char *item;    /* of what: "generation:12", "record:7", "model:small" */
    const char *action;  /* "rate", "click", "answer", "reward" ... */
    double propensity;   /* how likely the choice of the item was, in (0, 1]; NaN: not known */
    double reward;       /* NaN: none */
    const char *meta;    /* JSON object; adding: NULL or "" is {} */
};
/* item and action must be set; propensity must be a probability or NaN. *id may be NULL. */
int ml_events_add(struct ml_workspace *workspace, const struct ml_event *event, int64_t *id,
                  struct ml_error *err);

/* Which events; zero means all. */
struct ml_event_filter {
    const char *subject, *item, *action; /* NULL: any */
    int64_t since, until;                /* time >= since, time < until; until 0: no end */
    int64_t after;                       /* ids above this one */
    int64_t limit;                       /* 0: no limit */
};
struct ml_event_cursor;
/* In the order of their ids. filter may be NULL. */
int ml_events_open(struct ml_event_cursor **out, struct ml_workspace *workspace,
                   const struct ml_event_filter *filter, struct ml_error *err);
/* 1: *event is the next; 0: no more; negative: failed. */
int ml_events_next(struct ml_event_cursor *cursor, struct ml_event *event, struct ml_error *err);
void ml_events_close(struct ml_event_cursor *cursor); /* accepts NULL */

/* How many, and the mean of their rewards (NaN: none of them has one); both may be NULL. limit is
 * not looked at. */
int ml_events_count(struct ml_workspace *workspace, const struct ml_event_filter *filter,
                    int64_t *count, double *mean_reward, struct ml_error *err);

#endif
