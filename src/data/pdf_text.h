/* The text that pdftotext gives, made readable. */
#ifndef ML_DATA_PDF_TEXT_H
#define ML_DATA_PDF_TEXT_H

#include "base/arena.h"
#include "maliang/error.h"

/* Pages end with a form feed. Appends them to `out` with a blank line between, without lines that
 * stand first or last on most pages (digits do not count: page numbers), words broken by a hyphen
 * joined, runs of blank lines made one. *pages: how many there were. */
int ml_pdf_clean(struct ml_buffer *out, const char *text, size_t n, int *pages,
                 struct ml_error *err);

#endif
