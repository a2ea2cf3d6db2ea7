/* Character references of HTML: &amp; &#20013; &nbsp */
#ifndef ML_DATA_HTML_ENTITIES_H
#define ML_DATA_HTML_ENTITIES_H

#include <stdbool.h>

#include "base/arena.h"
#include "data/html_token.h"
#include "maliang/error.h"

/* Text with its references replaced: the same bytes when there are none, else in the arena. In the
 * value of an attribute "&copy=" is no reference (a query such as ?a=1&copy=2). */
int ml_html_decode_text(struct ml_html_span *out, struct ml_arena *arena, struct ml_html_span text,
                        bool attribute, struct ml_error *err);

/* The named characters (WHATWG, section 13.5) in the order of strcmp, as "name", then ';' or, where
 * that may lack, ' ', then the characters: "AElig \xc3\x86". */
#define ML_HTML_ENTITY_COUNT 2125
extern const char *const ml_html_entity_names[ML_HTML_ENTITY_COUNT];

#endif
