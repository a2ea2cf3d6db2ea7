/* A page's tags and their attributes, as the bytes have them. */
#ifndef ML_DATA_HTML_TOKEN_H
#define ML_DATA_HTML_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

/* Borrowed from the page's text. */
struct ml_html_span {
    const char *at;
    size_t n;
};

struct ml_html_tag_token {
    struct ml_html_span name;
    struct ml_html_span attributes; /* all between the name and '>' */
    bool closing, self_closing;
    size_t end; /* the place after '>' */
};

/* Whether a tag starts at text[at], which is '<': a letter follows, or '/' and a letter. */
bool ml_html_starts_tag(const char *text, size_t at, size_t n);

/* Reads that tag. A quote that nothing closes is taken for a mistake: then the next '>' ends the
 * tag. A tag that no '>' ends reaches to the end of the text. */
void ml_html_read_tag(struct ml_html_tag_token *out, const char *text, size_t at, size_t n);

/* The place after a comment, a declaration or a processing instruction that starts at text[at]. */
size_t ml_html_skip_declaration(const char *text, size_t at, size_t n);

/* The place of the end tag of `name` (small letters) at or after text[at]; n when there is none. */
size_t ml_html_find_end_tag(const char *text, size_t at, size_t n, struct ml_html_span name);

/* Takes the next attribute off the front of `rest`; false when there is none. The value is as the
 * page has it: ml_html_decode_text decodes it. */
struct ml_html_attribute {
    struct ml_html_span name, value; /* value.at is NULL for a name alone */
};
bool ml_html_next_attribute(struct ml_html_attribute *out, struct ml_html_span *rest);

/* Whether a name is `word`, which is in small letters. */
bool ml_html_span_is(struct ml_html_span span, const char *word);

#endif
