#include "data/feed.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/web_url.h"
#include "data/xml_scan.h"

static const char atom_space[] = "http://www.w3.org/2005/Atom";
static const char atom_03_space[] = "http://purl.org/atom/ns#";
static const char rdf_space[] = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
static const char json_version[] = "https://jsonfeed.org/version/";

const char *ml_feed_kind_name(enum ml_feed_kind kind)
{
    static const char *const names[] = {"RSS", "RSS 1.0", "Atom", "JSON Feed", "OPML"};
    return names[kind];
}

struct reader {
    struct ml_arena *arena;
    struct ml_feed feed;
    struct ml_buffer entries; /* struct ml_feed_entry[] */
    struct ml_xml xml;
    char core[128];          /* the namespace of the format's own elements */
    struct ml_web_url base;  /* of the feed */
    struct ml_web_url local; /* of the entry at hand */
    bool has_base, has_local;
};

static const struct ml_feed_entry empty_entry = {.link = "",
                                                 .id = "",
                                                 .title = "",
                                                 .author = "",
                                                 .content = "",
                                                 .content_type = "text/html",
                                                 .published = "",
                                                 .updated = "",
                                                 .licence = ""};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a feed");
}

/* ---- texts ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Keeps a text without blanks at its ends; `one_line`: each run of blanks becomes a space. An empty
 * one leaves what is there. */
static int keep(struct reader *r, const char **out, const char *text, size_t n, bool one_line,
                struct ml_error *err)
{
    while (n > 0 && is_blank(text[n - 1]))
        n--;
    while (n > 0 && is_blank(*text)) {
        text++;
        n--;
    }
    if (n == 0)
        return 0;
    char *copy = ml_arena_strndup(r->arena, text, n);
    if (!copy)
        return fail_memory(err);
    size_t kept = 0;
    for (size_t i = 0; one_line && i < n; i++)
        if (!is_blank(copy[i]))
            copy[kept++] = copy[i];
        else if (copy[kept - 1] != ' ')
            copy[kept++] = ' ';
    if (one_line)
        copy[kept] = '\0';
    *out = copy;
    return 0;
}

/* The text of the element that has just opened. */
static int keep_element(struct reader *r, const char **out, bool one_line, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = ml_xml_read_text(&r->xml, &text, err);
    if (status == 0)
        status = keep(r, out, text.size ? text.data : "", text.size, one_line, err);
    ml_buffer_clear(&text);
    return status;
}

/* An address, resolved; one that is no use leaves what is there. */
static int keep_link(struct reader *r, const char **out, const char *text, struct ml_error *err)
{
    struct ml_web_url url;
    struct ml_error inner = {0};
    const struct ml_web_url *base = r->has_local ? &r->local : r->has_base ? &r->base : NULL;
    if (text[strspn(text, " \t\r\n")] == '\0')
        return 0;
    int status = ml_web_url_resolve(&url, r->arena, base, text, &inner);
    if (status == ML_ERR_MEMORY)
        return fail_memory(err);
    if (status == 0)
        *out = url.text;
    return 0;
}

static int keep_link_element(struct reader *r, const char **out, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = ml_xml_read_text(&r->xml, &text, err);
    if (status == 0 && text.size > 0)
        status = keep_link(r, out, text.data, err);
    ml_buffer_clear(&text);
    return status;
}

/* The longest content that an entry has wins: a summary stands beside the whole. */
static int keep_content(struct reader *r, struct ml_feed_entry *entry, const char *text, size_t n,
                        const char *type, struct ml_error *err)
{
    if (n <= strlen(entry->content))
        return 0;
    const char *kept = NULL;
    int status = keep(r, &kept, text, n, false, err);
    if (status == 0 && kept) {
        entry->content = kept;
        entry->content_type = type;
    }
    return status;
}

static int keep_content_element(struct reader *r, struct ml_feed_entry *entry, const char *type,
                                struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = ml_xml_read_text(&r->xml, &text, err);
    if (status == 0)
        status = keep_content(r, entry, text.size ? text.data : "", text.size, type, err);
    ml_buffer_clear(&text);
    return status;
}

