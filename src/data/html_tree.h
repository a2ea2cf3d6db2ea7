/* A page as a flat tree: nodes in the order of the page, so that every pass over it is a loop and
 * no page is too deep for the stack. Made for reading text: what an element closes is as the
 * standard has it (WHATWG, section 13.2.6), but formatting (<b>, <font>), scripts and the like make
 * no nodes, and nothing is moved to another place (text that stands between the rows of a table
 * stays). */
#ifndef ML_DATA_HTML_TREE_H
#define ML_DATA_HTML_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "data/html_token.h"
#include "maliang/error.h"

#define ML_HTML_MAX_BYTES ((size_t)32 << 20) /* of a page, before and after decoding */
#define ML_HTML_MAX_NODES 2000000
#define ML_HTML_MAX_DEPTH                                                                          \
    512 /* as in browsers, deeper elements lose their tags, not their text                         \
         */

enum ml_html_tag {
    ML_HTML_OTHER, /* an element that is none of these */
    ML_HTML_TEXT,  /* not an element: characters */
    ML_HTML_A,
    ML_HTML_ADDRESS,
    ML_HTML_AREA,
    ML_HTML_ARTICLE,
    ML_HTML_ASIDE,
    ML_HTML_BASE,
    ML_HTML_BLOCKQUOTE,
    ML_HTML_BODY,
    ML_HTML_BR,
    ML_HTML_BUTTON,
    ML_HTML_CAPTION,
    ML_HTML_DD,
    ML_HTML_DETAILS,
    ML_HTML_DIV, /* and what is no more than one: center, hgroup, summary, fieldset */
    ML_HTML_DL,
    ML_HTML_DT,
    ML_HTML_FIGCAPTION,
    ML_HTML_FIGURE,
    ML_HTML_FOOTER,
    ML_HTML_FORM,
    ML_HTML_HEAD,
    ML_HTML_HEADER,
    ML_HTML_HEADING, /* h1 to h6 */
    ML_HTML_HR,
    ML_HTML_HTML,
    ML_HTML_LI,
    ML_HTML_LINK,
    ML_HTML_LIST, /* ul, ol, menu, dir */
    ML_HTML_MAIN,
    ML_HTML_MEDIA, /* audio, video, canvas, object: what stands within is for old browsers */
    ML_HTML_META,
    ML_HTML_NAV,
    ML_HTML_OPTION,
    ML_HTML_P,
    ML_HTML_PRE,
    ML_HTML_RT,     /* and rp: how a character is said, beside it */
    ML_HTML_SCRIPT, /* JSON-LD only */
    ML_HTML_SECTION,
    ML_HTML_SELECT,
    ML_HTML_SPAN,
    ML_HTML_TABLE,
    ML_HTML_TBODY, /* and thead, tfoot */
    ML_HTML_TD,
    ML_HTML_TEMPLATE,
    ML_HTML_TH,
    ML_HTML_TIME,
    ML_HTML_TITLE,
    ML_HTML_TR,
};

struct ml_html_node {
    uint8_t tag;     /* enum ml_html_tag */
    uint8_t level;   /* of a heading */
    uint32_t parent; /* the root is its own */
    uint32_t end;    /* one past its last descendant; the first child is the next node */
    /* Text: UTF-8 with its references decoded. An element: its attributes. */
    struct ml_html_span span;
};

/* Node 0 is <html>. Comments and white space in <head> make no nodes. */
struct ml_html_tree {
    struct ml_html_node *nodes;
    uint32_t count;
    struct ml_buffer own;  /* the nodes */
    struct ml_arena arena; /* decoded text, and what the passes over the tree need */
};

/* Any UTF-8 gives a tree, as in a browser; the text must outlive it. name is for messages. Linear
 * in n for pages as they are, at most ML_HTML_MAX_DEPTH steps a tag for pages made to be slow.
 * ML_ERR_LIMIT when the page has too many bytes or nodes. */
int ml_html_parse(struct ml_html_tree *out, const char *text, size_t n, const char *name,
                  struct ml_error *err);
void ml_html_tree_clear(struct ml_html_tree *tree); /* accepts a zeroed tree and NULL */

/* The decoded value of an attribute, perhaps in the tree's arena. 1: there it is; 0: the element
 * has none of that name, which is in small letters; negative: out of memory. */
int ml_html_attribute(struct ml_html_tree *tree, uint32_t node, const char *name,
                      struct ml_html_span *out, struct ml_error *err);

#endif
