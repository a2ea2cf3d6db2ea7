/* The reader of XML, and the feeds and sitemaps that stand on it: any bytes give events or one
 * message. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "data/feed.h"
#include "data/sitemap.h"
#include "data/xml_scan.h"
#include "fuzz.h"

static void check_error(int status, const struct ml_error *err)
{
    if (status != err->code || !ml_utf8_valid(err->message, strlen(err->message)))
        abort();
}

/* Every element that opens closes at its depth; all texts are UTF-8. */
static void check_events(const char *text, size_t n)
{
    struct ml_xml xml = {0};
    struct ml_error err = {0};
    int depth = 0;
    int status = ml_xml_open(&xml, text, n, NULL, &err);
    while (status == 0 && (status = ml_xml_next(&xml, &err)) > 0) {
        status = 0;
        depth += xml.event == ML_XML_OPEN;
        if (xml.depth != depth || xml.at > xml.length || xml.start > xml.at)
            abort();
        depth -= xml.event == ML_XML_CLOSE;
        bool good = ml_utf8_valid(xml.text, xml.size) && ml_utf8_valid(xml.name, strlen(xml.name));
        for (size_t i = 0; i < xml.attribute_count; i++)
            good = good && xml.attributes[i].space && xml.attributes[i].name &&
                   ml_utf8_valid(xml.attributes[i].value, strlen(xml.attributes[i].value));
        if (!good)
            abort();
    }
    if (status == 0 && depth != 0)
        abort();
    check_error(status, &err);
    ml_xml_close(&xml);
}

static size_t visit_feed(const struct ml_feed *feed)
{
    size_t bytes = strlen(feed->title) + strlen(feed->link) + strlen(feed->problem);
    for (size_t i = 0; i < feed->count; i++) {
        const struct ml_feed_entry *e = &feed->entries[i];
        bytes += strlen(e->link) + strlen(e->id) + strlen(e->title) + strlen(e->author) +
                 strlen(e->content) + strlen(e->published) + strlen(e->updated) +
                 strlen(e->licence);
        if (e->link[0] && strncmp(e->link, "http", 4) != 0)
            abort();
    }
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct ml_arena arena;
    struct ml_feed feed;
    struct ml_sitemap map;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    check_events(text, size);
    int status = ml_feed_parse(&feed, &arena, text, size, "http://a.example/f", &err);
    check_error(status, &err);
    if (status == 0)
        visit_feed(&feed);
    err = (struct ml_error){0};
    status = ml_sitemap_parse(&map, &arena, text, size, "http://a.example/s", &err);
    check_error(status, &err);
    for (size_t i = 0; status == 0 && i < map.count; i++)
        if (strncmp(map.entries[i].url, "http", 4) != 0)
            abort();
    ml_feed_is_one(text, size);
    ml_sitemap_is_one(text, size);
    ml_arena_clear(&arena);
    return 0;
}
