/* robots.txt (RFC 9309): what a site lets this program fetch, how often, and whether it may be used
 * for training (lines Content-Usage of draft-ietf-aipref-attach, and Content-Signal). */
#ifndef ML_DATA_ROBOTS_H
#define ML_DATA_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "data/web_consent.h"
#include "maliang/error.h"

#define ML_ROBOTS_MAX_BYTES ((size_t)500 << 10) /* what stands beyond is not read */

struct ml_robots_rule;

/* What one robots.txt says to one agent. Everything is owned by the arena that was given. */
struct ml_robots {
    const struct ml_robots_rule *rules; /* of the groups that hold for the agent */
    size_t rule_count;
    double delay;                /* seconds between requests (Crawl-delay), 0: not stated */
    const char *const *sitemaps; /* as written, those of all groups */
    size_t sitemap_count;
};

/* `agent` is the product token ("Maliang"); groups that name it in any case of letters are taken,
 * else those of "*". Never fails but for memory: what is no rule is passed over. */
int ml_robots_parse(struct ml_robots *out, struct ml_arena *arena, const char *text, size_t n,
                    const char *agent, struct ml_error *err);

struct ml_robots_answer {
    bool fetch;                     /* may be fetched */
    char consent[ML_CONSENT_BYTES]; /* "denied: robots.txt train-ai=n", or "" */
};
/* path is a URL's path and query ("/a?b"). The longest rule that matches decides, and of equal ones
 * the one that allows fetching, and the one that denies training. */
int ml_robots_ask(const struct ml_robots *robots, const char *path, struct ml_robots_answer *out,
                  struct ml_error *err);

#endif
