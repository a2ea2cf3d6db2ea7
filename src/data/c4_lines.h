/* C4's rules on lines (Raffel et al. 2020, arXiv:1910.10683, section 2.2) as FineWeb uses them
 * (without the one on final punctuation): lines of fewer than three words, with "javascript" or
 * the phrases of cookie and privacy notices go; marks of references ([3], [edit]) are cut out. */
#ifndef ML_DATA_C4_LINES_H
#define ML_DATA_C4_LINES_H

#include <stdbool.h>

#include "text/word_scan.h"

/* out is emptied first. The scan is of the text. *dropped: how many lines. */
int ml_c4_lines(struct ml_buffer *out, const struct ml_word_scan *scan, bool *changed,
                int64_t *dropped, struct ml_error *err);

#endif
