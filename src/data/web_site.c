#include "data/web_site.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

#define BUCKETS       4096
#define KEEP          86400.0 /* seconds that an answer holds */
#define KEEP_FAILURE  3600.0  /* that the lack of one does */
#define PATIENCE      60.0    /* seconds; a host that wants more is not waited for */
#define PATIENCE_TEXT "60"

struct host {
    struct host *next; /* in its bucket */
    const char *name;
    bool asked;
    double last;  /* when it was asked last */
    double delay; /* the longest Crawl-delay of its sites */
    double not_before;
};

struct ml_web_site {
    struct ml_web_site *next;
    struct ml_web_sites *sites;
    struct host *host;
    const char *origin;
    bool known; /* robots.txt was asked for */
    double since;
    bool closed;  /* there was no answer: nothing may be fetched */
    bool refused; /* the client does not go there at all */
    char why[400];
    struct ml_robots robots;
    struct ml_arena arena; /* of robots */
};

struct ml_web_sites {
    struct ml_http *http;
    struct ml_http_clock clock;
    const volatile int *cancel;
    double seconds;
    struct ml_arena arena;
    struct host *hosts[BUCKETS];
    struct ml_web_site *list[BUCKETS];
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting from the web");
}

int ml_web_sites_open(struct ml_web_sites **out, struct ml_http *http,
                      const struct ml_http_options *options, double seconds, struct ml_error *err)
{
    struct ml_web_sites *sites = ml_mem_calloc(1, sizeof *sites);
    if (!sites)
        return fail_memory(err);
    sites->http = http;
    sites->clock = options->clock;
    sites->cancel = options->cancel;
    sites->seconds = seconds == 0 ? 1 : fmax(seconds, 0);
    ml_arena_init(&sites->arena, 0);
    *out = sites;
    return 0;
}

void ml_web_sites_close(struct ml_web_sites *sites)
{
    if (!sites)
        return;
    for (int i = 0; i < BUCKETS; i++)
        for (struct ml_web_site *site = sites->list[i]; site; site = site->next)
            ml_arena_clear(&site->arena);
    ml_arena_clear(&sites->arena);
    ml_mem_free(sites);
}

/* ---- finding ---- */

static uint32_t bucket_of(const char *text, size_t n)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash % BUCKETS;
}

static struct host *find_host(struct ml_web_sites *sites, const char *name)
{
    struct host **bucket = &sites->hosts[bucket_of(name, strlen(name))];
    for (struct host *host = *bucket; host; host = host->next)
        if (strcmp(host->name, name) == 0)
            return host;
    struct host *host = ml_arena_calloc(&sites->arena, 1, sizeof *host);
    char *copy = ml_arena_strdup(&sites->arena, name);
    if (!host || !copy)
        return NULL;
    host->name = copy;
    host->next = *bucket;
    *bucket = host;
    return host;
}

int ml_web_sites_find(struct ml_web_sites *sites, const struct ml_web_url *url,
                      struct ml_web_site **out, struct ml_error *err)
{
    struct ml_web_site **bucket = &sites->list[bucket_of(url->text, url->origin)];
    for (struct ml_web_site *site = *bucket; site; site = site->next)
        if (strlen(site->origin) == url->origin &&
            memcmp(site->origin, url->text, url->origin) == 0) {
            *out = site;
            return 0;
        }
    struct ml_web_site *site = ml_arena_calloc(&sites->arena, 1, sizeof *site);
    char *origin = ml_arena_strndup(&sites->arena, url->text, url->origin);
    struct host *host = find_host(sites, url->host);
    if (!site || !origin || !host)
        return fail_memory(err);
    site->sites = sites;
    site->origin = origin;
    site->host = host;
    ml_arena_init(&site->arena, 4096);
    site->next = *bucket;
    *bucket = site;
    *out = site;
    return 0;
}

/* ---- turns ---- */

double ml_web_site_wait_seconds(const struct ml_web_site *site)
{
    const struct host *host = site->host;
    double pause = fmax(site->sites->seconds, host->delay);
    double ready = host->asked ? host->last + pause : 0;
    double now = ml_http_now(&site->sites->clock);
    return fmax(0, fmax(ready, host->not_before) - now);
}

int ml_web_site_take_turn(struct ml_web_site *site, struct ml_error *err)
{
    const struct ml_web_sites *sites = site->sites;
    int status = ml_http_wait(&sites->clock, ml_web_site_wait_seconds(site), sites->cancel, err);
    site->host->asked = true;
    site->host->last = ml_http_now(&sites->clock);
    return status;
}

