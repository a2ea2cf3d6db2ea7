/* Which part of a page is its own text, and what around it is boilerplate. */
#ifndef ML_DATA_HTML_MAIN_H
#define ML_DATA_HTML_MAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "data/html_tree.h"
#include "maliang/error.h"

struct ml_html_main {
    uint32_t root;        /* the main text lies under this node ... */
    const bool *left_out; /* ... without these; one a node, owned by the tree's arena */
};
int ml_html_find_main(struct ml_html_main *out, struct ml_html_tree *tree, struct ml_error *err);

#endif
