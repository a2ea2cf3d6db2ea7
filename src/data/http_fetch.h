/* Fetching one address by HTTP (libcurl), with limits on everything that a server could stretch:
 * time, size (as decoded), headers, redirects. Never from a private address unless its host is
 * allowed by name; every connection is checked where it is opened, so that neither a redirect nor a
 * name that changes its meaning gets past. No cookies, no credentials, certificates are verified.
 *
 * A build without libcurl says ML_ERR_UNSUPPORTED and names the package. */
#ifndef ML_DATA_HTTP_FETCH_H
#define ML_DATA_HTTP_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "data/web_url.h"
#include "maliang/error.h"

#define ML_HTTP_AGENT     "Maliang/0.1 (+local)"
#define ML_HTTP_REDIRECTS 5

/* Time as a caller (a test) would have it; NULL members are the real ones. */
struct ml_http_clock {
    double (*now)(void *arg); /* seconds, only ever forward */
    int64_t (*unix_time)(void *arg);
    void (*wait)(void *arg, double seconds);
    void *arg;
};
double ml_http_now(const struct ml_http_clock *clock);
int64_t ml_http_unix_time(const struct ml_http_clock *clock);
/* ML_ERR_CANCELLED when *cancel becomes non-zero meanwhile (or was). cancel may be NULL. */
int ml_http_wait(const struct ml_http_clock *clock, double seconds, const volatile int *cancel,
                 struct ml_error *err);

/* Zero means default. Everything is borrowed for as long as the client is open. */
struct ml_http_options {
    const char *agent;      /* NULL: ML_HTTP_AGENT */
    double connect_seconds; /* 0: 10 */
    double total_seconds;   /* of one request; 0: 120 */
    double stall_seconds;   /* without a byte; 0: 30 */
    uint64_t max_bytes;     /* of a body as decoded; 0: 64 MiB */
    int tries;              /* of a request that meets 429, 503 or a broken connection; 0: 3 */
    double backoff_seconds; /* before the second try, twice as long before each further one; 0: 1,
                               negative: none */
    const char *const *allowed_hosts; /* may have private addresses */
    size_t allowed_count;
    const char *proxy;   /* "http://proxy:3128"; NULL: none, whatever the environment says. A proxy
                            looks names up itself, so that only private addresses that are spelt as
                            digits can be refused then */
    const char *resolve; /* "name:port:address": what a name means, whatever the system's resolver
                            says (split networks, tests); NULL: nothing fixed */
    const volatile int *cancel; /* becomes non-zero: stop */
    struct ml_http_clock clock;
};

struct ml_http;
int ml_http_open(struct ml_http **out, const struct ml_http_options *options, struct ml_error *err);
void ml_http_close(struct ml_http *http); /* accepts NULL */

struct ml_http_request {
    const char *url;
    const char *accept;        /* media types; NULL: any */
    const char *etag;          /* of the copy at hand, for asking "only if it has changed" */
    const char *last_modified; /* the same by time, as the server wrote it */
    uint64_t max_bytes;        /* 0: the options' */
    bool keep_beginning; /* more than max_bytes: the first of them are the answer, not a failure */
    /* Called before every request that goes out, those of redirects and repetitions too: may wait
     * its turn, may fetch something else with the same client, may refuse with a code that is then
     * returned. May be NULL. */
    int (*before)(void *arg, const struct ml_web_url *url, struct ml_error *err);
    void *arg;
};

/* The last server's answer, whatever its status. Texts are "" when the header was absent or not
 * printable; several headers of one name are joined by \n. Zero-initialise; clear when done. */
struct ml_http_response {
    int status;    /* 200, 304, 404 ... */
    int redirects; /* how many were followed */
    bool cut;      /* the body is the beginning only */
    const char *url;
    const char *type;    /* media type in lower case, without parameters */
    const char *charset; /* in lower case */
    const char *etag, *last_modified, *robots_tag, *content_usage;
    double retry_after;    /* seconds, 0: not stated */
    int64_t time;          /* when it was fetched, Unix seconds */
    struct ml_buffer body; /* of a status 2xx */
    struct ml_arena arena;
};

/* ML_ERR_ARG: an address that is refused (its form, its scheme, a private one); ML_ERR_LIMIT: the
 * body is too large; ML_ERR_IO: anything else that went wrong on the way; ML_ERR_CANCELLED. */
int ml_http_get(struct ml_http *http, const struct ml_http_request *request,
                struct ml_http_response *out, struct ml_error *err);
void ml_http_response_clear(struct ml_http_response *response); /* accepts NULL, a zeroed one */

#endif
