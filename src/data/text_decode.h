/* Bytes of a file to UTF-8 text with \n at line ends; nothing else is changed. */
#ifndef ML_DATA_TEXT_DECODE_H
#define ML_DATA_TEXT_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

enum ml_text_verdict {
    ML_TEXT_OK,
    ML_TEXT_EMPTY,        /* nothing, or nothing but white space */
    ML_TEXT_BINARY,       /* NUL bytes, or one byte in twenty is a control character */
    ML_TEXT_BAD_ENCODING, /* neither UTF-8 nor anything else that it could plainly be */
};
enum ml_text_encoding { ML_ENCODING_UTF8, ML_ENCODING_UTF16, ML_ENCODING_GB18030 };
const char *ml_text_encoding_name(enum ml_text_encoding encoding); /* "UTF-8" ... */

struct ml_text_decoding {
    bool utf8_only; /* what may be no text at all must be UTF-8, or UTF-16 with its mark */
    bool keep_cr;   /* only \r\n becomes \n; a lone \r stays (JSON lines) */
};

struct ml_decoded {
    enum ml_text_verdict verdict;
    enum ml_text_encoding encoding;
    const char *text; /* borrowed from the input when nothing had to change, else from own */
    size_t size;
    struct ml_buffer own;
};

/* UTF-8 with or without mark, UTF-16 with its mark, GB18030 where the text reads like Chinese.
 * Only running out of memory is an error; the verdict says the rest. Zero-initialise out; clear it
 * when done. options may be NULL. */
int ml_text_decode(struct ml_decoded *out, const char *bytes, size_t n,
                   const struct ml_text_decoding *options, struct ml_error *err);
void ml_decoded_clear(struct ml_decoded *decoded); /* accepts NULL */

#endif
