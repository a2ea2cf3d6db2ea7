/* A tool that reads untrusted bytes, in a process that can do nothing else: it gets the bytes as
 * its standard input, and what it writes to standard output comes back. Limits on processor time,
 * memory and time; no new privileges, no files written, nothing of ours open; and where libseccomp
 * is built in, a list of system calls without sockets, processes, or opening for writing. */
#ifndef ML_DATA_CHILD_H
#define ML_DATA_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_CHILD_SAID 200

struct ml_child {
    const char *const *arguments; /* NULL behind the last; [0] is the tool's absolute path */
    const void *input;
    size_t input_bytes;
    /* Zero means default. */
    double seconds;         /* 60 */
    uint64_t memory_bytes;  /* of address space; 2 GiB */
    uint64_t max_out_bytes; /* 256 MiB */
    bool threads;           /* it may have threads of its own */
};

/* What became of it. */
struct ml_child_end {
    int exit_code;            /* -1: a signal ended it */
    int signal;               /* 0: none */
    bool late;                /* it was ended for its time */
    bool large;               /* it was ended because it wrote too much */
    char said[ML_CHILD_SAID]; /* the first of what it wrote to standard error, on one line */
};
/* Appends its output to `out`. Failure means that it could not be run: ML_ERR_UNSUPPORTED when this
 * system cannot lock it up, ML_ERR_IO, ML_ERR_MEMORY. */
int ml_child_run(const struct ml_child *child, struct ml_buffer *out, struct ml_child_end *end,
                 struct ml_error *err);

/* The absolute path of a tool in one of PATH's absolute folders, in `path`; false: it is in none.
 */
bool ml_child_find(const char *tool, char *path, size_t room);

#endif
