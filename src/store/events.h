/* The one log of every rating, click, answer and reward: rows are added and never changed. */
#ifndef ML_STORE_EVENTS_H
#define ML_STORE_EVENTS_H

#include <stdint.h>

#include "store/workspace.h"

/* Texts of what is read are borrowed from the cursor. For adding, NULL is "" (meta "{}"). */
struct ml_event {
    int64_t id;
    int64_t time;        /* Unix seconds; 0 when adding: now */
    const char *subject; /* who: a person, a session, an experiment's arm */
    const char *item;    /* about what: a generation, a record, a model */
    const char *action;  /* "rate", "click", "choose", "edit" ... */
    double propensity;   /* probability with which the item was shown; NaN: not known */
    double reward;       /* NaN: none */
    const char *meta;    /* JSON object of further fields */
};
/* item and action must be set. */
int ml_events_add(struct ml_workspace *workspace, const struct ml_event *event, int64_t *id,
                  struct ml_error *err);

/* Which events; zero means all, in the order in which they were added. */
struct ml_event_filter {
    const char *subject, *item, *action; /* NULL: any */
    int64_t from, to;                    /* time at or after, before; 0: any */
    int64_t after;                       /* ids above this one */
    int64_t limit;                       /* 0: no limit */
};
struct ml_event_cursor;
int ml_events_open(struct ml_event_cursor **out, struct ml_workspace *workspace,
                   const struct ml_event_filter *filter, struct ml_error *err);
/* 1: *event is the next, borrowed until the next call; 0: no more; negative: failed. */
int ml_events_next(struct ml_event_cursor *cursor, struct ml_event *event, struct ml_error *err);
void ml_events_close(struct ml_event_cursor *cursor); /* accepts NULL */

/* How many, and the sum of their rewards (sum may be NULL). after and limit are not looked at. */
int ml_events_count(struct ml_workspace *workspace, const struct ml_event_filter *filter,
                    int64_t *count, double *sum, struct ml_error *err);

#endif
