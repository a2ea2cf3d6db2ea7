/* How the library's own code reports a failure. */
#ifndef ML_BASE_FAIL_H
#define ML_BASE_FAIL_H

#include "maliang/error.h"

/* Writes the message (unless err already holds one: the first failure is the cause) and returns
 * code, so that callers can write `return ml_fail(err, ML_ERR_IO, "...")`. err may be NULL. */
int ml_fail(struct ml_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of a message that is already there, for callers that know more. */
void ml_fail_context(struct ml_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
