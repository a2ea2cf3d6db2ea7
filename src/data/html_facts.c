#include "data/html_facts.h"

#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/html_text.h"

enum { LONGEST = 2000 };

/* ---- texts ---- */

/* One folded line of at most LONGEST bytes; "" becomes NULL. */
static int fold(const char **out, struct ml_html_tree *tree, struct ml_html_span span,
                struct ml_error *err)
{
    struct ml_buffer line = {0};
    int status =
        ml_html_write_line(&line, span.at ? span.at : "", span.n < LONGEST ? span.n : LONGEST, err);
    if (status == 0 && line.size) {
        *out = ml_arena_strndup(&tree->arena, line.data, line.size);
        if (!*out)
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory reading a page");
    }
    ml_buffer_clear(&line);
    return status;
}

/* An attribute as a folded line; NULL when it is not there. */
static int attribute(const char **out, struct ml_html_tree *tree, uint32_t node, const char *name,
                     struct ml_error *err)
{
    struct ml_html_span value = {0};
    *out = NULL;
    int got = ml_html_attribute(tree, node, name, &value, err);
    return got > 0 ? fold(out, tree, value, err) : got;
}

static int text_of(const char **out, struct ml_html_tree *tree, uint32_t node, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = 0;
    for (uint32_t i = node + 1; status == 0 && i < tree->nodes[node].end; i++)
        if (tree->nodes[i].tag == ML_HTML_TEXT)
            status = ml_buffer_put(&text, tree->nodes[i].span.at, tree->nodes[i].span.n, err);
    if (status == 0)
        status = fold(out, tree, (struct ml_html_span){text.data, text.size}, err);
    ml_buffer_clear(&text);
    return status;
}

/* ---- <meta> ---- */

/* Names in the order of trust: the first row of a field that is there wins. */
struct meta_row {
    const char *name;
    size_t field; /* offset in struct ml_html_facts */
};
#define FIELD(member) offsetof(struct ml_html_facts, member)
static const struct meta_row meta_rows[] = {
    {"og:title", FIELD(title)},
    {"twitter:title", FIELD(title)},
    {"dc.title", FIELD(title)},
    {"author", FIELD(author)},
    {"article:author", FIELD(author)},
    {"dc.creator", FIELD(author)},
    {"article:published_time", FIELD(date)},
    {"datepublished", FIELD(date)},
    {"date", FIELD(date)},
    {"dc.date", FIELD(date)},
    {"pubdate", FIELD(date)},
    {"publishdate", FIELD(date)},
    {"og:site_name", FIELD(site)},
    {"application-name", FIELD(site)},
    {"og:url", FIELD(url)},
    {"description", FIELD(description)},
    {"og:description", FIELD(description)},
    {"robots", FIELD(robots)},
    {"dc.rights", FIELD(licence)},
};
enum { META_ROWS = sizeof meta_rows / sizeof meta_rows[0] };

static const char **field_at(struct ml_html_facts *facts, size_t offset)
{
    return (const char **)(void *)((char *)facts + offset);
}

/* best[row]: the first <meta> of that name. */
static int read_meta(const char *best[META_ROWS], struct ml_html_tree *tree, uint32_t node,
                     struct ml_error *err)
{
    static const char *const keys[] = {"name", "property", "itemprop"};
    const char *name = NULL, *content = NULL;
    int status = 0;
    for (int i = 0; status == 0 && !name && i < 3; i++)
        status = attribute(&name, tree, node, keys[i], err);
    if (status == 0 && name)
        status = attribute(&content, tree, node, "content", err);
    for (int row = 0; status == 0 && content && row < META_ROWS; row++)
        if (!best[row] && strcasecmp(name, meta_rows[row].name) == 0)
            best[row] = content;
    return status;
}

/* ---- JSON-LD ---- */

static int take_json(const char **out, struct ml_html_tree *tree, const json_t *value,
                     struct ml_error *err)
{
    if (json_is_array(value))
        value = json_array_get(value, 0);
    if (json_is_object(value))
        value = json_object_get(value, "name");
    if (*out || !json_is_string(value))
        return 0;
    return fold(out, tree,
                (struct ml_html_span){json_string_value(value), json_string_length(value)}, err);
}

static bool is_article(const json_t *object)
{
    const json_t *type = json_object_get(object, "@type");
    const char *name = json_string_value(json_is_array(type) ? json_array_get(type, 0) : type);
    return name && (strstr(name, "Article") || strstr(name, "Posting") || strstr(name, "WebPage") ||
                    strstr(name, "Report"));
}

static int read_article(struct ml_html_facts *facts, struct ml_html_tree *tree,
                        const json_t *object, struct ml_error *err)
{
    const struct {
        const char *key;
        const char **out;
    } wanted[] = {{"headline", &facts->title},
                  {"author", &facts->author},
                  {"datePublished", &facts->date},
                  {"publisher", &facts->site},
                  {"license", &facts->licence}};
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof wanted / sizeof wanted[0]; i++)
        status = take_json(wanted[i].out, tree, json_object_get(object, wanted[i].key), err);
    return status;
}

