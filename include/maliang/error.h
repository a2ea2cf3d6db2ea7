/* Errors: every call that can fail returns 0 or a negative code and leaves one message in the
 * caller's ml_error. Outputs are untouched on failure. */
#ifndef MALIANG_ERROR_H
#define MALIANG_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum ml_status {
    ML_OK = 0,
    ML_ERR_MEMORY = -1,      /* an allocation failed */
    ML_ERR_IO = -2,          /* reading or writing a file failed (disk full, permission) */
    ML_ERR_FORMAT = -3,      /* bytes from outside are not what they claim to be */
    ML_ERR_ARG = -4,         /* the caller asked for something that makes no sense */
    ML_ERR_SHAPE = -5,       /* tensors do not fit together */
    ML_ERR_NOT_FOUND = -6,   /* no such file, model, record or key */
    ML_ERR_UNSUPPORTED = -7, /* understood, but this build or machine cannot do it */
    ML_ERR_CANCELLED = -8,   /* stopped by a signal or by the caller's callback */
    ML_ERR_NUMERIC = -9,     /* NaN or infinity where a number is needed */
    ML_ERR_STATE = -10,      /* right call, wrong time */
    ML_ERR_LIMIT = -11,      /* larger than a documented limit */
};

/* Caller-owned. Zero-initialise; the first failure that is reported wins. */
struct ml_error {
    int code;          /* 0 or one of enum ml_status */
    char message[512]; /* one line: what, where, what to do. UTF-8, no trailing newline */
};

/* The name of a status, such as "out of memory". Never NULL. */
const char *ml_status_name(int code);

#ifdef __cplusplus
}
#endif
#endif
