/* Links of a page, for following them (data/collect_impl.h). */
#include "base/fail.h"
#include "data/collect_impl.h"
#include "data/html_charset.h"
#include "data/html_facts.h"
#include "data/html_read.h"
#include "data/web.h"

#include <string.h>

struct links {
    struct ml_arena arena;
    struct ml_web_url base;
    bool has_base;
    ml_web_found_fn *found;
    void *found_arg;
};

/* The page's <base> comes first, whatever stands before it. */
static int give_link(void *arg, const char *reference, struct ml_error *err)
{
    struct links *l = arg;
    struct ml_web_url url;
    if (!l->has_base)
        return l->found(l->found_arg, reference, err);
    ml_arena_reset(&l->arena);
    return ml_web_url_resolve(&url, &l->arena, &l->base, reference, NULL) == 0
               ? l->found(l->found_arg, url.text, err)
               : 0;
}

static int ignore(void *arg, const char *reference, struct ml_error *err)
{
    return 0;
}

static int find_links(struct links *l, struct ml_html_tree *tree, const char *page,
                      struct ml_arena *arena, struct ml_error *err)
{
    const char *base;
    struct ml_web_url own;
    int status = ml_html_links(tree, &base, ignore, NULL, err);
    if (status == 0 && *base && ml_web_url_parse(&own, arena, page, NULL) == 0)
        l->has_base = ml_web_url_resolve(&l->base, arena, &own, base, NULL) == 0;
    return status ? status : ml_html_links(tree, &base, give_link, l, err);
}

int ml_collect_links(void *arg, const struct ml_web_resource *page, ml_web_found_fn *found,
                     void *found_arg, struct ml_error *err)
{
    struct links l = {.found = found, .found_arg = found_arg};
    struct ml_html_decoded decoded = {0};
    struct ml_html_tree tree = {0};
    struct ml_arena arena;
    bool html = strcmp(page->type, "text/html") == 0 ||
                strcmp(page->type, "application/xhtml+xml") == 0 ||
                (!*page->type && ml_looks_like_html(page->bytes, page->size));
    if (!html)
        return 0;
    ml_arena_init(&arena, 0);
    ml_arena_init(&l.arena, 0);
    int status = ml_html_decode(&decoded, page->bytes, page->size, page->charset, page->url, err);
    if (status == 0)
        status = ml_html_parse(&tree, decoded.text, decoded.size, page->url, err);
    if (status == 0)
        status = find_links(&l, &tree, page->url, &arena, err);
    ml_html_tree_clear(&tree);
    ml_html_decoded_clear(&decoded);
    ml_arena_clear(&l.arena);
    ml_arena_clear(&arena);
    return status;
}
