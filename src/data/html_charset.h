/* The bytes of a page to UTF-8. */
#ifndef ML_DATA_HTML_CHARSET_H
#define ML_DATA_HTML_CHARSET_H

#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

struct ml_html_decoded {
    const char *charset; /* "UTF-8", or what iconv calls the encoding */
    const char *text;    /* borrowed from the input when nothing had to change, else from own */
    size_t size;
    struct ml_buffer own;
};

/* By its mark, else what is plainly UTF-8 is that whatever it says (a server may have converted
 * it), else by `charset`, which the server states (NULL or "": it does not), else by what
 * <meta charset> or http-equiv states in the first 4 KiB, else UTF-8 or GB18030
 * by how it reads, else windows-1252 as browsers take it. A byte that has no meaning becomes
 * U+FFFD; the text of a UTF-8 page is not checked. ML_ERR_LIMIT: over ML_HTML_MAX_BYTES; else only
 * running out of memory is an error. Zero-initialise out; clear it when done. */
int ml_html_decode(struct ml_html_decoded *out, const char *bytes, size_t n, const char *charset,
                   const char *name, struct ml_error *err);
void ml_html_decoded_clear(struct ml_html_decoded *decoded); /* accepts NULL */

#endif
