/* One spelling for what looks the same: Unicode NFC, one kind of blank, no invisible characters, no
 * blanks at line ends, at most one empty line. */
#ifndef ML_DATA_NORMALISE_H
#define ML_DATA_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* Zero means default. */
struct ml_normalise {
    bool half_width;  /* full-width Latin letters and digits become ASCII */
    bool keep_blanks; /* runs of blanks within a line stay (code, tables) */
};

/* out is emptied first. *changed: whether it differs from the text, which must be UTF-8. */
int ml_normalise_text(struct ml_buffer *out, const char *text, size_t n,
                      const struct ml_normalise *options, bool *changed, struct ml_error *err);

#endif
