/* A line of live progress on a terminal; plain lines now and then when stderr is not one. */
#ifndef ML_BASE_PROGRESS_H
#define ML_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct ml_progress {
    bool terminal;  /* redraw in place */
    int columns;    /* width of the terminal, 80 when unknown */
    double started; /* seconds, ml_time() */
    double last_drawn;
};

double ml_time(void); /* monotonic seconds */

void ml_progress_init(struct ml_progress *progress); /* looks at stderr, COLUMNS, NO_COLOR */

/* Draws "label [bar] 42% detail  1m05s left" fitted to the width (wide characters counted), at
 * most ten times a second on a terminal and every five seconds elsewhere; always when
 * done >= total. */
void ml_progress_draw(struct ml_progress *progress, const char *label, double done, double total,
                      const char *detail);
void ml_progress_end(struct ml_progress *progress); /* leaves the last line standing */

/* "1m05s", "2h03m", "12s": at most buffer size. Returns buffer. */
char *ml_format_seconds(char *buffer, size_t size, double seconds);
char *ml_format_bytes(char *buffer, size_t size, double bytes); /* "12.3 MB" */
char *ml_format_count(char *buffer, size_t size, double count); /* "12.3k", "10.7M" */

#endif
