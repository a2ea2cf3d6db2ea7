/* Feeds: RSS 2.0 (and 0.9x), RSS 1.0 (RDF), Atom 1.0, JSON Feed 1.x, and OPML, which lists feeds.
 * What a feed says of its entries, with every address resolved. */
#ifndef ML_DATA_FEED_H
#define ML_DATA_FEED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_FEED_MAX_ENTRIES 10000

enum ml_feed_kind { ML_FEED_RSS, ML_FEED_RDF, ML_FEED_ATOM, ML_FEED_JSON, ML_FEED_OPML };
const char *ml_feed_kind_name(enum ml_feed_kind kind); /* "RSS", "RSS 1.0", "Atom" ... */

/* "" is what was not said. All texts are UTF-8 and owned by the arena. */
struct ml_feed_entry {
    const char *link;  /* the page; OPML: the feed. Normalised; "" when it has none that is http */
    const char *id;    /* guid, atom:id; as written */
    const char *title; /* text, as written (RSS may hold markup here) */
    const char *author;
    const char *content;      /* the longest that the feed gives: markup or text */
    const char *content_type; /* "text/html" or "text/plain" */
    const char *published;    /* as written: RFC 822 in RSS, RFC 3339 elsewhere */
    const char *updated;
    const char *licence; /* an address or a statement of rights; the feed's own where the entry says
                            nothing */
    bool is_feed;        /* OPML */
};

struct ml_feed {
    enum ml_feed_kind kind;
    const char *title, *link, *language, *licence;
    const struct ml_feed_entry *entries;
    size_t count;
    /* Why there may be more entries than these: the feed is damaged behind them, or has more than
     * ML_FEED_MAX_ENTRIES. "" when it was read to its end. */
    char problem[256];
};

/* `uri` is where it came from, for resolving addresses (NULL: they must be absolute).
 * ML_ERR_FORMAT: not a feed, or damaged before its first entry. */
int ml_feed_parse(struct ml_feed *out, struct ml_arena *arena, const char *bytes, size_t n,
                  const char *uri, struct ml_error *err);

/* Whether the bytes begin like one of them: a look at the first element or key. */
bool ml_feed_is_one(const char *bytes, size_t n);

#endif
