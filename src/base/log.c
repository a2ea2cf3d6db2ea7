#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void ml_log(const struct ml_log *log, enum ml_log_level level, const char *format, ...)
{
    enum ml_log_level shown = log && log->level ? log->level : ML_LOG_WARN;
    if (level > shown)
        return;
    char line[2048];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (length < 0)
        return;
    if (log && log->write) {
        log->write(log->arg, level, line);
        return;
    }
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    fprintf(stderr, "%s%s\n", names[level], line);
}
