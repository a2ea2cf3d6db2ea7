/* What a page says about itself (title, author, date, language ...), and the links in it. */
#ifndef ML_DATA_HTML_FACTS_H
#define ML_DATA_HTML_FACTS_H

#include "data/html_tree.h"

/* Owned by the tree's arena; NULL: not said. */
struct ml_html_facts {
    const char *title, *author, *date, *site, *lang, *url, *description, *licence;
    const char *robots; /* of <meta name=robots>: "noindex", "noai" ... */
};
/* From <title>, <meta> (plain names, og:, article:, twitter:, Dublin Core), <link rel=canonical>,
 * rel=license of <link> or <a>, <html lang>, JSON-LD of an article, and <time> when nothing else
 * has a date.
 */
int ml_html_find_facts(struct ml_html_facts *out, struct ml_html_tree *tree, struct ml_error *err);
/* As a JSON object of the fields that are there (but the title); free with ml_mem_free. */
int ml_html_facts_text(char **out, const struct ml_html_facts *facts, struct ml_error *err);

/* Every reference of an <a> or <area> that is not marked nofollow, as it is written; the value of
 * <base href> goes to *base ("" when there is none). A non-zero answer ends it and is returned. */
typedef int ml_html_link_fn(void *arg, const char *reference, struct ml_error *err);
int ml_html_links(struct ml_html_tree *tree, const char **base, ml_html_link_fn *found, void *arg,
                  struct ml_error *err);

#endif
