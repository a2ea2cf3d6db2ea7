/* UTF-8 (RFC 3629): strict decoding, and what a stream may show. */
#ifndef ML_BASE_UTF8_H
#define ML_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one character; returns its length in bytes (1..4), or 0 when the bytes at text are not
 * valid UTF-8 (overlong, surrogate, above U+10FFFF, cut off). *out is untouched then. */
size_t ml_utf8_decode(const char *text, size_t n, uint32_t *out);
size_t ml_utf8_encode(uint32_t codepoint, char out[4]); /* bytes written, 0 if not encodable */
bool ml_utf8_valid(const char *text, size_t n);
size_t ml_utf8_count(const char *text, size_t n); /* characters; an invalid byte counts as one */

/* How many leading bytes can be shown now: all of them but a trailing character that is still
 * incomplete and could be completed by more bytes. */
size_t ml_utf8_ready(const char *text, size_t n);

/* Columns on a terminal: 2 for wide East Asian characters and emoji, 0 for combining marks. */
int ml_utf8_width(uint32_t codepoint);
size_t ml_utf8_columns(const char *text, size_t n);

#endif
