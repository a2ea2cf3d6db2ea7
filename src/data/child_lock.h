/* The list of system calls that a locked-up tool may make (data/child.h). */
#ifndef ML_DATA_CHILD_LOCK_H
#define ML_DATA_CHILD_LOCK_H

#include <linux/filter.h>
#include <stdbool.h>

#include "maliang/error.h"

#define ML_CHILD_TOOL_FD 63 /* the one file that may be executed */

/* Builds the filter for prctl(PR_SET_SECCOMP); *rules is freed by ml_mem_free. Built without
 * libseccomp the filter is empty (len 0). `threads`: it may start threads, but no processes. */
int ml_child_lock(struct sock_filter **rules, struct sock_fprog *lock, bool threads,
                  struct ml_error *err);

#endif
