/* What of a poem stands word for word in the training poems: whole lines, and runs of Chinese
 * characters across line ends. */
#ifndef BENCH_COPIED_H
#define BENCH_COPIED_H

#include <stddef.h>

#include "maliang/error.h"

enum { COPIED_RUN = 7 }; /* characters */

struct copied;
int copied_new(struct copied **out, struct ml_error *err);
int copied_add(struct copied *copied, const char *text, size_t size, struct ml_error *err);
void copied_finish(struct copied *copied); /* after the last one, before the first question */
void copied_free(struct copied *copied);

struct copies {
    int lines, copied_lines;
    int runs, copied_runs;
};
struct copies copied_count(const struct copied *copied, const char *text, size_t size);

#endif
