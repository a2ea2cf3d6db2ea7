/* Sitemaps (sitemaps.org 0.9): the pages of a site, or further sitemaps, as XML, as XML in gzip, or
 * as a text with an address a line. */
#ifndef ML_DATA_SITEMAP_H
#define ML_DATA_SITEMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_SITEMAP_MAX_URLS  50000              /* of one file: the protocol's own limits */
#define ML_SITEMAP_MAX_BYTES ((size_t)50 << 20) /* unpacked */

struct ml_sitemap_entry {
    const char *url;      /* normalised */
    const char *modified; /* as written: W3C date and time; "": not said */
};

struct ml_sitemap {
    bool is_index; /* the entries are sitemaps themselves */
    const struct ml_sitemap_entry *entries;
    size_t count;
    size_t bad;        /* entries without a usable address */
    char problem[256]; /* why there may be more: damaged behind these, or too many; "": complete */
};

/* `uri` is where it came from, for resolving addresses (NULL: they must be absolute).
 * ML_ERR_FORMAT: not a sitemap, or damaged before its first entry; ML_ERR_LIMIT: unpacks to too
 * much. */
int ml_sitemap_parse(struct ml_sitemap *out, struct ml_arena *arena, const char *bytes, size_t n,
                     const char *uri, struct ml_error *err);

/* Whether XML begins with one's element; texts cannot be told from others. Packed bytes are
 * unpacked as far as that takes. */
bool ml_sitemap_is_one(const char *bytes, size_t n);

#endif