/* xml:base of the element that has just opened, within the feed's. */
static int take_base(struct reader *r, struct ml_web_url *out, bool *has, struct ml_error *err)
{
    struct ml_error inner = {0};
    const char *text = ml_xml_get(&r->xml, "http://www.w3.org/XML/1998/namespace", "base");
    if (!text)
        return 0;
    int status = ml_web_url_resolve(out, r->arena, r->has_base ? &r->base : NULL, text, &inner);
    *has = *has || status == 0;
    return status == ML_ERR_MEMORY ? fail_memory(err) : 0;
}

/* ---- entries ---- */

static int add_entry(struct reader *r, const struct ml_feed_entry *entry, struct ml_error *err)
{
    if (r->entries.size / sizeof *entry >= ML_FEED_MAX_ENTRIES)
        return ml_fail(err, ML_ERR_LIMIT, "it has more than %d entries", ML_FEED_MAX_ENTRIES);
    return ml_buffer_put(&r->entries, entry, sizeof *entry, err);
}

/* Whether the element that has just opened is one of a common extension, by its namespace or, where
 * the author forgot to declare it, by its usual prefix. */
static bool is_extension(const struct reader *r, const char *prefix, const char *name)
{
    static const char *const spaces[][2] = {
        {"dc", "http://purl.org/dc/elements/1.1/"},
        {"dc", "http://purl.org/dc/terms/"},
        {"content", "http://purl.org/rss/1.0/modules/content/"},
        {"atom", "http://www.w3.org/2005/Atom"},
        {"cc", "http://backend.userland.com/creativeCommonsRssModule"},
        {"cc", "http://blogs.law.harvard.edu/tech/creativeCommonsRssModule"},
        {"cc", "http://creativecommons.org/ns#"},
        {"cc", "http://web.resource.org/cc/"},
        {"cc", "creativeCommons"},
    };
    if (strcmp(r->xml.name, name) != 0)
        return false;
    bool found = strcmp(r->xml.space, prefix) == 0;
    for (size_t i = 0; !found && i < sizeof spaces / sizeof spaces[0]; i++)
        found = strcmp(spaces[i][0], prefix) == 0 && strcmp(spaces[i][1], r->xml.space) == 0;
    return found;
}

static bool is_core(const struct reader *r, const char *name)
{
    return strcmp(r->xml.name, name) == 0 &&
           (r->xml.space[0] == '\0' || strcmp(r->xml.space, r->core) == 0);
}

/* A licence is named by an address in an attribute or by a text. */
static int take_licence(struct reader *r, const char **out, struct ml_error *err)
{
    const char *resource = ml_xml_get(&r->xml, rdf_space, "resource");
    if (!resource)
        return keep_element(r, out, true, err);
    int status = keep(r, out, resource, strlen(resource), true, err);
    return status ? status : ml_xml_skip(&r->xml, err);
}

/* <link rel href>: of Atom, and within RSS. */
static int take_atom_link(struct reader *r, const char **link, const char **licence,
                          struct ml_error *err)
{
    const char *rel = ml_xml_get(&r->xml, "", "rel"), *href = ml_xml_get(&r->xml, "", "href");
    const char *type = ml_xml_get(&r->xml, "", "type");
    bool page = !type || strcasecmp(type, "text/html") == 0 ||
                strcasecmp(type, "application/xhtml+xml") == 0;
    int status = 0;
    if (href && (!rel || strcmp(rel, "alternate") == 0) && (page || **link == '\0'))
        status = keep_link(r, link, href, err);
    else if (href && rel && strcmp(rel, "license") == 0)
        status = keep_link(r, licence, href, err);
    return status ? status : ml_xml_skip(&r->xml, err);
}

/* ---- RSS ---- */

static int take_guid(struct reader *r, struct ml_feed_entry *entry, const char **permanent,
                     struct ml_error *err)
{
    const char *is_link = ml_xml_get(&r->xml, "", "isPermaLink");
    bool link = !is_link || strcasecmp(is_link, "true") == 0;
    int status = keep_element(r, &entry->id, true, err);
    if (status == 0 && link)
        status = keep_link(r, permanent, entry->id, err);
    return status;
}

