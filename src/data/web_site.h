/* Manners: what each site's robots.txt allows, and whose turn it is. One request at a time goes to
 * a host, and so long passes between two of them. */
#ifndef ML_DATA_WEB_SITE_H
#define ML_DATA_WEB_SITE_H

#include <stdbool.h>

#include "data/http_fetch.h"
#include "data/robots.h"
#include "data/web_url.h"

struct ml_web_sites;
struct ml_web_site; /* one scheme, host and port */

/* The client is borrowed. seconds: between two requests to a host; 0: 1, negative: none. options
 * are those that the client was opened with. */
int ml_web_sites_open(struct ml_web_sites **out, struct ml_http *http,
                      const struct ml_http_options *options, double seconds, struct ml_error *err);
void ml_web_sites_close(struct ml_web_sites *sites); /* accepts NULL */

/* The site of an address; owned by the sites. */
int ml_web_sites_find(struct ml_web_sites *sites, const struct ml_web_url *url,
                      struct ml_web_site **out, struct ml_error *err);

struct ml_web_permit {
    bool fetch;
    bool refused; /* not to be fetched, since the host itself is refused: a private address */
    char consent[ML_CONSENT_BYTES]; /* what robots.txt says against training; "": nothing */
    char why[512];                  /* not to be fetched: why */
};
/* Reads the site's robots.txt when it is not known or older than a day (RFC 9309, 2.4): 4xx allows
 * everything; 429, 5xx and no answer allow nothing. Only ML_ERR_MEMORY and ML_ERR_CANCELLED are
 * errors. */
int ml_web_site_ask(struct ml_web_site *site, const struct ml_web_url *url,
                    struct ml_web_permit *out, struct ml_error *err);
/* Seconds until the host may be asked again. */
double ml_web_site_wait_seconds(const struct ml_web_site *site);
/* Waits for that, and takes the turn. */
int ml_web_site_take_turn(struct ml_web_site *site, struct ml_error *err);
/* The host asked to be left alone for so long (Retry-After). */
void ml_web_site_rest(struct ml_web_site *site, double seconds);
/* What robots.txt says; NULL while it is not known. */
const struct ml_robots *ml_web_site_robots(const struct ml_web_site *site);

#endif
