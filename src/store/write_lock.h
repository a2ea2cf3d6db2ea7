/* Who may write a workspace: one handle at a time, over all processes. Two byte ranges of one file
 * (open file description locks, so that two handles in one process exclude each other too): a
 * writer waits for its turn at the door, then for the room, and leaves the door open again. One
 * that writes batch after batch therefore lets in whoever waits. A killed process holds nothing. */
#ifndef ML_STORE_WRITE_LOCK_H
#define ML_STORE_WRITE_LOCK_H

#include <stdbool.h>

#include "maliang/error.h"

struct ml_write_lock {
    int file; /* -1: not open */
};

/* Makes the file when it does not exist. */
int ml_write_lock_open(struct ml_write_lock *lock, const char *path, struct ml_error *err);
/* Waits at most wait_seconds (0: not at all); *taken says whether it got in. */
int ml_write_lock_take(struct ml_write_lock *lock, double wait_seconds, bool *taken,
                       struct ml_error *err);
void ml_write_lock_leave(struct ml_write_lock *lock);
/* The process that was last seen writing, or 0 when it is not known. */
long ml_write_lock_owner(const struct ml_write_lock *lock);
/* Whether nobody holds the lock of this file now; it need not exist, and is not locked. */
bool ml_write_lock_is_free(const char *path);
void ml_write_lock_close(struct ml_write_lock *lock); /* leaves, too */

#endif