static int take_item_part(struct reader *r, struct ml_feed_entry *entry, const char **permanent,
                          struct ml_error *err)
{
    if (is_core(r, "title"))
        return keep_element(r, &entry->title, true, err);
    if (is_extension(r, "atom", "link"))
        return take_atom_link(r, &entry->link, &entry->licence, err);
    if (is_core(r, "link"))
        return keep_link_element(r, &entry->link, err);
    if (is_core(r, "guid"))
        return take_guid(r, entry, permanent, err);
    if (is_core(r, "description") || is_extension(r, "content", "encoded"))
        return keep_content_element(r, entry, "text/html", err);
    if (is_core(r, "author") || is_extension(r, "dc", "creator"))
        return keep_element(r, &entry->author, true, err);
    if (is_core(r, "pubDate") || is_extension(r, "dc", "date"))
        return keep_element(r, &entry->published, true, err);
    if (is_extension(r, "dc", "modified") || is_extension(r, "atom", "updated"))
        return keep_element(r, &entry->updated, true, err);
    if (is_extension(r, "cc", "license") || is_extension(r, "dc", "rights"))
        return take_licence(r, &entry->licence, err);
    return ml_xml_skip(&r->xml, err);
}

/* Reads parts until the element that is open closes. */
static int take_item(struct reader *r, struct ml_error *err)
{
    struct ml_feed_entry entry = empty_entry;
    const char *permanent = "";
    const char *about = ml_xml_get(&r->xml, rdf_space, "about");
    int depth = r->xml.depth;
    r->has_local = false;
    int status = take_base(r, &r->local, &r->has_local, err);
    if (status == 0 && about)
        status = keep_link(r, &permanent, about, err);
    while (status == 0 && (status = ml_xml_next(&r->xml, err)) > 0) {
        if (r->xml.event == ML_XML_CLOSE && r->xml.depth == depth) {
            entry.link = entry.link[0] ? entry.link : permanent;
            status = add_entry(r, &entry, err);
            break;
        }
        status = r->xml.event == ML_XML_OPEN ? take_item_part(r, &entry, &permanent, err) : 0;
    }
    r->has_local = false;
    return status;
}

static int take_channel_part(struct reader *r, struct ml_error *err)
{
    struct ml_feed *feed = &r->feed;
    if (is_core(r, "channel")) /* its parts are ours: RDF has the items behind it, RSS in it */
        return take_base(r, &r->base, &r->has_base, err);
    if (is_core(r, "item"))
        return take_item(r, err);
    if (is_core(r, "title"))
        return keep_element(r, &feed->title, true, err);
    if (is_extension(r, "atom", "link"))
        return take_atom_link(r, &feed->link, &feed->licence, err);
    if (is_core(r, "link"))
        return keep_link_element(r, &feed->link, err);
    if (is_core(r, "language") || is_extension(r, "dc", "language"))
        return keep_element(r, &feed->language, true, err);
    if (is_core(r, "copyright") || is_extension(r, "cc", "license") ||
        is_extension(r, "dc", "rights"))
        return take_licence(r, &feed->licence, err);
    return ml_xml_skip(&r->xml, err);
}

/* ---- Atom ---- */

/* A text construct: plain, markup as text, or markup as elements. */
static int take_atom_text(struct reader *r, struct ml_feed_entry *entry, struct ml_error *err)
{
    const char *type = ml_xml_get(&r->xml, "", "type"), *markup = NULL;
    size_t n = 0;
    if (ml_xml_get(&r->xml, "", "src"))
        return ml_xml_skip(&r->xml, err);
    if (!type || strcasecmp(type, "text") == 0 || strcasecmp(type, "text/plain") == 0)
        return keep_content_element(r, entry, "text/plain", err);
    if (strcasecmp(type, "html") == 0 || strcasecmp(type, "text/html") == 0)
        return keep_content_element(r, entry, "text/html", err);
    bool elements =
        strcasecmp(type, "xhtml") == 0 || strcasecmp(type, "application/xhtml+xml") == 0;
    if (!elements) /* other XML, or bytes in base64 */
        return ml_xml_skip(&r->xml, err);
    int status = ml_xml_read_inner(&r->xml, &markup, &n, err);
    return status ? status : keep_content(r, entry, markup, n, "text/html", err);
}

static int take_atom_author(struct reader *r, struct ml_feed_entry *entry, struct ml_error *err)
{
    int depth = r->xml.depth, status;
    while ((status = ml_xml_next(&r->xml, err)) > 0) {
        if (r->xml.event == ML_XML_CLOSE && r->xml.depth == depth)
            return 0;
        if (r->xml.event == ML_XML_OPEN)
            status = is_core(r, "name") ? keep_element(r, &entry->author, true, err)
                                        : ml_xml_skip(&r->xml, err);
        if (status < 0)
            return status;
    }
    return status;
}