void ml_web_site_rest(struct ml_web_site *site, double seconds)
{
    double until = ml_http_now(&site->sites->clock) + seconds;
    site->host->not_before = fmax(site->host->not_before, until);
}

/* ---- robots.txt ---- */

const struct ml_robots *ml_web_site_robots(const struct ml_web_site *site)
{
    return site->known && !site->closed ? &site->robots : NULL;
}

/* Whichever host robots.txt is fetched from gets its turn; it may be fetched in any case. */
static int before_robots(void *arg, const struct ml_web_url *url, struct ml_error *err)
{
    struct ml_web_site *site;
    int status = ml_web_sites_find(arg, url, &site, err);
    return status ? status : ml_web_site_take_turn(site, err);
}

static void close_site(struct ml_web_site *site, bool refused, const char *why)
{
    site->closed = true;
    site->refused = refused; /* then that is the reason to give */
    snprintf(site->why, sizeof site->why, "%s%.330s",
             refused ? "" : "robots.txt cannot be had, so nothing is fetched: ", why);
}

static int take_robots(struct ml_web_site *site, const struct ml_http_response *response,
                       struct ml_error *err)
{
    char status[40];
    int code = response->status;
    snprintf(status, sizeof status, "HTTP status %d", code);
    if (code == 429 || code >= 500) {
        close_site(site, false, status);
        return 0;
    }
    site->closed = site->refused = false;
    bool there = code / 100 == 2; /* else it is not, and everything is allowed */
    ml_arena_reset(&site->arena);
    int parsed = ml_robots_parse(&site->robots, &site->arena, there ? response->body.data : "",
                                 there ? response->body.size : 0, ML_WEB_PRODUCT, err);
    site->host->delay = fmax(site->host->delay, site->robots.delay);
    return parsed;
}

static int fetch_robots(struct ml_web_site *site, struct ml_error *err)
{
    struct ml_http_response response = {0};
    struct ml_error inner = {0};
    struct ml_buffer url = {0};
    int status = ml_buffer_printf(&url, err, "%s/robots.txt", site->origin);
    if (status)
        return status;
    const struct ml_http_request request = {.url = url.data,
                                            .accept = "text/plain, */*;q=0.5",
                                            .max_bytes = ML_ROBOTS_MAX_BYTES,
                                            .keep_beginning = true,
                                            .before = before_robots,
                                            .arg = site->sites};
    status = ml_http_get(site->sites->http, &request, &response, &inner);
    ml_buffer_clear(&url);
    if (status == ML_ERR_MEMORY || status == ML_ERR_CANCELLED)
        return ml_fail(err, status, "%s", inner.message);
    bool kept = site->known && !site->closed; /* an old answer is better than none */
    site->known = true;
    site->since = ml_http_now(&site->sites->clock);
    /* The message begins with the address that it is about: this site, or one that it redirects to.
     */
    bool here = strncmp(inner.message, site->origin, strlen(site->origin)) == 0;
    if (status && !kept)
        close_site(site, status == ML_ERR_ARG && here, inner.message);
    status = status ? 0 : take_robots(site, &response, err);
    ml_http_response_clear(&response);
    return status;
}

int ml_web_site_ask(struct ml_web_site *site, const struct ml_web_url *url,
                    struct ml_web_permit *out, struct ml_error *err)
{
    struct ml_web_permit permit = {.fetch = true};
    struct ml_robots_answer answer;
    double age = ml_http_now(&site->sites->clock) - site->since;
    int status = 0;
    if (!site->known || age > (site->closed ? KEEP_FAILURE : KEEP))
        status = fetch_robots(site, err);
    if (status)
        return status;
    double wait = ml_web_site_wait_seconds(site);
    if (site->closed) {
        permit.fetch = false;
        permit.refused = site->refused;
        snprintf(permit.why, sizeof permit.why, "%s", site->why);
    } else {
        status = ml_robots_ask(&site->robots, url->path, &answer, err);
        if (status)
            return status;
        permit.fetch = answer.fetch && wait <= PATIENCE;
        memcpy(permit.consent, answer.consent, sizeof permit.consent);
        if (!answer.fetch)
            snprintf(permit.why, sizeof permit.why, "robots.txt does not allow it");
        else if (!permit.fetch)
            snprintf(permit.why, sizeof permit.why,
                     "the host wants %.0f seconds before the next request, and no more "
                     "than " PATIENCE_TEXT " are waited",
                     wait);
    }
    *out = permit;
    return 0;
}
