#include "base/progress.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

#define TERMINAL_EVERY 0.1 /* seconds between two drawings */
#define PLAIN_EVERY    5.0
#define MAX_BAR        30 /* columns */
#define LINE_BYTES     1024

double ml_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    long value = columns ? strtol(columns, NULL, 10) : 0;
    return value > 0 && value < 10000 ? (int)value : 80;
}

void ml_progress_init(struct ml_progress *progress)
{
    const char *term = getenv("TERM");
    /* NO_COLOR (no-color.org) and dumb terminals: no escape codes at all, so no redrawing. */
    const char *plain = getenv("NO_COLOR");
    bool dumb = term && strcmp(term, "dumb") == 0;
    *progress = (struct ml_progress){
        .terminal = isatty(STDERR_FILENO) && !dumb && !(plain && *plain),
        .columns = terminal_columns(),
        .started = ml_time(),
        .last_drawn = -INFINITY,
    };
}

/* Puts text into line, at most `columns` wide; returns the columns used. */
static int put_columns(char *line, size_t *used, const char *text, int columns)
{
    int shown = 0;
    size_t n = strlen(text);
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t codepoint;
        step = ml_utf8_decode(text + i, n - i, &codepoint);
        bool printable = step > 0 && codepoint >= 0x20 && codepoint != 0x7f;
        int width = printable ? ml_utf8_width(codepoint) : 1;
        step = step ? step : 1;
        if (shown + width > columns || *used + step >= LINE_BYTES)
            break;
        if (printable)
            memcpy(line + *used, text + i, step);
        else
            line[*used] = '?';
        *used += printable ? step : 1;
        shown += width;
    }
    line[*used] = '\0';
    return shown;
}

static void put_bar(char *line, size_t *used, int columns, double share)
{
    int filled = (int)(share * columns + 0.5);
    if (*used + (size_t)columns + 4 >= LINE_BYTES)
        return;
    line[(*used)++] = ' ';
    line[(*used)++] = '[';
    for (int i = 0; i < columns; i++)
        line[(*used)++] = i < filled ? '#' : '.';
    line[(*used)++] = ']';
    line[*used] = '\0';
}

static void format_line(const struct ml_progress *progress, char *line, const char *label,
                        double done, double total, const char *detail, double now)
{
    double share = total > 0 ? done / total : 0;
    share = share >= 0 ? (share <= 1 ? share : 1) : 0; /* also for NaN */
    double spent = now - progress->started;
    char percent[32], time[32], left[48] = "";
    snprintf(percent, sizeof percent, " %3d%% ", (int)(share * 100));
    if (share >= 1)
        snprintf(left, sizeof left, "  %s", ml_format_seconds(time, sizeof time, spent));
    else if (share > 0 && spent > 1)
        snprintf(left, sizeof left, "  %s left",
                 ml_format_seconds(time, sizeof time, spent * (1 - share) / share));
    int columns = progress->terminal ? progress->columns - 1 : LINE_BYTES;
    size_t used = 0;
    int fixed = (int)strlen(percent) + (int)strlen(left);
    int room = columns - fixed, shown = put_columns(line, &used, label, room > 0 ? room : 0);
    int wanted = (int)ml_utf8_columns(detail, strlen(detail));
    int bar = room - shown - wanted - 3;
    bar = bar > MAX_BAR ? MAX_BAR : bar;
    if (bar >= 5) {
        put_bar(line, &used, bar, share);
        shown += bar + 3;
    }
    if (columns >= fixed)
        put_columns(line, &used, percent, columns);
    put_columns(line, &used, detail, room > shown ? room - shown : 0);
    if (columns >= fixed)
        put_columns(line, &used, left, columns);
}

void ml_progress_draw(struct ml_progress *progress, const char *label, double done, double total,
                      const char *detail)
{
    double now = ml_time();
    double every = progress->terminal ? TERMINAL_EVERY : PLAIN_EVERY;
    if (now - progress->last_drawn < every && !(done >= total))
        return;
    char line[LINE_BYTES + 1];
    line[0] = '\0';
    format_line(progress, line, label ? label : "", done, total, detail ? detail : "", now);
    if (progress->terminal) /* \033[K clears what a longer line before left behind */
        fprintf(stderr, "\r%s\033[K", line);
    else
        fprintf(stderr, "%s\n", line);
    fflush(stderr);
    progress->last_drawn = now;
}

void ml_progress_end(struct ml_progress *progress)
{
    if (progress->terminal && progress->last_drawn > -INFINITY)
        fputc('\n', stderr);
    progress->last_drawn = -INFINITY;
}

char *ml_format_seconds(char *buffer, size_t size, double seconds)
{
    if (!(seconds >= 0 && seconds < 1e9)) {
        snprintf(buffer, size, "?");
        return buffer;
    }
    long whole = (long)(seconds + 0.5);
    if (whole < 60)
        snprintf(buffer, size, "%lds", whole);
    else if (whole < 3600)
        snprintf(buffer, size, "%ldm%02lds", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(buffer, size, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
    else
        snprintf(buffer, size, "%ldd%02ldh", whole / 86400, whole / 3600 % 24);
    return buffer;
}

/* Three digits or so of value with a unit from the list, in steps of 1000. */
static char *format_scaled(char *buffer, size_t size, double value, const char *const *units,
                           int n_units)
{
    int unit = 0;
    while (unit + 1 < n_units && fabs(value) >= 999.95) {
        value /= 1000;
        unit++;
    }
    snprintf(buffer, size, unit == 0 || fabs(value) >= 99.95 ? "%.0f%s" : "%.1f%s", value,
             units[unit]);
    return buffer;
}

char *ml_format_bytes(char *buffer, size_t size, double bytes)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB"};
    return format_scaled(buffer, size, bytes, units, 5);
}

char *ml_format_count(char *buffer, size_t size, double count)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    return format_scaled(buffer, size, count, units, 5);
}