static int take_atom_part(struct reader *r, struct ml_feed_entry *entry, struct ml_error *err)
{
    if (is_core(r, "title"))
        return keep_element(r, &entry->title, true, err);
    if (is_core(r, "link"))
        return take_atom_link(r, &entry->link, &entry->licence, err);
    if (is_core(r, "id"))
        return keep_element(r, &entry->id, true, err);
    if (is_core(r, "content") || is_core(r, "summary"))
        return take_atom_text(r, entry, err);
    if (is_core(r, "author"))
        return take_atom_author(r, entry, err);
    if (is_core(r, "published") || is_core(r, "issued"))
        return keep_element(r, &entry->published, true, err);
    if (is_core(r, "updated") || is_core(r, "modified"))
        return keep_element(r, &entry->updated, true, err);
    if (is_core(r, "rights") && entry->licence[0] == '\0')
        return keep_element(r, &entry->licence, true, err);
    if (is_extension(r, "cc", "license"))
        return take_licence(r, &entry->licence, err);
    return ml_xml_skip(&r->xml, err);
}

static int take_atom_entry(struct reader *r, struct ml_error *err)
{
    struct ml_feed_entry entry = empty_entry;
    int depth = r->xml.depth;
    r->has_local = false;
    int status = take_base(r, &r->local, &r->has_local, err);
    while (status == 0 && (status = ml_xml_next(&r->xml, err)) > 0) {
        if (r->xml.event == ML_XML_CLOSE && r->xml.depth == depth) {
            status = add_entry(r, &entry, err);
            break;
        }
        status = r->xml.event == ML_XML_OPEN ? take_atom_part(r, &entry, err) : 0;
    }
    r->has_local = false;
    return status;
}

static int take_atom_feed_part(struct reader *r, struct ml_error *err)
{
    struct ml_feed *feed = &r->feed;
    if (is_core(r, "entry"))
        return take_atom_entry(r, err);
    if (is_core(r, "title"))
        return keep_element(r, &feed->title, true, err);
    if (is_core(r, "link"))
        return take_atom_link(r, &feed->link, &feed->licence, err);
    if (is_core(r, "rights") && feed->licence[0] == '\0')
        return keep_element(r, &feed->licence, true, err);
    return ml_xml_skip(&r->xml, err);
}

/* ---- OPML ---- */

static int take_outline(struct reader *r, struct ml_error *err)
{
    struct ml_feed_entry entry = empty_entry;
    const char *feed = ml_xml_get(&r->xml, NULL, "xmlUrl");
    const char *type = ml_xml_get(&r->xml, NULL, "type"), *page = NULL;
    feed = feed ? feed : ml_xml_get(&r->xml, NULL, "xmlurl");
    if (!feed && type && strcasecmp(type, "include") == 0)
        feed = ml_xml_get(&r->xml, NULL, "url"); /* a further list */
    else if (!feed && type && strcasecmp(type, "link") == 0)
        page = ml_xml_get(&r->xml, NULL, "url");
    const char *title = ml_xml_get(&r->xml, NULL, "title");
    title = title ? title : ml_xml_get(&r->xml, NULL, "text");
    if (!feed && !page)
        return 0;
    entry.is_feed = feed != NULL;
    int status = keep_link(r, &entry.link, feed ? feed : page, err);
    if (status == 0 && title)
        status = keep(r, &entry.title, title, strlen(title), true, err);
    return status ? status : add_entry(r, &entry, err);
}

static int take_opml_part(struct reader *r, struct ml_error *err)
{
    if (strcmp(r->xml.name, "outline") == 0)
        return take_outline(r, err);
    if (strcmp(r->xml.name, "title") == 0)
        return keep_element(r, &r->feed.title, true, err);
    return 0; /* outlines lie within outlines */
}

/* ---- XML ---- */

