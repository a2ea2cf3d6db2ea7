/* A part of a page as plain text: paragraphs with a blank line between them. */
#ifndef ML_DATA_HTML_TEXT_H
#define ML_DATA_HTML_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "data/html_tree.h"
#include "maliang/error.h"

/* Appends what lies under `root`. Nodes i with left_out[i] are not written, nor what lies within
 * them; left_out may be NULL.
 *
 * Blocks are paragraphs; list items and rows of tables are lines, "- " before an item and " | "
 * between cells; <br> is a line end; <pre> stays as it is. White space is folded, and goes where it
 * stands between two Chinese (or Japanese) characters only because the source's line was broken
 * there. No NUL, no other control characters; one \n at the end, or nothing at all. */
int ml_html_write_text(struct ml_buffer *out, const struct ml_html_tree *tree, uint32_t root,
                       const bool *left_out, struct ml_error *err);

/* Appends one line of text folded in the same manner, such as a title: no \n in it. */
int ml_html_write_line(struct ml_buffer *out, const char *text, size_t n, struct ml_error *err);

/* Whether an element starts a line of its own. */
bool ml_html_is_block(uint8_t tag);

/* Chinese characters, kana and the punctuation that goes with them: written without spaces. */
bool ml_html_is_wide(uint32_t character);

#endif