/* An object, a list of them, or a @graph. What is no JSON is passed over. */
static int read_json(struct ml_html_facts *facts, struct ml_html_tree *tree, uint32_t node,
                     struct ml_error *err)
{
    json_t *root = NULL;
    int status = 0;
    for (uint32_t i = node + 1; i < tree->nodes[node].end; i++) {
        struct ml_html_span text = tree->nodes[i].span;
        if (root || tree->nodes[i].tag != ML_HTML_TEXT ||
            ml_json_parse(&root, text.at, text.n, "JSON-LD", NULL) != 0)
            continue;
    }
    json_t *graph = json_object_get(root, "@graph"), *list = graph ? graph : root, *item;
    size_t at;
    if (json_is_object(list) && is_article(list))
        status = read_article(facts, tree, list, err);
    json_array_foreach(list, at, item)
    {
        if (status == 0 && json_is_object(item) && is_article(item))
            status = read_article(facts, tree, item, err);
    }
    json_decref(root);
    return status;
}

/* ---- all of it ---- */

struct finding {
    struct ml_html_facts *facts;
    const char *meta[META_ROWS];
    const char *title, *time, *canonical;
    struct ml_html_facts json; /* what JSON-LD says */
};

static int read_link(struct finding *f, struct ml_html_tree *tree, uint32_t node,
                     struct ml_error *err)
{
    const char *rel = NULL;
    int status = attribute(&rel, tree, node, "rel", err);
    if (status == 0 && rel && !f->canonical && strcasecmp(rel, "canonical") == 0)
        status = attribute(&f->canonical, tree, node, "href", err);
    if (status == 0 && rel && !f->facts->licence && strcasecmp(rel, "license") == 0)
        status = attribute(&f->facts->licence, tree, node, "href", err);
    return status;
}

/* A link that people can see, as the buttons of Creative Commons are. */
static int read_anchor(struct finding *f, struct ml_html_tree *tree, uint32_t node,
                       struct ml_error *err)
{
    const char *rel = NULL;
    int status = f->facts->licence ? 0 : attribute(&rel, tree, node, "rel", err);
    if (status == 0 && rel && strcasecmp(rel, "license") == 0)
        status = attribute(&f->facts->licence, tree, node, "href", err);
    return status;
}

static int read_node(struct finding *f, struct ml_html_tree *tree, uint32_t i, struct ml_error *err)
{
    switch (tree->nodes[i].tag) {
    case ML_HTML_HTML:
        return f->facts->lang ? 0 : attribute(&f->facts->lang, tree, i, "lang", err);
    case ML_HTML_META:
        return read_meta(f->meta, tree, i, err);
    case ML_HTML_LINK:
        return read_link(f, tree, i, err);
    case ML_HTML_A:
        return read_anchor(f, tree, i, err);
    case ML_HTML_TITLE:
        return f->title ? 0 : text_of(&f->title, tree, i, err);
    case ML_HTML_TIME:
        return f->time ? 0 : attribute(&f->time, tree, i, "datetime", err);
    case ML_HTML_SCRIPT:
        return read_json(&f->json, tree, i, err);
    default:
        return 0;
    }
}

int ml_html_find_facts(struct ml_html_facts *out, struct ml_html_tree *tree, struct ml_error *err)
{
    struct ml_html_facts facts = {0};
    struct finding f = {.facts = &facts};
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < tree->count; i++)
        status = read_node(&f, tree, i, err);
    if (status)
        return status;
    facts.title = f.json.title;
    facts.author = f.json.author;
    facts.date = f.json.date;
    facts.site = NULL;
    for (int row = 0; row < META_ROWS; row++) {
        const char **field = field_at(&facts, meta_rows[row].field);
        if (!*field)
            *field = f.meta[row];
    }
    facts.title = facts.title ? facts.title : f.title;
    facts.date = facts.date ? facts.date : f.time;
    facts.site = facts.site ? facts.site : f.json.site;
    facts.url = f.canonical ? f.canonical : facts.url;
    facts.licence = facts.licence ? facts.licence : f.json.licence;
    *out = facts;
    return 0;
}

int ml_html_facts_text(char **out, const struct ml_html_facts *facts, struct ml_error *err)
{
    const struct {
        const char *key, *value;
    } rows[] = {{"author", facts->author}, {"date", facts->date},
                {"site", facts->site},     {"lang", facts->lang},
                {"url", facts->url},       {"description", facts->description},
                {"robots", facts->robots}, {"licence", facts->licence}};
    ml_json_setup();
    json_t *object = json_object();
    bool full = object == NULL;
    for (size_t i = 0; !full && i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value)
            full = json_object_set_new(object, rows[i].key, json_string(rows[i].value)) != 0;
    int status = full ? ml_fail(err, ML_ERR_MEMORY, "out of memory reading a page")
                      : ml_json_text(out, object, JSON_COMPACT, err);
    json_decref(object);
    return status;
}

/* ---- links ---- */

int ml_html_links(struct ml_html_tree *tree, const char **base, ml_html_link_fn *found, void *arg,
                  struct ml_error *err)
{
    int status = 0;
    *base = "";
    for (uint32_t i = 0; status == 0 && i < tree->count; i++) {
        uint8_t tag = tree->nodes[i].tag;
        const char *href = NULL, *rel = NULL;
        if (tag != ML_HTML_A && tag != ML_HTML_AREA && tag != ML_HTML_BASE)
            continue;
        status = attribute(&href, tree, i, "href", err);
        if (status == 0)
            status = attribute(&rel, tree, i, "rel", err);
        if (status || !href)
            continue;
        if (tag == ML_HTML_BASE)
            *base = **base ? *base : href;
        else if (!rel || !strcasestr(rel, "nofollow"))
            status = found(arg, href, err);
    }
    return status;
}