static int take_root(struct reader *r, struct ml_error *err)
{
    const char *space = r->xml.space;
    bool atom = strcmp(space, atom_space) == 0 || strcmp(space, atom_03_space) == 0;
    snprintf(r->core, sizeof r->core, "%s", space);
    if (atom && ml_xml_is(&r->xml, NULL, "feed")) {
        const char *language = ml_xml_get(&r->xml, NULL, "lang");
        r->feed.kind = ML_FEED_ATOM;
        if (language && keep(r, &r->feed.language, language, strlen(language), true, err))
            return ML_ERR_MEMORY;
    } else if (ml_xml_is(&r->xml, rdf_space, "RDF")) {
        r->feed.kind = ML_FEED_RDF;
        r->core[0] = '\0';
    } else if (ml_xml_is(&r->xml, NULL, "rss")) {
        r->feed.kind = ML_FEED_RSS;
    } else if (ml_xml_is(&r->xml, NULL, "opml")) {
        r->feed.kind = ML_FEED_OPML;
    } else {
        return ml_fail(err, ML_ERR_FORMAT, "not a feed: the document is <%.60s>", r->xml.name);
    }
    return take_base(r, &r->base, &r->has_base, err);
}

static int take_part(struct reader *r, struct ml_error *err)
{
    switch (r->feed.kind) {
    case ML_FEED_ATOM:
        return take_atom_feed_part(r, err);
    case ML_FEED_OPML:
        return take_opml_part(r, err);
    default:
        /* RSS 1.0's own elements have the namespace that its channel has. */
        if (r->feed.kind == ML_FEED_RDF && r->core[0] == '\0' &&
            (ml_xml_is(&r->xml, NULL, "channel") || ml_xml_is(&r->xml, NULL, "item")))
            snprintf(r->core, sizeof r->core, "%s", r->xml.space);
        return take_channel_part(r, err);
    }
}

static int read_xml(struct reader *r, const char *bytes, size_t n, struct ml_error *err)
{
    int status = ml_xml_open(&r->xml, bytes, n, NULL, err);
    if (status)
        return status;
    status = ml_xml_next(&r->xml, err);
    if (status > 0)
        status = take_root(r, err);
    while (status == 0 && (status = ml_xml_next(&r->xml, err)) > 0)
        status = r->xml.event == ML_XML_OPEN ? take_part(r, err) : 0;
    ml_xml_close(&r->xml);
    return status;
}

/* ---- JSON ---- */

static int keep_json(struct reader *r, const char **out, const json_t *object, const char *key,
                     struct ml_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value)) {
        char digits[32];
        int n = snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(value));
        return keep(r, out, digits, (size_t)n, true, err);
    }
    const char *text = json_string_value(value);
    return text ? keep(r, out, text, json_string_length(value), true, err) : 0;
}

static int keep_json_link(struct reader *r, const char **out, const json_t *object, const char *key,
                          struct ml_error *err)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? keep_link(r, out, text, err) : 0;
}

static int keep_json_content(struct reader *r, struct ml_feed_entry *entry, const json_t *item,
                             struct ml_error *err)
{
    static const char *const keys[][2] = {
        {"content_html", "text/html"}, {"content_text", "text/plain"}, {"summary", "text/plain"}};
    int status = 0;
    for (size_t i = 0; status == 0 && i < 3 && entry->content[0] == '\0'; i++) {
        const json_t *value = json_object_get(item, keys[i][0]);
        if (json_is_string(value))
            status = keep_content(r, entry, json_string_value(value), json_string_length(value),
                                  keys[i][1], err);
    }
    return status;
}

static int take_json_item(struct reader *r, const json_t *item, struct ml_error *err)
{
    struct ml_feed_entry entry = empty_entry;
    const json_t *author = json_array_get(json_object_get(item, "authors"), 0);
    if (!author)
        author = json_object_get(item, "author");
    int status = keep_json_link(r, &entry.link, item, "url", err);
    if (status == 0 && entry.link[0] == '\0')
        status = keep_json_link(r, &entry.link, item, "external_url", err);
    if (status == 0)
        status = keep_json(r, &entry.id, item, "id", err);
    if (status == 0)
        status = keep_json(r, &entry.title, item, "title", err);
    if (status == 0)
        status = keep_json(r, &entry.author, author, "name", err);
    if (status == 0)
        status = keep_json(r, &entry.published, item, "date_published", err);
    if (status == 0)
        status = keep_json(r, &entry.updated, item, "date_modified", err);
    if (status == 0)
        status = keep_json_content(r, &entry, item, err);
    return status ? status : add_entry(r, &entry, err);
}

