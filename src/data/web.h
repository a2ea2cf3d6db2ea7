/* Collecting from the web: addresses of pages, feeds, sitemaps or any other files are fetched
 * politely (robots.txt, one request a second to a host, see web_site.h) and safely (http_fetch.h),
 * and what is fetched goes to a sink. Feeds, sitemaps and links are followed when asked for. One
 * address that fails is told to the sink and stops nothing.
 *
 * One request is under way at a time; while one host is waited for, others are asked. */
#ifndef ML_DATA_WEB_H
#define ML_DATA_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/http_fetch.h"
#include "maliang/error.h"

enum ml_web_role {
    ML_WEB_PAGE,    /* or any other file */
    ML_WEB_FEED,    /* data/feed.h reads it */
    ML_WEB_SITEMAP, /* data/sitemap.h does */
};

/* Something that was fetched, borrowed for the call. Texts are never NULL: "" is what was not said.
 */
struct ml_web_resource {
    const char *url;   /* where it lies, after redirects */
    const char *asked; /* what was asked for: the name to keep its validators under */
    const char *from;  /* the page, feed or sitemap that names it; "" for what the caller named */
    enum ml_web_role role;
    int depth;           /* links between it and what the caller named */
    const char *type;    /* media type in lower case, without parameters, as the server says */
    const char *charset; /* in lower case, as the server says */
    const char *bytes;
    size_t size;
    const char *etag, *last_modified; /* to give back by `validators` next time */
    int64_t time;                     /* Unix seconds */
    const char *consent; /* "denied: X-Robots-Tag noai"; "": nothing was stated against training */
    /* What the feed or sitemap that names it says of it. */
    const char *title, *published, *licence;
};

enum ml_web_reason {
    ML_WEB_REFUSED, /* not an address that is fetched: its form, or a private one */
    ML_WEB_ROBOTS,  /* robots.txt does not allow it, or cannot be had */
    ML_WEB_CONSENT, /* may not be used for training */
    ML_WEB_STATUS,  /* the server says no: 404, 503 ... */
    ML_WEB_TOO_LARGE,
    ML_WEB_NETWORK, /* no connection, time-out, broken off */
    ML_WEB_EMPTY,
    ML_WEB_DAMAGED, /* a feed or sitemap that could not be followed, or not to its end */
    ML_WEB_BEYOND,  /* over the limit of pages: told once, with how many */
    ML_WEB_REASON_COUNT
};
/* "not allowed by robots.txt" ... */
const char *ml_web_reason_name(enum ml_web_reason reason);

struct ml_web_validators {
    const char *etag, *last_modified; /* NULL or "": none */
};

/* Where results go. Non-zero stops all and is returned. Any but `resource` may be NULL. */
struct ml_web_sink {
    int (*resource)(void *arg, const struct ml_web_resource *resource, struct ml_error *err);
    /* The copy that `validators` told of is still what the server has. */
    int (*unchanged)(void *arg, const char *url, struct ml_error *err);
    void (*left_out)(void *arg, const char *url, enum ml_web_reason reason, const char *why);
    /* What is known of this address from before; borrowed until the request is done. */
    int (*validators)(void *arg, const char *url, struct ml_web_validators *out,
                      struct ml_error *err);
    void *arg;
};

struct ml_web_progress {
    uint64_t done, known; /* addresses */
    uint64_t bytes;       /* fetched */
    const char *url;      /* the next */
};

/* To be called for every link of a page, as it is written there. */
typedef int ml_web_found_fn(void *arg, const char *reference, struct ml_error *err);

/* Zero means default. */
struct ml_web_request {
    const char *const *seeds;
    size_t seed_count;
    bool follow_feeds;    /* fetch the entries of feeds, and the feeds of OPML lists */
    bool follow_sitemaps; /* fetch what sitemaps list */
    bool robots_sitemaps; /* with it: also the sitemaps that the seeds' robots.txt name */
    int depth;            /* follow links within a seed's host so many times; needs `links` */
    uint64_t max_pages;   /* requests for addresses, whatever comes of them; 0: 1,000 */
    double seconds;       /* between two requests to a host; 0: 1, negative: none */
    bool allow_denied;    /* give also what may not be used for training, with its verdict */
    struct ml_http_options http;
    /* Finds the links of a page (of any type; most have none). A page is asked for as a whole while
     * its links are followed, even when it has not changed. */
    int (*links)(void *arg, const struct ml_web_resource *page, ml_web_found_fn *found,
                 void *found_arg, struct ml_error *err);
    void *links_arg;
    /* Called before each address and at the end; non-zero stops with ML_ERR_CANCELLED, as does
     * http.cancel at any time. */
    int (*progress)(void *arg, const struct ml_web_progress *progress);
    void *progress_arg;
};

/* Fails only when nothing more can be done: out of memory, stopped, what the sink or links
 * returned, or built without libcurl. */
int ml_web_collect(const struct ml_web_request *request, const struct ml_web_sink *sink,
                   struct ml_error *err);

#endif
