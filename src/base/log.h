/* Talk goes to stderr, results to stdout. The level comes from the caller, never from a global. */
#ifndef ML_BASE_LOG_H
#define ML_BASE_LOG_H

enum ml_log_level { ML_LOG_ERROR, ML_LOG_WARN, ML_LOG_INFO, ML_LOG_DEBUG };

/* Where messages go: zero-initialised, warnings and errors go to stderr. */
struct ml_log {
    enum ml_log_level level; /* 0 is taken as ML_LOG_WARN */
    void (*write)(void *arg, enum ml_log_level level, const char *line); /* NULL: stderr */
    void *arg;
};
void ml_log(const struct ml_log *log, enum ml_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