static int take_json_feed(struct reader *r, const json_t *root, struct ml_error *err)
{
    const char *version = json_string_value(json_object_get(root, "version"));
    const json_t *items = json_object_get(root, "items");
    if (!version || strncmp(version, json_version, strlen(json_version)) != 0)
        return ml_fail(err, ML_ERR_FORMAT, "not a feed: its \"version\" is not JSON Feed's");
    r->feed.kind = ML_FEED_JSON;
    int status = keep_json(r, &r->feed.title, root, "title", err);
    if (status == 0)
        status = keep_json_link(r, &r->feed.link, root, "home_page_url", err);
    if (status == 0)
        status = keep_json(r, &r->feed.language, root, "language", err);
    for (size_t i = 0; status == 0 && i < json_array_size(items); i++)
        status = take_json_item(r, json_array_get(items, i), err);
    return status;
}

static int read_json(struct reader *r, const char *bytes, size_t n, struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    json_t *root = NULL;
    int status = ml_text_decode(&decoded, bytes, n, NULL, err);
    if (status == 0)
        status = ml_json_parse(&root, decoded.text, decoded.size, "JSON Feed", err);
    if (status == 0)
        status = take_json_feed(r, root, err);
    json_decref(root);
    ml_decoded_clear(&decoded);
    return status;
}

/* ---- all of it ---- */

static size_t skip_mark_and_blank(const char *bytes, size_t n)
{
    size_t at = n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (at < n && is_blank(bytes[at]))
        at++;
    return at;
}

/* Where an entry says nothing about rights, the feed's statement holds. */
static void spread_licence(struct reader *r)
{
    struct ml_feed_entry *entries = (struct ml_feed_entry *)r->entries.data;
    r->feed.count = r->entries.size / sizeof *entries;
    for (size_t i = 0; i < r->feed.count; i++)
        if (entries[i].licence[0] == '\0')
            entries[i].licence = r->feed.licence;
}

int ml_feed_parse(struct ml_feed *out, struct ml_arena *arena, const char *bytes, size_t n,
                  const char *uri, struct ml_error *err)
{
    struct reader r = {.arena = arena,
                       .feed = {.title = "", .link = "", .language = "", .licence = ""}};
    struct ml_error inner = {0};
    if (uri)
        r.has_base = ml_web_url_parse(&r.base, arena, uri, &inner) == 0;
    if (inner.code == ML_ERR_MEMORY)
        return fail_memory(err);
    inner = (struct ml_error){0};
    size_t at = skip_mark_and_blank(bytes, n);
    bool json = at < n && bytes[at] == '{';
    int status = json ? read_json(&r, bytes, n, &inner) : read_xml(&r, bytes, n, &inner);
    spread_licence(&r);
    if ((status == ML_ERR_FORMAT || status == ML_ERR_LIMIT) && r.feed.count > 0) {
        snprintf(r.feed.problem, sizeof r.feed.problem, "%.255s", inner.message);
        status = 0;
    }
    if (status == 0) {
        r.feed.entries = (const struct ml_feed_entry *)ml_arena_strndup(
            arena, r.entries.size ? r.entries.data : "", r.entries.size);
        if (!r.feed.entries)
            status = fail_memory(&inner);
    }
    ml_buffer_clear(&r.entries);
    if (status)
        return ml_fail(err, status, "%s", inner.message);
    *out = r.feed;
    return 0;
}

bool ml_feed_is_one(const char *bytes, size_t n)
{
    char space[128], name[64];
    size_t at = skip_mark_and_blank(bytes, n);
    if (at < n && bytes[at] == '{')
        return memmem(bytes, n < 65536 ? n : 65536, "jsonfeed.org/version/", 21) != NULL ||
               memmem(bytes, n < 65536 ? n : 65536, "jsonfeed.org\\/version\\/", 23) != NULL;
    ml_xml_root(bytes, n, space, name);
    bool atom = strcmp(space, atom_space) == 0 || strcmp(space, atom_03_space) == 0;
    return (atom && strcmp(name, "feed") == 0) || strcmp(name, "rss") == 0 ||
           strcmp(name, "opml") == 0 || (strcmp(space, rdf_space) == 0 && strcmp(name, "RDF") == 0);
}
