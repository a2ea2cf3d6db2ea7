#include "store/write_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/progress.h"

enum { DOOR, ROOM }; /* bytes of the file; locks may lie beyond its end */

int ml_write_lock_open(struct ml_write_lock *lock, const char *path, struct ml_error *err)
{
    char reason[128];
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0)
        return ml_fail(err, ML_ERR_IO, "%s: cannot be opened for writing: %s", path,
                       strerror_r(errno, reason, sizeof reason));
    lock->file = file;
    return 0;
}

static int set(int file, int byte, short type)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(file, F_OFD_SETLK, &range);
}

/* Polls, because a blocking wait cannot be given a time limit without signals. */
static int wait_for(int file, int byte, double until, bool *taken, struct ml_error *err)
{
    char reason[128];
    long nanoseconds = 500000;
    while (set(file, byte, F_WRLCK) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EACCES)
            return ml_fail(err, ML_ERR_IO, "the workspace's lock file cannot be locked: %s",
                           strerror_r(errno, reason, sizeof reason));
        if (ml_time() >= until) {
            *taken = false;
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
        nanoseconds = nanoseconds < 10000000 ? nanoseconds * 2 : nanoseconds;
    }
    *taken = true;
    return 0;
}

/* For the message of whoever has to wait; without it the lock works as well. */
static void write_owner(int file)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (pwrite(file, text, (size_t)n, 0) == n)
        (void)!ftruncate(file, n);
}

int ml_write_lock_take(struct ml_write_lock *lock, double wait_seconds, bool *taken,
                       struct ml_error *err)
{
    double until = ml_time() + wait_seconds;
    bool in = false;
    int status = wait_for(lock->file, DOOR, until, &in, err);
    if (status == 0 && in) {
        status = wait_for(lock->file, ROOM, until, &in, err);
        set(lock->file, DOOR, F_UNLCK);
    }
    if (status)
        return status;
    if (in)
        write_owner(lock->file);
    *taken = in;
    return 0;
}

void ml_write_lock_leave(struct ml_write_lock *lock)
{
    set(lock->file, ROOM, F_UNLCK);
}

long ml_write_lock_owner(const struct ml_write_lock *lock)
{
    char text[32] = {0};
    ssize_t n = pread(lock->file, text, sizeof text - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

bool ml_write_lock_is_free(const char *path)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = ROOM, .l_len = 1};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT || errno == ENOTDIR;
    bool is_free = fcntl(file, F_OFD_GETLK, &range) == 0 && range.l_type == F_UNLCK;
    close(file);
    return is_free;
}

void ml_write_lock_close(struct ml_write_lock *lock)
{
    if (lock && lock->file >= 0) {
        close(lock->file);
        lock->file = -1;
    }
}
