/* Web pages: the main text with what the page says about itself. */
#ifndef ML_DATA_HTML_READ_H
#define ML_DATA_HTML_READ_H

#include "data/reader.h"

extern const struct ml_reader ml_reader_html;

/* Whether the first bytes are of a page. */
bool ml_looks_like_html(const char *bytes, size_t n);

#endif
