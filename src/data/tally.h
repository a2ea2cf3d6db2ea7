/* How often each name occurs: kinds, licences, sources. */
#ifndef ML_DATA_TALLY_H
#define ML_DATA_TALLY_H

#include "base/arena.h"

struct ml_tally_row {
    const char *name; /* owned by the arena */
    int64_t count, bytes;
};
struct ml_tally {
    struct ml_tally_row *rows; /* in the order of their first appearance, until they are sorted */
    size_t count, capacity;
    uint32_t *slots; /* open addressing: number of a row + 1; 0 is free */
    size_t slot_count;
};

/* Zero-initialise. Names go into the arena. */
int ml_tally_add(struct ml_tally *tally, struct ml_arena *arena, const char *name, int64_t count,
                 int64_t bytes, struct ml_error *err);
/* Counts one, and *number is the row's place until it is sorted. */
int ml_tally_number(struct ml_tally *tally, struct ml_arena *arena, const char *name, int *number,
                    struct ml_error *err);
/* Most frequent first, then by name. Nothing is added after it. */
void ml_tally_sort(struct ml_tally *tally);
int64_t ml_tally_of(const struct ml_tally *tally, const char *name); /* 0: none; not by hash */
void ml_tally_clear(struct ml_tally *tally);                         /* not the names */

#endif
