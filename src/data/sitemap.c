#include "data/sitemap.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/inflate.h"
#include "data/web_url.h"
#include "data/xml_scan.h"

struct reader {
    struct ml_arena *arena;
    struct ml_sitemap map;
    struct ml_buffer entries; /* struct ml_sitemap_entry[] */
    struct ml_xml xml;
    struct ml_web_url base;
    bool has_base;
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a sitemap");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* An entry by its address as written; one that is no use is counted. */
static int add_entry(struct reader *r, const char *address, const char *modified,
                     struct ml_error *err)
{
    struct ml_error inner = {0};
    struct ml_web_url url;
    if (r->map.count >= ML_SITEMAP_MAX_URLS)
        return ml_fail(err, ML_ERR_LIMIT, "it has more than %d addresses", ML_SITEMAP_MAX_URLS);
    int status =
        address ? ml_web_url_resolve(&url, r->arena, r->has_base ? &r->base : NULL, address, &inner)
                : ML_ERR_ARG;
    if (status == ML_ERR_MEMORY)
        return fail_memory(err);
    if (status) {
        r->map.bad++;
        return 0;
    }
    const struct ml_sitemap_entry entry = {.url = url.text, .modified = modified ? modified : ""};
    r->map.count++;
    return ml_buffer_put(&r->entries, &entry, sizeof entry, err);
}

/* ---- XML ---- */

/* The text of the element that has just opened, without blanks at its ends; NULL: none. */
static int read_value(struct reader *r, const char **out, struct ml_error *err)
{
    struct ml_buffer text = {0};
    int status = ml_xml_read_text(&r->xml, &text, err);
    size_t from = 0, to = text.size;
    while (to > from && is_blank(text.data[to - 1]))
        to--;
    while (from < to && is_blank(text.data[from]))
        from++;
    if (status == 0 && to > from) {
        *out = ml_arena_strndup(r->arena, text.data + from, to - from);
        if (!*out)
            status = fail_memory(err);
    }
    ml_buffer_clear(&text);
    return status;
}

/* <url> or <sitemap>: its address and time; pictures, films and other languages are passed over. */
static int take_entry(struct reader *r, struct ml_error *err)
{
    const char *address = NULL, *modified = NULL;
    char space[128];
    int depth = r->xml.depth, status;
    snprintf(space, sizeof space, "%s", r->xml.space);
    while ((status = ml_xml_next(&r->xml, err)) > 0) {
        if (r->xml.event == ML_XML_CLOSE && r->xml.depth == depth)
            return add_entry(r, address, modified, err);
        if (r->xml.event != ML_XML_OPEN)
            continue;
        if (ml_xml_is(&r->xml, space, "loc"))
            status = read_value(r, &address, err);
        else if (ml_xml_is(&r->xml, space, "lastmod"))
            status = read_value(r, &modified, err);
        else
            status = ml_xml_skip(&r->xml, err);
        if (status < 0)
            return status;
    }
    return status;
}

static int read_xml(struct reader *r, const char *bytes, size_t n, struct ml_error *err)
{
    const struct ml_xml_limits limits = {.max_bytes = 2 * ML_SITEMAP_MAX_BYTES};
    int status = ml_xml_open(&r->xml, bytes, n, &limits, err);
    if (status)
        return status;
    status = ml_xml_next(&r->xml, err);
    if (status > 0) {
        r->map.is_index = ml_xml_is(&r->xml, NULL, "sitemapindex");
        status = r->map.is_index || ml_xml_is(&r->xml, NULL, "urlset")
                     ? 0
                     : ml_fail(err, ML_ERR_FORMAT, "not a sitemap: the document is <%.60s>",
                               r->xml.name);
    }
    while (status == 0 && (status = ml_xml_next(&r->xml, err)) > 0) {
        bool entry = ml_xml_is(&r->xml, NULL, r->map.is_index ? "sitemap" : "url");
        if (r->xml.event == ML_XML_OPEN)
            status = entry ? take_entry(r, err) : ml_xml_skip(&r->xml, err);
        else
            status = 0;
    }
    ml_xml_close(&r->xml);
    return status;
}

/* ---- text ---- */

static int read_text(struct reader *r, const char *bytes, size_t n, struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    int status = ml_text_decode(&decoded, bytes, n, NULL, err);
    if (status == 0 && decoded.verdict != ML_TEXT_OK)
        status = ml_fail(err, ML_ERR_FORMAT, "not a sitemap: neither XML nor text");
    for (size_t at = 0; status == 0 && at < decoded.size;) {
        const char *line = decoded.text + at;
        const char *end = memchr(line, '\n', decoded.size - at);
        size_t length = end ? (size_t)(end - line) : decoded.size - at;
        size_t from = 0;
        at += length + 1;
        while (from < length && is_blank(line[from]))
            from++;
        if (from == length)
            continue;
        char *address = ml_arena_strndup(r->arena, line + from, length - from);
        struct ml_web_url *base = r->has_base ? &r->base : NULL;
        r->has_base = false; /* a line that is no whole address is other text, not a path */
        status = address ? add_entry(r, address, NULL, err) : fail_memory(err);
        r->has_base = base != NULL;
    }
    ml_decoded_clear(&decoded);
    if (status == 0 && (r->map.count == 0 || r->map.bad > r->map.count))
        status = ml_fail(err, ML_ERR_FORMAT, "not a sitemap: its lines are not addresses");
    return status;
}

/* ---- all of it ---- */

static bool looks_like_xml(const char *bytes, size_t n)
{
    size_t at = n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    bool wide =
        n >= 4 && (memcmp(bytes, "\xFF\xFE<", 3) == 0 || memcmp(bytes, "\xFE\xFF\0<", 4) == 0);
    while (at < n && is_blank(bytes[at]))
        at++;
    return wide || (at < n && bytes[at] == '<');
}

static int read_plain(struct reader *r, const char *bytes, size_t n, struct ml_error *err)
{
    bool xml = looks_like_xml(bytes, n);
    struct ml_error inner = {0};
    int status = xml ? read_xml(r, bytes, n, &inner) : read_text(r, bytes, n, &inner);
    bool soft = (xml && status == ML_ERR_FORMAT) || status == ML_ERR_LIMIT;
    if (soft && r->map.count > 0) {
        snprintf(r->map.problem, sizeof r->map.problem, "%.255s", inner.message);
        return 0;
    }
    return status ? ml_fail(err, status, "%s", inner.message) : 0;
}

static int read_any(struct reader *r, const char *bytes, size_t n, struct ml_error *err)
{
    if (!ml_is_gzip(bytes, n))
        return read_plain(r, bytes, n, err);
    struct ml_buffer unpacked = {0};
    int status = ml_inflate(&unpacked, ML_INFLATE_GZIP, bytes, n, ML_SITEMAP_MAX_BYTES, err);
    if (status == 0)
        status = read_plain(r, unpacked.size ? unpacked.data : "", unpacked.size, err);
    ml_buffer_clear(&unpacked);
    return status;
}

int ml_sitemap_parse(struct ml_sitemap *out, struct ml_arena *arena, const char *bytes, size_t n,
                     const char *uri, struct ml_error *err)
{
    struct reader r = {.arena = arena};
    struct ml_error inner = {0};
    if (uri)
        r.has_base = ml_web_url_parse(&r.base, arena, uri, &inner) == 0;
    int status = inner.code == ML_ERR_MEMORY ? fail_memory(err) : read_any(&r, bytes, n, err);
    if (status == 0) {
        r.map.entries = (const struct ml_sitemap_entry *)ml_arena_strndup(
            arena, r.entries.size ? r.entries.data : "", r.entries.size);
        if (!r.map.entries)
            status = fail_memory(err);
    }
    ml_buffer_clear(&r.entries);
    if (status == 0)
        *out = r.map;
    return status;
}

/* The beginning of packed bytes: whatever comes out before the limit is enough to look at. */
static void peek_packed(struct ml_buffer *out, const char *bytes, size_t n)
{
    struct ml_inflater *in = NULL;
    size_t got = 0;
    if (ml_buffer_reserve(out, 4096, NULL) == 0 &&
        ml_inflater_open(&in, ML_INFLATE_GZIP, bytes, n, NULL) == 0 &&
        ml_inflater_read(in, out->data, 4096, &got, NULL) == 0)
        out->size = got;
    ml_inflater_close(in);
}

bool ml_sitemap_is_one(const char *bytes, size_t n)
{
    char space[128], name[64];
    struct ml_buffer peek = {0};
    if (ml_is_gzip(bytes, n)) {
        peek_packed(&peek, bytes, n);
        while (peek.size > 0 && (unsigned char)peek.data[peek.size - 1] >= 0x80)
            peek.size--; /* a character may be cut */
        ml_xml_root(peek.size ? peek.data : "", peek.size, space, name);
    } else {
        ml_xml_root(bytes, n, space, name);
    }
    ml_buffer_clear(&peek);
    return strcmp(name, "urlset") == 0 || strcmp(name, "sitemapindex") == 0;
}
